package fit

import (
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"github.com/attune-calls/attune/training/lab/network"
)

// chain is a Markov capacity as a recording shows it: averages over steps of a length. In a step that begins and ends in
// the same state, the logarithm of the average is taken for normal; in one between two states, the average is anywhere
// between their rates, because the change may be anywhere in the step.
type chain struct {
	step   time.Duration
	rates  []float64 // of the states, kbit/s, ascending
	dwell  []float64 // mean stay, steps
	centre []float64 // of the logarithm of the averages of a state
	spread []float64 // and their standard deviation, which a state of one rate does not have
}

const (
	// leastSpread of a state: averages within some per cent are the same rate, and a state of equal averages has a density.
	leastSpread = 0.03
	// leastDensity is what a step that no state explains counts, so that a single one decides nothing.
	leastDensity = 1e-3
)

// log is the logarithm of a rate in kbit/s; below 8, which carries no call, all is the same.
func log(kbps float64) float64 { return math.Log(max(kbps, 8)) }

func logs(rates []float64) []float64 {
	all := make([]float64, len(rates))
	for i, v := range rates {
		all[i] = log(v)
	}
	return all
}

// states are those of a network's capacity.
func (c *chain) states() []network.State {
	var all []network.State
	for i, rate := range c.rates {
		if rate < 0.1 {
			rate = 0 // what is left of one by the weights of its steps
		}
		all = append(all, network.State{Kbps: round(rate, 3), MeanDwellMillis: round(c.dwell[i]*float64(c.step/time.Millisecond), 3)})
	}
	return all
}

// shares is the part of the time in each state. The chain moves to each other state with the same chance, so they are as
// the mean stays.
func (c *chain) shares() []float64 { return normalized(c.dwell) }

func normalized(v []float64) []float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	shares := make([]float64, len(v))
	for i, x := range v {
		shares[i] = x / sum
	}
	return shares
}

// moves is the matrix of the chances to be in each state a step later: the exponential of the generator.
func moves(dwell []float64) *mat.Dense {
	k := len(dwell)
	generator := mat.NewDense(k, k, nil)
	for i, stay := range dwell {
		for j := range k {
			generator.Set(i, j, 1/stay/float64(k-1))
		}
		generator.Set(i, i, -1/stay)
	}
	var step mat.Dense
	step.Exp(generator)
	return &step
}

func normalDensity(v, centre, spread float64) float64 {
	z := (v - centre) / spread
	return math.Exp(-z*z/2) / (spread * math.Sqrt(2*math.Pi))
}

// density of the logarithm of a step's average that begins in one state and ends in another.
func (c *chain) density(from, to int, v float64) float64 {
	if from == to {
		return leastDensity + normalDensity(v, c.centre[from], c.spread[from])
	}
	low, high := max(min(c.rates[from], c.rates[to]), 8), max(c.rates[from], c.rates[to], 8)
	if spread := max(c.spread[from], c.spread[to]); math.Log(high/low) < 2*spread {
		return leastDensity + normalDensity(v, math.Log((low+high)/2), spread)
	}
	if rate := math.Exp(v); rate > low && rate < high {
		return leastDensity + rate/(high-low)
	}
	return leastDensity
}

// expectation is what a chain is expected to have done.
type expectation struct {
	likelihood float64 // logarithm
	starts     []float64
	moves      [][]float64 // steps that begin in a state and end in another
	weight     []float64   // steps within a state
	sum        []float64   // of their averages
	first      []float64   // and of their logarithms
	second     []float64   // and of the squares of these
}

