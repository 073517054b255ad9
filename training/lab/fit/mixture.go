package fit

import (
	"math"
	"slices"
)

// mixture is what a chain has to be better than: the same states, each step's drawn anew. A mixture of one is a constant
// rate.
type mixture struct{ shares, centre, spread []float64 }

// mixed begins with values of even ranks and climbs by expectation and maximisation (Dempster, Laird and Rubin 1977,
// Journal of the Royal Statistical Society B 39(1)).
func mixed(values []float64, k int) *mixture {
	sorted := slices.Sorted(slices.Values(values))
	m := &mixture{}
	for i := range k {
		m.shares = append(m.shares, 1/float64(k))
		m.centre = append(m.centre, quantile(sorted, (float64(i)+0.5)/float64(k)))
		m.spread = append(m.spread, max(leastSpread, math.Sqrt(variance(values))/float64(k)))
	}
	before := math.Inf(-1)
	for range 300 {
		next, likelihood := m.improve(values)
		if !(likelihood-before > 1e-7*math.Abs(likelihood)) {
			break
		}
		m, before = next, likelihood
	}
	return m
}

func (m *mixture) improve(values []float64) (next *mixture, likelihood float64) {
	k := len(m.shares)
	weight, first, second, part := make([]float64, k), make([]float64, k), make([]float64, k), make([]float64, k)
	for _, v := range values {
		total := leastDensity
		for i := range part {
			part[i] = m.shares[i] * normalDensity(v, m.centre[i], m.spread[i])
			total += part[i]
		}
		likelihood += math.Log(total)
		for i, p := range part {
			weight[i] += p / total
			first[i] += p / total * v
			second[i] += p / total * v * v
		}
	}
	next = &mixture{shares: normalized(weight)}
	for i := range k {
		centre := first[i] / max(weight[i], 1e-9)
		next.centre = append(next.centre, centre)
		next.spread = append(next.spread, max(leastSpread, math.Sqrt(max(0, second[i]/max(weight[i], 1e-9)-centre*centre))))
	}
	return next, likelihood
}

func (m *mixture) logLikelihood(values []float64) float64 {
	_, likelihood := m.improve(values)
	return likelihood
}
