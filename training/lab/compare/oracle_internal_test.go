package compare

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/suite"
)

// TestOracleLeavesOnlyWhatIsWorse: leaving calls early changes nothing of what is found.
func TestOracleLeavesOnlyWhatIsWorse(t *testing.T) {
	s := suite.Builtin()
	catalogue := Catalogue()
	random := rand.New(rand.NewPCG(3, 5))
	random.Shuffle(len(catalogue), func(i, j int) { catalogue[i], catalogue[j] = catalogue[j], catalogue[i] })
	catalogue = catalogue[:40]
	r := &runner{
		config: Config{Suite: s, Catalogue: catalogue}, scale: scale{frames: noise(t), duration: 22 * time.Second},
		bounds: newBounds(catalogue),
	}
	left := 0
	for i := range s.Networks {
		c := Case{Network: &s.Networks[i], Seed: uint64(i)}
		all, want, err := r.tryAll(c)
		if err != nil {
			t.Fatal(err)
		}
		got, o, spared, err := r.best(c)
		if err != nil || got != want || o != all[want].Outcome {
			t.Errorf("%s: %v with %+v, want %v with %+v; %v", c.Network.Name, catalogue[got], o, catalogue[want], all[want].Outcome, err)
		}
		left += spared
	}
	if left == 0 {
		t.Error("every call was begun")
	}
}

// TestNothingIsAboveItsBound, which the oracle relies on.
func TestNothingIsAboveItsBound(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 1))
	for _, a := range Catalogue() {
		most := mostQuality(a)
		for range 200 {
			in := model.QualityInput{
				Action: a, Loss: max(0, random.NormFloat64()*0.2), BurstRatio: 1 + max(0, 3*random.NormFloat64()),
				OneWayDelay: a.FrameDuration() + time.Duration(max(0, random.NormFloat64())*float64(200*time.Millisecond)),
			}
			if q := (codec.Measured{}).MOS(in); !(q <= most) {
				t.Fatalf("%v: %v with %+v, at most %v", a, q, in, most)
			}
		}
	}
}

func TestProspect(t *testing.T) {
	s := scale{duration: 10 * time.Second}
	p := s.prospect(4)
	if p.below(4) || !p.below(4.01) {
		t.Error("a call of which nothing came yet can be as good as its bound, and no better")
	}
	p.add(2, 5*time.Second)
	p.add(2, 5*time.Second) // half of both legs: the mean is 3 at most
	if p.below(3) || !p.below(3.01) {
		t.Errorf("%+v: it can come to 3, and no further", p)
	}
	p = s.prospect(4)
	p.add(4.5, 5*time.Second)
	if p.below(4.5) { // if nothing more is measured
		t.Errorf("%+v: it has 4.5 by now", p)
	}
}
