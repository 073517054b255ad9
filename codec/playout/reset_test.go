package playout_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/codec/playout"
)

// A buffer that was reset plays a stream as a new one does, whatever it played before.
func TestResetIsNew(t *testing.T) {
	var before, after []arrival
	for n := range 300 {
		late := time.Duration(n*n%9) * playout.Tick
		before = append(before, arrival{at: time.Duration(2*n)*playout.Tick + late, number: n + 900, stamp: 2*n + 7, ticks: 2, fec: n%3 == 0})
		if n%11 > 1 {
			after = append(after, arrival{at: time.Duration(n+3) * playout.Tick, number: n, stamp: n, ticks: 1, fec: true})
		}
	}
	fresh, used := playout.New(config()), playout.New(config())
	run(used, before, 500)
	used.Reset()
	if diff := cmp.Diff(run(fresh, after, 350), run(used, after, 350)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(fresh.Stats(), used.Stats()); diff != "" {
		t.Error(diff)
	}
}
