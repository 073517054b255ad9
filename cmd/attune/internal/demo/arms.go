package demo

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/evaluate"
)

// leg is one leg of one real call, from the very segments its client reported. The laboratory knows which network it
// shaped; the reports do not say, and two of the networks have the same type.
type leg struct {
	network  string
	call     uint32 // shared by the two legs of a call
	segments []model.Segment
	failed   bool // not set up, or dropped
}

const alpha = 0.05

// quality is the mean MOS over the time that was measured; a failed leg has the worst.
func (l *leg) quality() float64 {
	if l.failed {
		return model.WorstMOS
	}
	return l.mean(func(s *model.Segment) float64 { return model.ScaleMOS.Value(s.Outcome.MOS) })
}

// kbps is the mean rate sent.
func (l *leg) kbps() float64 {
	return l.mean(func(s *model.Segment) float64 { return model.ScaleRate.Value(s.Outcome.Rate) })
}

// mean weighs a segment by its length and leaves out what was not measured; NaN when nothing was.
func (l *leg) mean(of func(*model.Segment) float64) float64 {
	var sum, seconds float64
	for i := range l.segments {
		s := &l.segments[i]
		if v := of(s); !math.IsNaN(v) {
			sum += v * float64(s.Seconds)
			seconds += float64(s.Seconds)
		}
	}
	return sum / seconds
}

// armOf sums up the legs of one arm.
func armOf(legs []leg) Arm {
	var (
		mos, poor, kbps []float64
		clusters        []uint32
		calls           = map[uint32]bool{}
		seconds         = map[model.Action]float64{}
		total           float64
	)
	for i := range legs {
		l := &legs[i]
		calls[l.call] = true
		clusters = append(clusters, l.call)
		quality := l.quality()
		mos, kbps = append(mos, quality), append(kbps, l.kbps())
		if quality < PoorMOS {
			poor = append(poor, 1)
		} else {
			poor = append(poor, 0)
		}
		for _, s := range l.segments {
			seconds[s.Action] += float64(s.Seconds)
			total += float64(s.Seconds)
		}
	}
	arm := Arm{
		Legs: len(legs), Calls: len(calls),
		MOS:  bounded(evaluate.ClusterMeanInterval(mos, clusters, alpha), model.WorstMOS, 5),
		Poor: bounded(evaluate.ClusterMeanInterval(poor, clusters, alpha), 0, 1),
		Kbps: bounded(evaluate.ClusterMeanInterval(kbps, clusters, alpha), 0, model.ScaleRate.Upper),
	}
	arm.Setting, arm.Share = mostUsed(seconds, total)
	return arm
}

// mostUsed finds the setting in force for the longest time; of two as long, the one with the smaller name.
func mostUsed(seconds map[model.Action]float64, total float64) (string, float64) {
	var best model.Action
	for action, s := range seconds {
		if s > seconds[best] || s == seconds[best] && action.String() < best.String() {
			best = action
		}
	}
	if total == 0 {
		return "none", 0
	}
	return best.String(), seconds[best] / total
}

// bounded keeps an interval inside what the quantity can be; with too few calls the bounds are those limits.
func bounded(e evaluate.Estimate, low, high float64) evaluate.Estimate {
	e.Low, e.High = max(e.Low, low), min(e.High, high)
	return e
}

// compareArms puts two arms on one network side by side. The interval of the gain is Welch's, with the smaller number of
// calls less one as its degrees of freedom, which is on the safe side.
func compareArms(network string, before, after []leg) NetworkResult {
	gain, stderr, degrees := difference(before, after)
	radius := radius(stderr, degrees)
	return NetworkResult{
		Network: network, Before: armOf(before), After: armOf(after),
		Gain: evaluate.Estimate{Value: gain, Low: gain - radius, High: gain + radius, StdErr: stderr},
	}
}

func difference(before, after []leg) (gain, stderr float64, degrees int) {
	b, a := qualityOf(before), qualityOf(after)
	return a.Value - b.Value, math.Hypot(a.StdErr, b.StdErr), min(a.Clusters, b.Clusters) - 1
}

func qualityOf(legs []leg) evaluate.Estimate {
	values, clusters := make([]float64, len(legs)), make([]uint32, len(legs))
	for i := range legs {
		values[i], clusters[i] = legs[i].quality(), legs[i].call
	}
	return evaluate.ClusterMeanInterval(values, clusters, alpha)
}

// radius is half an interval's width; 4, the whole scale, where nothing can be said.
func radius(stderr float64, degrees int) float64 {
	const scale = 4
	if degrees < 1 || math.IsNaN(stderr) {
		return scale
	}
	return min(scale, stderr*distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(degrees)}.Quantile(1-alpha/2))
}

// overall compares the arms over all networks. The gain weighs each network the same, whatever its number of calls.
func overall(networks []string, before, after map[string][]leg) NetworkResult {
	var allBefore, allAfter []leg
	var gain, variance float64
	degrees, counted := 0, 0
	for _, n := range networks {
		allBefore, allAfter = append(allBefore, before[n]...), append(allAfter, after[n]...)
		g, stderr, d := difference(before[n], after[n])
		if math.IsNaN(g) || math.IsNaN(stderr) {
			continue
		}
		gain, variance, degrees = gain+g, variance+stderr*stderr, degrees+d
		counted++
	}
	result := NetworkResult{Network: "all", Before: armOf(allBefore), After: armOf(allAfter)}
	gain /= float64(counted) // NaN when no network has calls enough in both arms
	r := radius(math.Sqrt(variance)/float64(counted), degrees)
	result.Gain = evaluate.Estimate{Value: gain, Low: gain - r, High: gain + r}
	return result
}
