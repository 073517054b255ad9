package sim_test

import (
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
)

var (
	agreementCalls = flag.Int("agreement.calls", 0,
		"real calls of each pair that the clocks are compared on; 0 = so few as to be quick, on the pairs that vary little")
	agreementOut = flag.String("agreement.out", "", "folder that agreement.md and agreement.svg are written to")
)

// The most that the clocks may differ by.
const (
	mostMOS  = 0.15
	mostLoss = 0.01
)

// mayFail is the network whose trace has a place that no call is set up at. Where one is not by one clock it must not be by
// the other; on all other networks none may fail.
const mayFail = "4g-att-driving"

// TestClocksAgree holds the simulation to real calls (pion, libopus, sockets of package vnet) over the same networks. Those
// run in a bubble of testing/synctest, where nothing is late; with -agreement.calls some are made on the clock on the wall as
// well. See docs/agreement.md for more calls and pairs than there is time for here.
func TestClocksAgree(t *testing.T) {
	const fewest = 20 // pairs
	compared := make([]*comparison, len(pairs))
	t.Run("pairs", func(t *testing.T) {
		for i, p := range pairs {
			calls := p.quick
			if *agreementCalls > 0 {
				calls = *agreementCalls * max(p.much, 1)
			}
			if calls > 0 {
				t.Run(fmt.Sprintf("%s %v", p.network, p.action), func(t *testing.T) {
					t.Parallel()
					compared[i] = p.compare(t, 1, calls)
				})
			}
		}
	})
	if *agreementCalls > 0 && !partial() { // by themselves, so that only their own load makes them late
		compared = append(compared, compareOnTheWall(t, onTheWall, *agreementCalls)...)
	}
	var all []*comparison
	for _, c := range compared {
		if c == nil {
			continue
		}
		all = append(all, c)
		t.Log(c)
		if !within(c.difference(quality), mostMOS) || !within(c.difference(lossRepaired), mostLoss) {
			t.Errorf("%s, %v: the clocks disagree", c.network, c.action)
		}
		if c.failed != [2]int{} && c.network != mayFail || c.failed[simulated] != replicas*c.failed[inRealTime] {
			t.Errorf("%s, %v: %d legs failed in real calls, and %d of %d times as many simulated ones", c.network, c.action,
				c.failed[inRealTime], c.failed[simulated], replicas)
		}
	}
	if len(all) < fewest && !partial() {
		t.Errorf("%d pairs were compared, want %d", len(all), fewest)
	}
	if *agreementOut != "" {
		if err := write(*agreementOut, all); err != nil {
			t.Error(err)
		}
	}
}

// within reports whether a difference is at most so much. Where all pairs are compared, those too that vary a lot, it may
// exceed that by twice its standard error.
func within(difference estimate, most float64) bool {
	if *agreementCalls > 0 {
		most += 2 * difference.standardError
	}
	return math.Abs(difference.mean) <= most
}

// partial reports whether only some of the pairs were asked for.
func partial() bool {
	f := flag.Lookup("test.run")
	return f != nil && strings.Contains(f.Value.String(), "/")
}
