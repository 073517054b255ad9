package fit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
)

// loss fits the Gilbert-Elliott model to masks.
func (f *fitter) loss(of string, files []*file) error {
	fitTo, held, by := divide(files, func(f *file) []bool { return f.recording.Mask.Lost() })
	if count(fitTo) < minPackets || count(held) == 0 {
		return fmt.Errorf("%d packets to fit to, want at least %d and some to compare with", count(fitTo), minPackets)
	}
	d := &f.profile.Down
	f.profile.Up.Loss = network.Loss{} // a mask is of the whole path
	part := network.FittedPart{Of: of, Samples: count(fitTo), HeldOut: count(held), HeldBy: by}
	share := lostShare(fitTo)
	if share == 0 {
		d.Loss = network.Loss{}
		part.Model, part.Method = "no loss", "no packet was lost"
		part.Measures = []network.Measure{{Name: "packets lost", Against: "held out", Other: round(lostShare(held), 4)}}
		f.parts = append(f.parts, part)
		return nil
	}
	simple := gilbert(fitTo)
	full := elliott(fitTo, simple)
	best, name, method := simple, "Gilbert: a good state that loses nothing, a bad one that loses all",
		"maximum likelihood: the shares of losses after a received and of receptions after a lost packet (Gilbert 1960, Bell System Technical Journal 39(5))"
	if logLikelihood(full, fitTo)-logLikelihood(simple, fitTo) > math.Log(float64(count(fitTo))) { // BIC: two more parameters
		best, name = full, "Gilbert-Elliott: both states lose some"
		method = "maximum likelihood by Baum-Welch (Rabiner 1989, Proceedings of the IEEE 77(2), section III.C), taken over the simpler Gilbert model " +
			"because the Bayesian information criterion (Schwarz 1978, Annals of Statistics 6(2)) prefers it"
	}
	if best.P+best.R > 1 { // the process in continuous time cannot alternate
		sum := best.P + best.R
		best.P, best.R = best.P/sum, best.R/sum
		method += "; losses alternate more than chance would, which the model cannot: taken for independent"
	}
	best.P, best.R, best.Good, best.Bad = round(best.P, 4), round(best.R, 4), round(best.Good, 4), round(best.Bad, 4)
	if best.P+best.R > 1 {
		best.P = math.Floor(1e4*(1-best.R)) / 1e4
	}
	best.Source = "fitted to " + f.from(files) + ": " + method
	d.Loss = best

	n := float64(count(held))
	independent := network.Loss{P: 0, R: 1, Good: min(max(share, 1e-6), 1-1e-6)}
	played := play(best, count(held))
	recordedRuns, modelRuns := runs(held), runs([][]bool{played})
	part.Model, part.Method = name, method
	part.Measures = []network.Measure{
		{Name: "log-likelihood a packet", Model: round(logLikelihood(best, held)/n, 4), Against: "independent losses", Other: round(logLikelihood(independent, held)/n, 4)},
		{Name: "share lost", Model: round(best.Mean(), 4), Against: "held out", Other: round(lostShare(held), 4)},
	}
	if len(recordedRuns) > 0 && len(modelRuns) > 0 {
		part.Measures = append(
			part.Measures,
			network.Measure{Name: "mean loss run, packets", Model: round(mean(modelRuns), 3), Against: "held out", Other: round(mean(recordedRuns), 3)},
			network.Measure{Name: "share of runs longer than 2", Model: round(longer(modelRuns, 2), 3), Against: "held out", Other: round(longer(recordedRuns, 2), 3)},
			network.Measure{Name: "share of runs longer than 5", Model: round(longer(modelRuns, 5), 3), Against: "held out", Other: round(longer(recordedRuns, 5), 3)},
			network.Measure{Name: "KS distance of loss runs", Model: round(ksDistance(modelRuns, recordedRuns), 3)},
		)
	}
	f.parts = append(f.parts, part)
	return nil
}

// minPackets is the least that a loss model is fitted to: 2 s.
const minPackets = 100

func lostShare(pieces [][]bool) float64 {
	var lost int
	for _, p := range pieces {
		for _, l := range p {
			if l {
				lost++
			}
		}
	}
	return float64(lost) / float64(count(pieces))
}

// gilbert is the maximum-likelihood fit with Good = 0 and Bad = 1: the states are seen.
func gilbert(pieces [][]bool) network.Loss {
	var from, moved [2]float64
	for _, p := range pieces {
		for i := 1; i < len(p); i++ {
			before := 0
			if p[i-1] {
				before = 1
			}
			from[before]++
			if p[i] != p[i-1] {
				moved[before]++
			}
		}
	}
	// Half an observation each way (Jeffreys) keeps what was never seen possible.
	return network.Loss{P: (moved[0] + 0.5) / (from[0] + 1), R: (moved[1] + 0.5) / (from[1] + 1), Bad: 1}
}

