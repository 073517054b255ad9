package fit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/attune-calls/attune/training/lab/network"
)

// capacityStep is the length over which a trace is averaged before states are looked for.
const capacityStep = time.Second

// minSeconds is the least that a capacity model is fitted to.
const minSeconds = 30

// capacity fits a Markov chain of two or three rates to traces.
func (f *fitter) capacity(of string, files []*file) error {
	fitTo, held, by := divide(files, func(f *file) []float64 { return f.recording.Trace.Rates(capacityStep) })
	if count(fitTo) < minSeconds || count(held) == 0 {
		return fmt.Errorf("%d s to fit to, want at least %d s and some to compare with", count(fitTo), minSeconds)
	}
	d := &f.profile.Down
	if strings.HasPrefix(of, "up") {
		d = &f.profile.Up
	}
	part := network.FittedPart{Of: of, Samples: count(fitTo), HeldOut: count(held), HeldBy: by}
	recorded := slices.Concat(held...)
	chain, ok := fitChain(fitTo)
	if !ok {
		average := mean(slices.Concat(fitTo...))
		part.Model, part.Method = "constant", "mean of 1 s sums, which hardly vary"
		d.Capacity = network.Capacity{Kbps: round(average, 4), Source: "fitted to " + f.from(files) + ": " + part.Method}
		part.Measures = []network.Measure{{Name: "mean, kbit/s", Model: d.Capacity.Kbps, Against: "held out", Other: round(mean(recorded), 4)}}
		f.parts = append(f.parts, part)
		return nil
	}
	part.Model = fmt.Sprintf("Markov chain of %d rates", len(chain.states))
	part.Method = "1 s sums in classes by k-means of the logarithm (Lloyd 1982, IEEE Transactions on Information Theory 28(2)); " +
		"rate = mean of the class; stays in the lowest class last as recorded on average, the others such that the shares of time are the recorded ones"
	d.Capacity = network.Capacity{States: chain.states, Source: "fitted to " + f.from(files) + ": " + part.Method}
	simulated := chain.simulate(max(20_000, len(recorded)))
	share := func(v []float64, limit float64) float64 { return round(1-longer(v, limit), 3) }
	part.Measures = []network.Measure{
		{Name: "log-likelihood of the class, a second", Model: round(chain.logLikelihood(held), 4), Against: "independent classes", Other: round(chain.independent(held), 4)},
		{Name: "mean, kbit/s", Model: round(mean(simulated), 4), Against: "held out", Other: round(mean(recorded), 4)},
		{Name: "share of seconds up to 30 kbit/s", Model: share(simulated, 30), Against: "held out", Other: share(recorded, 30)},
		{Name: "share of seconds up to 100 kbit/s", Model: share(simulated, 100), Against: "held out", Other: share(recorded, 100)},
		{Name: "mean stay in the lowest class, s", Model: chain.states[0].MeanDwellMillis / 1000, Against: "held out", Other: round(chain.lowestStay(held), 3)},
		{Name: "KS distance of 1 s sums", Model: round(ksDistance(simulated, recorded), 3)},
		{Name: "correlation of the logarithm with the second before", Model: round(lagOne(logs(simulated)), 3), Against: "held out", Other: round(lagOne(logs(recorded)), 3)},
	}
	f.parts = append(f.parts, part)
	return nil
}

// chain is a fitted Markov capacity.
type chain struct {
	states []network.State
	shares []float64 // of time
	limits []float64 // between the classes, in the logarithm, ascending
}

// log is the logarithm of a rate in kbit/s; below 8, which carries no call, all is the same.
func log(kbps float64) float64 { return math.Log(max(kbps, 8)) }

func logs(rates []float64) []float64 {
	all := make([]float64, len(rates))
	for i, v := range rates {
		all[i] = log(v)
	}
	return all
}

// fitChain takes three classes, or two if one of the three is hardly ever visited. It fails for a rate that never
// changes.
func fitChain(pieces [][]float64) (*chain, bool) {
	for k := 3; k >= 2; k-- {
		if c, ok := fitClasses(pieces, k); ok {
			return c, true
		}
	}
	return nil, false
}

// leastShare is the least part of the time a class has to have.
const leastShare = 0.01

