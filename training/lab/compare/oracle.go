package compare

import (
	"cmp"
	"slices"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// The oracle tries every action of the catalogue on a call, and the best one is its own. It does so by branch and bound
// (Land, Doig, "An automatic method of solving discrete programming problems", Econometrica 28, 1960): quality never rises
// with loss, bursts or delay, so that what an action comes to where everything arrives at once bounds every window of it. A
// call that could not become the best even if the rest of it were like that is left there, and one that could not from the
// beginning is not made. What the oracle finds is the same.

// bounds is what each action of a catalogue can come to at most, and the order in which they are tried, the most promising
// first.
type bounds struct {
	most  []float64
	order []int
}

func newBounds(catalogue model.Catalogue) bounds {
	b := bounds{most: make([]float64, len(catalogue)), order: make([]int, len(catalogue))}
	for i, a := range catalogue {
		b.most[i], b.order[i] = mostQuality(a), i
	}
	slices.SortStableFunc(b.order, func(i, j int) int { return cmp.Compare(b.most[j], b.most[i]) })
	return b
}

// mostQuality is the most that any window under an action can come to.
func mostQuality(a model.Action) float64 {
	return codec.Measured{}.MOS(model.QualityInput{Action: a, BurstRatio: 1, OneWayDelay: a.FrameDuration()})
}

// prospect is how good a call can still become.
type prospect struct {
	most float64 // of a window
	left float64 // seconds of windows to come, of both legs together
	mean         // of those that came
}

func (s scale) prospect(most float64) prospect {
	return prospect{most: most, left: 2 * s.duration.Seconds()}
}

func (p *prospect) add(quality float64, length time.Duration) {
	p.mean.add(length, quality)
	p.left -= length.Seconds()
}

// below reports whether the call will be worse than one of a quality, whatever comes. Windows in which nothing is measured
// do not count, so that the rest of the call may be as good as can be, or not be at all.
func (p *prospect) below(quality float64) bool {
	const rounding = 1e-9 // of sums: what is as good is no worse
	quality -= rounding
	return (p.sum+p.left*p.most) < quality*(p.seconds+p.left) && (p.seconds == 0 || p.value() < quality)
}

// best is what the oracle does: the best action, and what came of the call under it. Of equals it is the first of the
// catalogue. Spared is how many calls were not made at all.
func (r *runner) best(c Case) (best int, o Outcome, spared int, err error) {
	best = -1
	for k, i := range r.bounds.order {
		p := r.scale.prospect(r.bounds.most[i])
		if best >= 0 && p.below(o.Quality) { // and so are all that follow
			return best, o, len(r.bounds.order) - k, nil
		}
		left := false
		action := r.config.Catalogue[i]
		tried, err := r.scale.followed(c, func() []policy.Option { return Always(action) }, func(quality float64, length time.Duration) bool {
			p.add(quality, length)
			left = best >= 0 && p.below(o.Quality)
			return !left
		})
		if err != nil {
			return 0, Outcome{}, 0, err
		}
		if !left && (best < 0 || tried.Quality > o.Quality || tried.Quality == o.Quality && i < best) {
			best, o = i, tried
		}
	}
	return best, o, 0, nil
}

// tryAll is best where a per-segment oracle needs to know what came of every action.
func (r *runner) tryAll(c Case) (all []attempt, best int, err error) {
	all = make([]attempt, len(r.config.Catalogue))
	for i, a := range r.config.Catalogue {
		held := slices.Repeat([]model.Action{a}, r.scale.intervals())
		if all[i], err = r.scale.follow(c, held); err != nil {
			return nil, 0, err
		}
		if all[i].Quality > all[best].Quality {
			best = i
		}
	}
	return all, best, nil
}