// elliott improves a start by Baum-Welch until it no longer gets better.
func elliott(pieces [][]bool, start network.Loss) network.Loss {
	m := start
	m.Good, m.Bad = 0.2*lostShare(pieces), 0.8
	before := math.Inf(-1)
	for range 500 {
		next, likelihood := baumWelch(pieces, m)
		if likelihood-before < 1e-6*math.Abs(likelihood) {
			break
		}
		m, before = next, likelihood
	}
	return m
}

// chance is the probability of an observation in a state.
func chance(m network.Loss, state int, lost bool) float64 {
	c := m.Good
	if state == 1 {
		c = m.Bad
	}
	if !lost {
		c = 1 - c
	}
	return max(c, 1e-9)
}

// forward fills the scaled forward probabilities of one piece and returns its log-likelihood.
func forward(m network.Loss, p []bool, alpha [][2]float64, scale []float64) float64 {
	move := [2][2]float64{{1 - m.P, m.P}, {m.R, 1 - m.R}}
	bad := m.P / (m.P + m.R)
	prior := [2]float64{1 - bad, bad}
	var likelihood float64
	for i, lost := range p {
		if i > 0 {
			for s := range prior {
				prior[s] = alpha[i-1][0]*move[0][s] + alpha[i-1][1]*move[1][s]
			}
		}
		a := [2]float64{prior[0] * chance(m, 0, lost), prior[1] * chance(m, 1, lost)}
		sum := a[0] + a[1]
		alpha[i], scale[i] = [2]float64{a[0] / sum, a[1] / sum}, sum
		likelihood += math.Log(sum)
	}
	return likelihood
}

func logLikelihood(m network.Loss, pieces [][]bool) float64 {
	var sum float64
	for _, p := range pieces {
		sum += forward(m, p, make([][2]float64, len(p)), make([]float64, len(p)))
	}
	return sum
}

// baumWelch is one round of expectation and maximisation; the likelihood is that of m.
func baumWelch(pieces [][]bool, m network.Loss) (next network.Loss, likelihood float64) {
	move := [2][2]float64{{1 - m.P, m.P}, {m.R, 1 - m.R}}
	var moves [2][2]float64
	var visits, losses [2]float64
	for _, p := range pieces {
		alpha, scale := make([][2]float64, len(p)), make([]float64, len(p))
		likelihood += forward(m, p, alpha, scale)
		beta := [2]float64{1, 1}
		for i, lost := range slices.Backward(p) {
			for s := range beta {
				visit := alpha[i][s] * beta[s]
				visits[s] += visit
				if lost {
					losses[s] += visit
				}
			}
			if i == 0 {
				break
			}
			var earlier [2]float64
			for s := range earlier {
				for to := range beta {
					weight := move[s][to] * chance(m, to, lost) * beta[to] / scale[i]
					earlier[s] += weight
					moves[s][to] += alpha[i-1][s] * weight
				}
			}
			beta = earlier
		}
	}
	within := func(v float64) float64 { return min(max(v, 1e-6), 1-1e-6) }
	next.P = within(moves[0][1] / (moves[0][0] + moves[0][1]))
	next.R = within(moves[1][0] / (moves[1][0] + moves[1][1]))
	next.Good, next.Bad = losses[0]/visits[0], losses[1]/visits[1]
	return next, likelihood
}

// play is what a link with the model loses of packets every LossStep, at least as many as there are to compare with.
func play(m network.Loss, packets int) []bool {
	link := network.NewLink(network.Direction{Loss: m}, rand.NewPCG(1, 2).Uint64())
	lost := make([]bool, max(packets, 100_000))
	for i := range lost {
		_, dropped := link.Send(time.Duration(i)*network.LossStep, 100, network.UDP)
		lost[i] = dropped != network.Delivered
	}
	return lost
}

// runs is the lengths of the runs of losses.
func runs(pieces [][]bool) []float64 {
	var all []float64
	for _, p := range pieces {
		n := 0.0
		for i, lost := range p {
			if lost {
				n++
			}
			if n > 0 && (!lost || i == len(p)-1) {
				all = append(all, n)
				n = 0
			}
		}
	}
	return all
}

// longer is the share of values above a limit.
func longer(v []float64, limit float64) float64 {
	n := 0.0
	for _, x := range v {
		if x > limit {
			n++
		}
	}
	return n / float64(len(v))
}