func fitClasses(pieces [][]float64, k int) (*chain, bool) {
	all := logs(slices.Concat(pieces...))
	slices.Sort(all)
	if all[len(all)-1]-all[0] < 0.1 { // within 10 %
		return nil, false
	}
	c := &chain{limits: lloyd(all, k)}
	if c.limits == nil {
		return nil, false
	}
	sums, times := make([]float64, k), make([]float64, k)
	var moves, stays float64 // stays in the lowest class
	for _, p := range pieces {
		for i, rate := range p {
			class := c.class(rate)
			sums[class] += rate
			times[class]++
			if i > 0 && class != c.class(p[i-1]) {
				moves++
			}
			if class == 0 && (i == 0 || c.class(p[i-1]) != 0) {
				stays++
			}
		}
	}
	total := float64(count(pieces))
	if slices.Min(times) < max(2, leastShare*total) || moves < 2 {
		return nil, false
	}
	// The chain moves to each other state with the same chance, so its shares of time are those of the mean stays.
	lowestStay := times[0] / max(stays, 1)
	for i := range k {
		share := times[i] / total
		c.shares = append(c.shares, share)
		c.states = append(c.states, network.State{
			Kbps:            round(sums[i]/times[i], 3),
			MeanDwellMillis: round(lowestStay*times[i]/times[0]*float64(capacityStep/time.Millisecond), 3),
		})
	}
	return c, true
}

// lloyd is k-means of sorted values; it returns the limits between the classes, or nil if a class is empty.
func lloyd(sorted []float64, k int) []float64 {
	centres := make([]float64, k)
	low, high := sorted[0], sorted[len(sorted)-1]
	for i := range centres {
		centres[i] = low + (high-low)*(float64(i)+0.5)/float64(k)
	}
	limits := make([]float64, k-1)
	for range 200 {
		for i := range limits {
			limits[i] = (centres[i] + centres[i+1]) / 2
		}
		from, changed := 0, false
		for i := range centres {
			to := len(sorted)
			if i < k-1 {
				to, _ = slices.BinarySearch(sorted, limits[i])
			}
			if to == from {
				return nil
			}
			if m := mean(sorted[from:to]); m != centres[i] {
				centres[i], changed = m, true
			}
			from = to
		}
		if !changed {
			break
		}
	}
	return limits
}

// class is the state that a rate belongs to.
func (c *chain) class(rate float64) int {
	class, l := 0, log(rate)
	for class < len(c.limits) && l >= c.limits[class] {
		class++
	}
	return class
}

// step is the matrix of the chances to be in each state a step later: the exponential of the generator.
func (c *chain) step() *mat.Dense {
	k := len(c.states)
	generator := mat.NewDense(k, k, nil)
	for i, s := range c.states {
		rate := float64(capacityStep/time.Millisecond) / s.MeanDwellMillis
		for j := range k {
			generator.Set(i, j, rate/float64(k-1))
		}
		generator.Set(i, i, -rate)
	}
	var step mat.Dense
	step.Exp(generator)
	return &step
}

// logLikelihood is that of the classes of some rates, a step.
func (c *chain) logLikelihood(pieces [][]float64) float64 {
	step := c.step()
	var sum, n float64
	for _, p := range pieces {
		for i := 1; i < len(p); i++ {
			sum += math.Log(max(step.At(c.class(p[i-1]), c.class(p[i])), 1e-9))
			n++
		}
	}
	return sum / max(n, 1)
}

// independent is the log-likelihood if each step were drawn by the shares of time.
func (c *chain) independent(pieces [][]float64) float64 {
	var sum, n float64
	for _, p := range pieces {
		for i := 1; i < len(p); i++ {
			sum += math.Log(c.shares[c.class(p[i])])
			n++
		}
	}
	return sum / max(n, 1)
}

// lowestStay is how many steps the lowest class lasts on average.
func (c *chain) lowestStay(pieces [][]float64) float64 {
	var stays, steps float64
	for _, p := range pieces {
		for i, rate := range p {
			if c.class(rate) != 0 {
				continue
			}
			steps++
			if i == 0 || c.class(p[i-1]) != 0 {
				stays++
			}
		}
	}
	return steps / max(stays, 1)
}

// simulate is so many rates of the chain, averaged over a step each.
func (c *chain) simulate(n int) []float64 {
	random := rand.New(rand.NewPCG(1, 2))
	state, left := 0, random.ExpFloat64()*c.states[0].MeanDwellMillis
	rates := make([]float64, n)
	length := float64(capacityStep / time.Millisecond)
	for i := range rates {
		var sum float64
		for rest := length; rest > 0; {
			part := min(rest, left)
			sum += part * c.states[state].Kbps
			rest -= part
			if left -= part; left <= 0 {
				state = (state + 1 + random.IntN(len(c.states)-1)) % len(c.states)
				left = random.ExpFloat64() * c.states[state].MeanDwellMillis
			}
		}
		rates[i] = sum / length
	}
	return rates
}