// expect runs the forward and backward recursions (Rabiner 1989, Proceedings of the IEEE 77(2), section III). The states are
// those at the borders of the steps.
func (c *chain) expect(pieces [][]float64) *expectation {
	k := len(c.rates)
	e := &expectation{
		starts: make([]float64, k), weight: make([]float64, k), sum: make([]float64, k), first: make([]float64, k), second: make([]float64, k),
	}
	for range k {
		e.moves = append(e.moves, make([]float64, k))
	}
	step, shares := moves(c.dwell), c.shares()
	for _, piece := range pieces {
		n := len(piece)
		chances := make([]float64, n*k*k) // of moving, and of what was recorded then
		alpha, scale := make([]float64, (n+1)*k), make([]float64, n)
		copy(alpha, shares)
		for t, rate := range piece {
			v := log(rate)
			var sum float64
			for i := range k {
				for j := range k {
					w := step.At(i, j) * c.density(i, j, v)
					chances[(t*k+i)*k+j] = w
					alpha[(t+1)*k+j] += alpha[t*k+i] * w
					sum += alpha[t*k+i] * w
				}
			}
			for j := range k {
				alpha[(t+1)*k+j] /= sum
			}
			scale[t] = sum
			e.likelihood += math.Log(sum)
		}
		beta := make([]float64, k)
		for i := range beta {
			beta[i] = 1
		}
		for t := n - 1; t >= 0; t-- {
			earlier, v := make([]float64, k), log(piece[t])
			for i := range k {
				for j := range k {
					w := chances[(t*k+i)*k+j] * beta[j] / scale[t]
					earlier[i] += w
					e.moves[i][j] += alpha[t*k+i] * w
				}
				w := alpha[t*k+i] * chances[(t*k+i)*k+i] * beta[i] / scale[t]
				w *= 1 - leastDensity/c.density(i, i, v) // not there and back within the step
				e.weight[i] += w
				e.sum[i] += w * piece[t]
				e.first[i] += w * v
				e.second[i] += w * v * v
			}
			beta = earlier
		}
		for i := range k {
			e.starts[i] += shares[i] * beta[i]
		}
	}
	return e
}

// improve is one round of expectation and maximisation: rates and spreads from the steps within a state, the mean stays
// by maximum likelihood from the moves.
func (c *chain) improve(e *expectation) *chain {
	next := &chain{step: c.step, dwell: stays(e, c.dwell)}
	for i := range c.rates {
		weight := max(e.weight[i], 1e-9)
		centre := e.first[i] / weight
		next.rates = append(next.rates, e.sum[i]/weight)
		next.centre = append(next.centre, centre)
		next.spread = append(next.spread, max(leastSpread, math.Sqrt(max(0, e.second[i]/weight-centre*centre))))
	}
	return next
}

// stays is the mean stays under which the expected moves are likeliest.
func stays(e *expectation, from []float64) []float64 {
	unlikely := func(logs []float64) float64 {
		dwell := make([]float64, len(logs))
		for i, v := range logs {
			if math.Abs(v) > 15 {
				return math.Inf(1)
			}
			dwell[i] = math.Exp(v)
		}
		step, shares := moves(dwell), normalized(dwell)
		var sum float64
		for i, row := range e.moves {
			sum -= e.starts[i] * math.Log(shares[i])
			for j, n := range row {
				sum -= n * math.Log(max(step.At(i, j), 1e-300))
			}
		}
		return sum
	}
	begin := make([]float64, len(from))
	for i, v := range from {
		begin[i] = math.Log(v)
	}
	result, err := optimize.Minimize(optimize.Problem{Func: unlikely}, begin, &optimize.Settings{
		FuncEvaluations: 100, Converger: &optimize.FunctionConverge{Absolute: 1e-3, Iterations: 10},
	}, &optimize.NelderMead{SimplexSize: 0.3})
	if result == nil || err != nil && result.F >= unlikely(begin) {
		return from
	}
	best := make([]float64, len(from))
	for i, v := range result.X {
		best[i] = math.Exp(v)
	}
	return best
}

// improved climbs until the likelihood no longer rises. It may fall in between: the rates of the states, which the steps
// between two states depend on as well, are taken from those within one.
func (c *chain) improved(pieces [][]float64) (best *chain, likelihood float64) {
	likelihood = math.Inf(-1)
	for vain := 0; vain < 5; {
		e := c.expect(pieces)
		vain++
		if e.likelihood > likelihood {
			if e.likelihood-likelihood > 0.01 {
				vain = 0
			}
			best, likelihood = c, e.likelihood
		}
		c = c.improve(e)
	}
	return best, likelihood
}

// simulate is so many rates of the chain, averaged over a step each.
func (c *chain) simulate(n int, random *rand.Rand) []float64 {
	rates := make([]float64, n)
	state, draw := 0, random.Float64()
	for shares := c.shares(); state < len(shares)-1 && draw >= shares[state]; state++ {
		draw -= shares[state]
	}
	left := random.ExpFloat64() * c.dwell[state]
	for i := range rates {
		for rest := 1.0; rest > 0; {
			part := min(rest, left)
			rates[i] += part * c.rates[state]
			rest -= part
			if left -= part; left <= 0 {
				state = (state + 1 + random.IntN(len(c.rates)-1)) % len(c.rates)
				left = random.ExpFloat64() * c.dwell[state]
			}
		}
	}
	return rates
}
