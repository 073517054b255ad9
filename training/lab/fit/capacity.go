package fit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
)

// minSteps is the least that a capacity model is fitted to.
const minSteps = 30

// stepsOf is the lengths over which traces are averaged, in the order they are tried: a second, which is what a decision in a
// call can follow, or less where only less shows the states. No step is shorter than what the traces tell.
func stepsOf(files []*file) []time.Duration {
	var finest time.Duration
	for _, f := range files {
		finest = max(finest, f.recording.Trace.Resolution())
	}
	longest := max(time.Second, (finest + time.Second - 1).Truncate(time.Second))
	steps := []time.Duration{longest}
	if short := 200 * time.Millisecond; finest <= short {
		steps = append(steps, short)
	}
	return steps
}

// sample is traces averaged over steps of a length.
type sample struct {
	step         time.Duration
	fitTo, held  [][]float64 // without outages
	recorded     [][]float64 // what was held out, whole
	by           string
	outages      [][]stretch // of each file
	longestBelow float64     // in any file, steps
	total        int         // steps, of all files
}

func newSample(files []*file, step time.Duration) *sample {
	s := &sample{step: step}
	for _, f := range files {
		rates := f.recording.Trace.Rates(step)
		s.outages = append(s.outages, outages(runsBelow(rates)))
		s.longestBelow = max(s.longestBelow, longestBelow(rates))
		s.total += len(rates)
	}
	rest := func(f *file) []float64 {
		return slices.Concat(without(f.recording.Trace.Rates(step), s.outages[slices.Index(files, f)])...)
	}
	s.fitTo, s.held, s.by = divide(files, rest)
	_, s.recorded, _ = divide(files, func(f *file) []float64 { return f.recording.Trace.Rates(step) })
	return s
}

// capacity fits a Markov chain of two or three rates to traces, or a constant.
func (f *fitter) capacity(of string, files []*file) error {
	d := &f.profile.Down
	if strings.HasPrefix(of, "up") {
		d = &f.profile.Up
	}
	var why error
	for _, step := range stepsOf(files) {
		s := newSample(files, step)
		if count(s.fitTo) < minSteps || count(s.held) == 0 {
			return fmt.Errorf("%d steps of %v to fit to, want at least %d and some to compare with", count(s.fitTo), step, minSteps)
		}
		c, held, err := fitChain(s)
		switch {
		case err != nil:
			why = err
		case c == nil:
			f.constant(of, files, s, d)
			return nil
		default:
			f.chain(of, files, s, d, c, held)
			return nil
		}
	}
	return fmt.Errorf("%w; take the traces themselves (up and down in a suite file, or --networks)", why)
}

// mostSpread is up to which standard deviation of its logarithm a rate counts as constant: a quarter up or down.
const mostSpread = 0.25

// leastShare is the least part of the time a state has to have.
const leastShare = 0.01

// likelihoods of what was held out, a step.
type likelihoods struct{ chain, independent float64 }

// fitChain takes the chain of two or three states, or the constant rate (nil), that the Bayesian information criterion
// prefers (Schwarz 1978, Annals of Statistics 6(2)). A chain must tell more of what was held out than independent draws of
// its states would, and its states must last a step: else there is no memory in it.
func fitChain(s *sample) (best *chain, held likelihoods, err error) {
	values := logs(slices.Concat(s.fitTo...))
	n := float64(len(values))
	spread := math.Sqrt(variance(values))
	criterion := math.Inf(-1)
	if constant := mixed(values, 1); spread <= mostSpread {
		criterion = constant.logLikelihood(values) - math.Log(n) // half of two parameters
	}
	why := "the states of a chain differ too little"
	recorded := logs(slices.Concat(s.held...))
	for k := 2; k <= 3; k++ {
		independent := mixed(values, k)
		c, likelihood := s.climb(independent)
		if c == nil {
			continue
		}
		of := likelihoods{c.expect(s.held).likelihood / float64(len(recorded)), independent.logLikelihood(recorded) / float64(len(recorded))}
		switch {
		case slices.Min(c.dwell) < 1:
			why = fmt.Sprintf("it changes within %v", s.step)
		case slices.Min(c.shares()) < leastShare:
		case of.chain <= of.independent:
			why = fmt.Sprintf("what comes next hardly depends on what was (log-likelihood %.3f a step, %.3f without memory)", of.chain, of.independent)
		case likelihood-0.5*float64(3*k)*math.Log(n) > criterion:
			best, held, criterion = c, of, likelihood-0.5*float64(3*k)*math.Log(n)
		}
	}
	if math.IsInf(criterion, -1) {
		return nil, held, fmt.Errorf("no chain of two or three rates describes how the capacity varies from one %v to the next: %s", s.step, why)
	}
	return best, held, nil
}

