package compare_test

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/suite"
)

func ExampleRun() {
	telegram, err := compare.Named("telegram")
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := compare.Run(context.Background(), compare.Config{
		Suite: suite.Builtin(), Contenders: []compare.Contender{telegram}, Frames: frames, // see sim.NewFrames
		Calls: 20, Seeds: 2, Duration: 20 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, score := range result.Slices[0].Scores {
		fmt.Println(score.Name, *score.Mean.Value > 1, *score.Poor.Value < 1)
	}
	// Output:
	// default true true
	// telegram true true
}
