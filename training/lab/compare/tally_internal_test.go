package compare

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/training/lab/suite"
)

// TestTally compares the streaming sums with the same over a list.
func TestTally(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 19, 20, 1000} {
		var counted tally
		var qualities []float64
		poor, kbps := 0, 0.0
		for range n {
			o := Outcome{Quality: 1 + 3.5*random.Float64(), Kbps: 50 * random.Float64(), PoorVIA: random.IntN(2) == 0}
			counted.add(o, true)
			qualities = append(qualities, o.Quality)
			kbps += o.Kbps
			if o.Quality < 3.1 {
				poor++
			}
		}
		s := counted.sums()
		slices.Sort(qualities)
		at := func(q float64) float64 { return qualities[int(math.Ceil(q*float64(n)))-1] }
		for name, pair := range map[string][2]float64{
			"median": {s.Median, at(0.5)}, "5th percentile": {s.P5, at(0.05)},
		} {
			if math.Abs(pair[0]-pair[1]) > 0.5/binsPerMOS+1e-12 {
				t.Errorf("%d calls: %s %v, want %v", n, name, pair[0], pair[1])
			}
		}
		if want := float64(poor) / float64(n); s.Poor != want {
			t.Errorf("%d calls: poor %v, want %v", n, s.Poor, want)
		}
		if want := kbps / float64(n); math.Abs(s.Kbps-want) > 1e-9 {
			t.Errorf("%d calls: %v kbps, want %v", n, s.Kbps, want)
		}
		text, err := json.Marshal(counted)
		if err != nil {
			t.Fatal(err)
		}
		var again tally
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(counted, again, cmp.AllowUnexported(tally{})); diff != "" {
			t.Errorf("%d calls, through the journal: %s", n, diff)
		}
	}
}

// TestCallsThatFailedDoNotCountAsSilent: the rate is that of calls which were set up.
func TestCallsThatFailedDoNotCountAsSilent(t *testing.T) {
	var counted tally
	counted.add(Outcome{Quality: 4, Kbps: 30}, true)
	counted.add(Outcome{Quality: 1, SetupFailed: true, PoorVIA: true}, true)
	counted.add(Outcome{Quality: 1, Kbps: 10, Dropped: true, PoorVIA: true}, true)
	if s := counted.sums(); s.Kbps != 20 || s.Mean != 2 || s.Poor != 2.0/3 || s.SetupFailed != 1.0/3 || s.Dropped != 1.0/3 {
		t.Errorf("%+v", s)
	}
}

// TestRatio: Student's t with four degrees of freedom is 2.776 (0.975 quantile).
func TestRatio(t *testing.T) {
	equal := []float64{1, 1, 1, 1, 1}
	e := ratio([]float64{1, 2, 3, 4, 5}, equal)
	half := 2.7764451 * math.Sqrt(2.5/5)
	if *e.Value != 3 || math.Abs(*e.High-3-half) > 1e-6 || math.Abs(3-*e.Low-half) > 1e-6 {
		t.Errorf("%v [%v, %v]", *e.Value, *e.Low, *e.High)
	}
	if e := ratio([]float64{4}, []float64{1}); *e.Value != 4 || e.Low != nil || e.High != nil {
		t.Errorf("one seed: %+v", e)
	}
	if e := ratio(nil, nil); e.Value != nil {
		t.Errorf("none: %+v", e)
	}
	if e := ratio([]float64{1 * 10, 4 * 20}, []float64{10, 20}); *e.Value != 3 {
		t.Errorf("seeds of 10 and 20 calls with 1 and 4 each: %v, want 3", *e.Value)
	}
	e = ratio([]float64{0.2, 1, 1, 1, 0.9}, equal).within(0, 1)
	if *e.High != 1 || *e.Low <= 0 || *e.Low >= *e.Value {
		t.Errorf("%v [%v, %v], want it to end at 1", *e.Value, *e.Low, *e.High)
	}
	if got, want := e.text(100, "%.1f"), "82.0 (38.6..100.0)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestDrawIsSystematic: each network has its share of the calls of a seed, and of the first of them too, about.
func TestDrawIsSystematic(t *testing.T) {
	s := suite.Builtin()
	total := 0.0
	for _, n := range s.Networks {
		total += n.Weight
	}
	for _, calls := range []int{1, 2, 7, 100, 256, 1000} {
		for seed := range uint64(5) {
			count, seeds := map[string]float64{}, map[uint64]bool{}
			for k := range calls {
				c := Draw(s, seed, k, calls)
				count[c.Network.Name]++
				seeds[c.Seed] = true
			}
			if len(seeds) != calls {
				t.Errorf("%d seeds of %d calls", len(seeds), calls)
			}
			for _, n := range s.Networks {
				if want := float64(calls) * n.Weight / total; math.Abs(count[n.Name]-want) >= 1 {
					t.Errorf("%v of %d calls on %s, want %.2f", count[n.Name], calls, n.Name, want)
				}
			}
		}
	}
	early := map[string]float64{}
	for k := range 50 {
		early[Draw(s, 3, k, 1000).Network.Name]++
	}
	for _, n := range s.Networks {
		if want := 50 * n.Weight / total; math.Abs(early[n.Name]-want) > 2 {
			t.Errorf("%v of the first 50 calls on %s, want about %.1f", early[n.Name], n.Name, want)
		}
	}
}