// climb fits a chain, from the states of a mixture and from even classes, with stays of some lengths: the likelihood has
// several summits.
func (s *sample) climb(m *mixture) (best *chain, likelihood float64) {
	likelihood = math.Inf(-1)
	values := slices.Sorted(slices.Values(logs(slices.Concat(s.fitTo...))))
	k := len(m.centre)
	even := &mixture{}
	for i := range k {
		low, high := quantile(values, 0.005), quantile(values, 0.995)
		even.centre = append(even.centre, low+(high-low)*(float64(i)+0.5)/float64(k))
		even.spread = append(even.spread, max(leastSpread, (high-low)/float64(2*k)))
	}
	for _, start := range []*mixture{m, even} {
		for _, stay := range []float64{3, 15} {
			c := &chain{step: s.step}
			for i, centre := range start.centre {
				c.centre, c.spread = append(c.centre, centre), append(c.spread, start.spread[i])
				c.rates, c.dwell = append(c.rates, math.Exp(centre)), append(c.dwell, stay)
			}
			if c, l := c.improved(s.fitTo); l > likelihood && c.ascends() {
				best, likelihood = c, l
			}
		}
	}
	return best, likelihood
}

// ascends reports whether the states are in the order of their rates, each above the one before.
func (c *chain) ascends() bool {
	for i := range c.rates {
		if i > 0 && !(round(c.rates[i], 3) > round(c.rates[i-1], 3)) {
			return false
		}
	}
	return true
}

// constant takes the mean rate.
func (f *fitter) constant(of string, files []*file, s *sample, d *network.Direction) {
	recorded := slices.Concat(s.held...)
	part := network.FittedPart{
		Of: of, Model: "constant", Samples: count(s.fitTo), HeldOut: len(recorded), HeldBy: s.by,
		Method: fmt.Sprintf("mean of averages over %v, which the Bayesian information criterion prefers to a chain of rates", s.step),
	}
	d.Capacity = network.Capacity{Kbps: round(mean(slices.Concat(s.fitTo...)), 4), Source: "fitted to " + f.from(files) + ": " + part.Method}
	part.Measures = []network.Measure{
		{Name: "mean, kbit/s", Model: d.Capacity.Kbps, Against: "held out", Other: round(mean(recorded), 4)},
		{Name: "standard deviation of the logarithm", Against: "held out", Other: round(math.Sqrt(variance(logs(recorded))), 3)},
	}
	f.out(of, files, s.step, s.outages)
	f.parts = append(f.parts, part)
}

// chain takes a chain of rates.
func (f *fitter) chain(of string, files []*file, s *sample, d *network.Direction, c *chain, held likelihoods) {
	part := network.FittedPart{
		Of: of, Model: fmt.Sprintf("Markov chain of %d rates", len(c.rates)), Samples: count(s.fitTo), HeldOut: count(s.recorded), HeldBy: s.by,
		Method: fmt.Sprintf("maximum likelihood of averages over %v under a hidden Markov chain with a mean stay for each state, by expectation and "+
			"maximisation (Rabiner 1989, Proceedings of the IEEE 77(2)); number of states by the Bayesian information criterion", s.step),
	}
	f.out(of, files, s.step, s.outages)
	if f.profile.Events.Outages.EveryMillis > 0 {
		part.Method += "; outages by events.outages"
	}
	d.Capacity = network.Capacity{States: c.states(), Source: "fitted to " + f.from(files) + ": " + part.Method}
	random := rand.New(rand.NewPCG(1, 2))
	o := f.profile.Events.Outages
	simulated := interrupted(c.simulate(max(20_000, s.total), random), o, s.step, random)
	recorded := slices.Concat(s.recorded...)
	share := func(v []float64, limit float64) float64 { return round(1-longer(v, limit), 3) }
	compare := func(name string, of func([]float64) float64) {
		part.Measures = append(part.Measures, network.Measure{Name: name, Model: of(simulated), Against: "held out", Other: of(recorded)})
	}
	part.Measures = []network.Measure{
		{Name: "log-likelihood a step", Model: round(held.chain, 4), Against: "independent draws of the states", Other: round(held.independent, 4)},
	}
	compare("mean, kbit/s", func(v []float64) float64 { return round(mean(v), 4) })
	limits := []float64{outageKbps, 100}
	for i := 1; i < len(c.rates); i++ {
		limits = append(limits, round(math.Sqrt(max(c.rates[i-1], 8)*c.rates[i]), 2))
	}
	for _, limit := range limits {
		compare(fmt.Sprintf("share of steps up to %v kbit/s", limit), func(v []float64) float64 { return share(v, limit) })
	}
	compare("correlation of the logarithm with the step before", func(v []float64) float64 { return round(lagOne(logs(v)), 3) })
	var passes []float64 // the longest time without capacity of each
	for range 101 {
		passes = append(passes, longestBelow(interrupted(c.simulate(s.total, random), o, s.step, random)))
	}
	slices.Sort(passes)
	seconds := s.step.Seconds()
	part.Measures = append(part.Measures, network.Measure{
		Name:  fmt.Sprintf("longest time up to %d kbit/s in %.0f s (median of 101 runs)", outageKbps, float64(s.total)*seconds),
		Model: round(quantile(passes, 0.5)*seconds, 3), Against: "all files", Other: round(s.longestBelow*seconds, 3),
	})
	f.parts = append(f.parts, part)
}
