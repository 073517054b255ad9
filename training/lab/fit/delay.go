package fit

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-calls/attune/training/lab/network"
)

// delay fits propagation and log-normal jitter to round trip times.
func (f *fitter) delay(_ string, files []*file) error {
	fitTo, held, by := divide(files, func(f *file) []float64 { return f.recording.Series.Millis() })
	sample, compare := slices.Concat(fitTo...), slices.Concat(held...)
	if len(sample) < minRoundTrips || len(compare) == 0 {
		return fmt.Errorf("%d round trip times to fit to, want at least %d and some to compare with", len(sample), minRoundTrips)
	}
	m, err := fitLogNormal(sample)
	if err != nil {
		return err
	}
	way := m.oneWay()
	var lag []float64
	for _, piece := range held {
		if len(piece) > 2 {
			lag = append(lag, lagOne(piece))
		}
	}
	const method = "shift by the quantile method (Aitchison and Brown 1957, The Lognormal Distribution), then maximum likelihood of the " +
		"logarithms; each way has half the shift, and jitter with half the mean and half the variance (Fenton 1960, IRE Transactions on " +
		"Communications Systems 8(1)), so that the sum of both ways is the round trip"
	from := "fitted to " + f.from(files)
	for _, d := range []*network.Direction{&f.profile.Up, &f.profile.Down} {
		d.Propagation = network.Propagation{Millis: round(m.shift/2, 5), Source: from + ": half of the shift of the round trip times"}
		d.Jitter = network.Jitter{
			Distribution: network.JitterLogNormal, Millis: round(way.median, 4), Spread: round(way.spread, 4),
			MaxMillis: math.Ceil(min(slices.Max(sample)-m.shift, 10_000)), Source: from + ": " + method,
		}
	}
	simulated := simulate(m.shift, f.profile.Down.Jitter, max(20_000, len(compare)))
	slices.Sort(simulated)
	recorded := slices.Sorted(slices.Values(compare))
	normal := gaussian{mean(sample), math.Sqrt(variance(sample))}
	part := network.FittedPart{
		Of: "propagation and jitter, both ways", Model: "constant and log-normal", Method: method,
		Samples: len(sample), HeldOut: len(compare), HeldBy: by,
		Measures: []network.Measure{
			{Name: "log-likelihood a round trip", Model: round(m.logLikelihood(compare), 4), Against: "normal distribution", Other: round(normal.logLikelihood(compare), 4)},
			{Name: "KS distance of round trip times", Model: round(ksDistance(simulated, recorded), 3)},
		},
	}
	for _, q := range []float64{0.05, 0.5, 0.95, 0.99} {
		part.Measures = append(part.Measures, network.Measure{
			Name: fmt.Sprintf("round trip, %.0f %% quantile, ms", 100*q), Model: round(quantile(simulated, q), 4), Against: "held out", Other: round(quantile(recorded, q), 4),
		})
	}
	if len(lag) > 0 {
		part.Measures = append(part.Measures, network.Measure{Name: "correlation with the round trip before", Against: "held out", Other: round(mean(lag), 3)})
	}
	f.parts = append(f.parts, part)
	return nil
}

// minRoundTrips is the least that a delay model is fitted to.
const minRoundTrips = 30

// logNormal is a shifted log-normal distribution, ms.
type logNormal struct{ shift, mu, sigma float64 }

// fitLogNormal finds the shift such that the 5 %, 50 % and 95 % quantiles are those of a log-normal distribution.
func fitLogNormal(sample []float64) (logNormal, error) {
	sorted := slices.Sorted(slices.Values(sample))
	low, middle, high := quantile(sorted, 0.05), quantile(sorted, 0.5), quantile(sorted, 0.95)
	if high <= low {
		return logNormal{}, errors.New("the round trip times hardly differ; there is no jitter to fit")
	}
	least := sorted[0]
	shift := 0.0 // skewed to the left: no shift makes it log-normal, and none is the mildest
	if bend := low + high - 2*middle; bend > 0 {
		shift = (low*high - middle*middle) / bend
	}
	// Below the least time, so that each has a logarithm, by a twentieth of the way to the median.
	shift = max(0, min(shift, least-0.05*(middle-least)))
	if shift == least {
		shift = 0.99 * least
	}
	logs := make([]float64, len(sample))
	for i, v := range sample {
		logs[i] = math.Log(v - shift)
	}
	return logNormal{shift, mean(logs), math.Sqrt(variance(logs))}, nil
}

// logLikelihood is the mean over a sample. Times that the distribution cannot produce count as one microsecond above
// the shift.
func (m logNormal) logLikelihood(sample []float64) float64 {
	var sum float64
	for _, v := range sample {
		l := math.Log(max(v-m.shift, 0.001))
		z := (l - m.mu) / m.sigma
		sum += -l - math.Log(m.sigma) - 0.5*math.Log(2*math.Pi) - z*z/2
	}
	return sum / float64(len(sample))
}

// jitter is the log-normal jitter of one way: its median, ms, and the spread of its logarithm.
type jitter struct{ median, spread float64 }

// oneWay is the jitter of which two independent ones have the mean and the variance of the round trip.
func (m logNormal) oneWay() jitter {
	average := math.Exp(m.mu + m.sigma*m.sigma/2)
	squared := average * average * (math.Exp(m.sigma*m.sigma) - 1) // the variance
	spread := math.Sqrt(math.Log(1 + (squared/2)/(average*average/4)))
	return jitter{average / 2 / math.Exp(spread*spread/2), spread}
}

// simulate draws round trips of the fitted profile.
func simulate(shift float64, j network.Jitter, n int) []float64 {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() float64 { return min(j.Millis*math.Exp(j.Spread*random.NormFloat64()), j.MaxMillis) }
	all := make([]float64, n)
	for i := range all {
		all[i] = shift + draw() + draw()
	}
	return all
}

// gaussian is the simpler model to compare with.
type gaussian struct{ mean, deviation float64 }

func (g gaussian) logLikelihood(sample []float64) float64 {
	var sum float64
	for _, v := range sample {
		z := (v - g.mean) / g.deviation
		sum += -math.Log(g.deviation) - 0.5*math.Log(2*math.Pi) - z*z/2
	}
	return sum / float64(len(sample))
}
