package compare_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

// TestSegmentOracleIsNeverBelowTheOracle looks at single calls, on networks of all kinds.
func TestSegmentOracleIsNeverBelowTheOracle(t *testing.T) {
	better := 0
	for seed := range uint64(16) {
		c := compare.Config{
			Suite: suite.Builtin(), Contenders: contenders(t, "oracle", "oracle-segment"), Frames: frames,
			Calls: 1, Seeds: 1, Seed: 1 + seed, Duration: 16 * time.Second, Catalogue: small,
		}
		r := mustRun(t, c)
		all := r.Slices[0]
		single, changing := *score(t, all, "oracle").Mean.Value, *score(t, all, "oracle-segment").Mean.Value
		if changing < single {
			t.Errorf("seed %d: %.4f with changes, %.4f without", seed, changing, single)
		}
		if changing > single {
			better++
			if all.BySegment.Changed != 1 || all.BySegment.Changes < 1 {
				t.Errorf("seed %d: better by %.4f, %+v", seed, changing-single, all.BySegment)
			}
		} else if all.BySegment.Changed != 0 {
			t.Errorf("seed %d: no better, %+v", seed, all.BySegment)
		}
		if most := int64(1 + len(small) + 4*24); r.Simulated > most || r.Simulated <= int64(1+len(small)) && changing > single {
			t.Errorf("seed %d: %d simulated calls, at most %d", seed, r.Simulated, most)
		}
		c.Contenders = contenders(t, "oracle")
		if alone := *score(t, mustRun(t, c).Slices[0], "oracle").Mean.Value; alone != single {
			t.Errorf("seed %d: the oracle has %v beside a per-segment oracle, %v alone", seed, single, alone)
		}
	}
	if better == 0 {
		t.Error("no change was ever worth it")
	}
}

// TestSegmentOracleFindsTheSwitch: the capacity drops in the middle, so that no single action is right throughout.
func TestSegmentOracleFindsTheSwitch(t *testing.T) {
	trace, err := network.ParseTrace(strings.NewReader(
		`[{"duration_ms": 20000, "bandwidth_kbps": 400}, {"duration_ms": 60000, "bandwidth_kbps": 26}]`), "drop")
	if err != nil {
		t.Fatal(err)
	}
	base, err := network.Load("ethernet")
	if err != nil {
		t.Fatal(err)
	}
	p := base.WithTrace(trace.FromStart(), trace.FromStart())
	p.Up.Queue.Bytes, p.Down.Queue.Bytes = 4000, 4000
	c := compare.Config{
		Suite:      &suite.Suite{Name: "drop", Networks: []suite.Network{{Name: "drop", Source: "test", Type: p.Network, Weight: 1, Profile: p}}},
		Contenders: contenders(t, "oracle", "oracle-segment"), Frames: frames, Calls: 4, Seeds: 2, Duration: 40 * time.Second, Catalogue: small,
	}
	all := mustRun(t, c).Slices[0]
	single, changing := score(t, all, "oracle"), score(t, all, "oracle-segment")
	t.Logf("oracle %.3f, oracle-segment %.3f, %v", *single.Mean.Value, *changing.Mean.Value, all.BySegment)
	if *changing.Mean.Value < *single.Mean.Value+0.1 || all.BySegment.Changed != 1 || all.BySegment.Changes > 4 {
		t.Errorf("oracle %.3f, oracle-segment %.3f, %v", *single.Mean.Value, *changing.Mean.Value, all.BySegment)
	}
	if share := *changing.GapShare.Value; share <= 1 {
		t.Errorf("it closes %v of the oracle's gap", share)
	}
}
