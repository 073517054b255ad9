package compare

import "math"

// binsPerMOS is the resolution of a distribution of qualities: quantiles are exact to half of 1/1000.
const binsPerMOS = 1000

const qualityBins = 4*binsPerMOS + 1 // 1..5

// tally sums up calls. Its size does not depend on how many they are.
type tally struct {
	Calls       int64
	Quality     float64 // sums
	Kbps        float64
	Poor        int64
	PoorVIA     int64
	SetupFailed int64
	Dropped     int64
	bins        []uint32 // by quality
}

// add adds a call. Quantiles need room, and are only kept where that is wanted for all calls.
func (t *tally) add(o Outcome, quantiles bool) {
	if t.bins == nil && quantiles {
		t.bins = make([]uint32, qualityBins)
	}
	t.Calls++
	t.Quality += o.Quality
	t.Kbps += o.Kbps
	t.Poor += one(o.Poor())
	t.PoorVIA += one(o.PoorVIA)
	t.SetupFailed += one(o.SetupFailed)
	t.Dropped += one(o.Dropped)
	if quantiles {
		t.bins[min(max(int(math.Round((o.Quality-1)*binsPerMOS)), 0), qualityBins-1)]++
	}
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// quantile is the least quality that a share q of the calls does not exceed: the ceil(q n)-th from below.
func (t *tally) quantile(q float64) float64 {
	rank := int64(math.Ceil(q * float64(t.Calls)))
	seen := int64(0)
	for i, n := range t.bins {
		if seen += int64(n); n > 0 && seen >= rank {
			return 1 + float64(i)/binsPerMOS
		}
	}
	return math.NaN()
}

// sums is what is kept of a seed's calls of one slice under one contender.
type sums struct {
	Calls       int64   `json:"calls"`
	Mean        float64 `json:"mean"`
	Median      float64 `json:"median"` // 0 where quantiles are not kept, as P5
	P5          float64 `json:"p5"`
	Poor        float64 `json:"poor"` // shares of the calls
	PoorVIA     float64 `json:"poorVIA"`
	Kbps        float64 `json:"kbps"` // of the calls that were set up; 0 without one
	SetupFailed float64 `json:"setupFailed"`
	Dropped     float64 `json:"dropped"`
}

func (t *tally) sums() sums {
	if t.Calls == 0 {
		return sums{}
	}
	n := float64(t.Calls)
	s := sums{
		Calls: t.Calls, Mean: t.Quality / n,
		Poor: float64(t.Poor) / n, PoorVIA: float64(t.PoorVIA) / n,
		SetupFailed: float64(t.SetupFailed) / n, Dropped: float64(t.Dropped) / n,
	}
	if t.bins != nil {
		s.Median, s.P5 = t.quantile(0.5), t.quantile(0.05)
	}
	if up := t.Calls - t.SetupFailed; up > 0 {
		s.Kbps = t.Kbps / float64(up)
	}
	return s
}

// scheduled counts what the per-segment oracle did.
type scheduled struct {
	Calls   int64 `json:"calls"`
	Changed int64 `json:"changed"` // calls in which it changed the action
	Changes int64 `json:"changes"`
}

func (s *scheduled) add(f *found) {
	s.Calls++
	s.Changed += one(f.changes > 0)
	s.Changes += int64(f.changes)
}
