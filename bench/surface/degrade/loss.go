package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/attune-calls/attune/training/lab/network"
)

// lossModel says which packets are lost: a share of them, in runs whose mean length is Burst times that of independent
// loss (the burst ratio of ITU-T G.107; two states after Gilbert), or as a recorded mask has it, from a random place on.
type lossModel struct {
	Mean  float64 `json:"mean,omitempty"`
	Burst float64 `json:"burst,omitempty"` // 0 = 1, independent
	Mask  string  `json:"mask,omitempty"`  // a file, one 0 or 1 for each packet
}

// draw decides for each packet; the first always comes.
func (l lossModel) draw(packets int, seed uint64) ([]bool, error) {
	lost := make([]bool, packets)
	rng := rand.New(rand.NewPCG(seed, 0x5eed))
	if l.Mask != "" {
		return lost, l.fromMask(lost, rng)
	}
	burst := max(l.Burst, 1)
	if !(l.Mean >= 0 && l.Mean < 1) || !(burst*(1-l.Mean) >= l.Mean || burst == 1) {
		return nil, fmt.Errorf("loss of %v with burst ratio %v: no such process", l.Mean, l.Burst)
	}
	bad := false
	for i := range lost {
		if bad {
			bad = rng.Float64() >= (1-l.Mean)/burst
		} else {
			bad = rng.Float64() < l.Mean/burst
		}
		lost[i] = bad && i > 0
	}
	return lost, nil
}

func (l lossModel) fromMask(lost []bool, rng *rand.Rand) error {
	mask, err := network.LoadMask(l.Mask)
	if err != nil {
		return err
	}
	pattern := mask.Lost()
	at := rng.IntN(len(pattern))
	for i := range lost {
		lost[i] = i > 0 && pattern[(at+i)%len(pattern)]
	}
	return nil
}
