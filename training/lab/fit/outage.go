package fit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
)

// outageKbps is up to which rate no call gets through.
const outageKbps = 30

// stretch is a run of steps without capacity, from one up to before another.
type stretch struct{ from, to int }

func (s stretch) length() float64 { return float64(s.to - s.from) }

// runsBelow is the runs of rates up to outageKbps.
func runsBelow(rates []float64) []stretch {
	var all []stretch
	for i, rate := range rates {
		switch {
		case rate > outageKbps:
		case len(all) > 0 && all[len(all)-1].to == i:
			all[len(all)-1].to++
		default:
			all = append(all, stretch{i, i + 1})
		}
	}
	return all
}

// outages is the runs that the others tell nothing of: were they exponentially distributed as a state of the chain makes
// them, as many would have one as long with a chance below one in a hundred. They are no part of the chain.
func outages(runs []stretch) []stretch {
	const least = 10 // steps
	rest := slices.Clone(runs)
	slices.SortFunc(rest, func(a, b stretch) int { return int(a.length() - b.length()) })
	var sum float64
	for _, s := range rest {
		sum += s.length()
	}
	for n := len(rest); n > 0; n-- {
		longest := rest[n-1].length()
		sum -= longest
		usual := 1.0 // of no other
		if n > 1 {
			usual = sum / float64(n-1)
		}
		if longest < least || float64(n)*math.Exp(-longest/usual) > 0.01 {
			return rest[n:]
		}
	}
	return rest
}

// without cuts stretches out of rates, and what is left into pieces.
func without(rates []float64, cut []stretch) [][]float64 {
	slices.SortFunc(cut, func(a, b stretch) int { return a.from - b.from })
	var pieces [][]float64
	from := 0
	for _, s := range append(cut, stretch{len(rates), len(rates)}) {
		if s.from > from {
			pieces = append(pieces, rates[from:s.from])
		}
		from = s.to
	}
	return pieces
}

// longestBelow is the longest time up to outageKbps, in steps.
func longestBelow(rates []float64) float64 {
	var longest float64
	for _, s := range runsBelow(rates) {
		longest = max(longest, s.length())
	}
	return longest
}

// out makes the outages of traces an event of the network: too rare for a state of the chain, and a lost signal stops both
// directions. Where both were recorded, the direction that was longer without tells. Those that are rarer than a state may be
// are left out.
func (f *fitter) out(of string, files []*file, step time.Duration, found [][]stretch) {
	var count, steps, total float64
	for i, file := range files {
		total += float64(file.recording.Trace.Duration() / step)
		for _, s := range found[i] {
			count++
			steps += s.length()
		}
	}
	if steps < leastShare*total {
		return
	}
	milliseconds := float64(step / time.Millisecond)
	o := network.Interruption{
		EveryMillis: round((total-steps)/count*milliseconds, 3), MeanMillis: round(steps/count*milliseconds, 3),
		Source: fmt.Sprintf("fitted to %s: the runs of seconds up to %d kbit/s that are too long for those of the chain (%s)", f.from(files), outageKbps, of),
	}
	share := func(i network.Interruption) float64 { return i.MeanMillis / (i.EveryMillis + i.MeanMillis) }
	if known := f.profile.Events.Outages; known.EveryMillis == 0 || share(known) < share(o) {
		f.profile.Events.Outages = o
	}
}

// interrupted adds the outages of the profile to rates of a step.
func interrupted(rates []float64, o network.Interruption, step time.Duration, random *rand.Rand) []float64 {
	if o.EveryMillis == 0 {
		return rates
	}
	milliseconds := float64(step / time.Millisecond)
	for at := 0.0; ; {
		at += random.ExpFloat64() * o.EveryMillis / milliseconds
		end := at + random.ExpFloat64()*o.MeanMillis/milliseconds
		if at >= float64(len(rates)) {
			return rates
		}
		for i := int(at); float64(i) < end && i < len(rates); i++ {
			rates[i] *= 1 - (min(end, float64(i+1)) - max(at, float64(i)))
		}
		at = end
	}
}
