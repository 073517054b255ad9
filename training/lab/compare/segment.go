package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// The per-segment oracle may change the action at every decision of a call. It knows everything: network, seed, and what
// came of every action of the catalogue kept for the whole call, segment by segment.
//
// It is a greedy search forward. It begins with the action that is best for the whole call, which is what the oracle
// does. At each decision, from the first to the last, it tries the actions that did best in this segment, and those that
// did best from here to the end, of the calls that kept to one action: each for this segment only, with the schedule
// so far after it, and for the rest of the call. The best call of all is kept if it is better than the one before. What
// a change costs, an ICE restart or a queue that is full, is in the simulation. So it is never below the oracle on any
// call.
//
// It is a lower bound of what the best schedule could do, of which there are 234^15 for a call of a minute. Both sides of
// the call follow one schedule.
const (
	segmentCandidates = 6  // actions of each kind
	mostSegments      = 15 // that are searched, those of a call of a minute; those of longer calls are longer
)

// segmentTries is how many simulations of a call the per-segment oracle makes at most, beyond those of the oracle.
func (s scale) segmentTries() int {
	step := s.segmentStep()
	return (s.intervals() + step - 1) / step * 2 * 2 * segmentCandidates
}

// segmentStep is how many decision intervals are one segment of the search.
func (s scale) segmentStep() int { return (s.intervals() + mostSegments - 1) / mostSegments }

// attempt is a call under a schedule and what came of it.
type attempt struct {
	Outcome
	course course
}

// course is the quality of a call by decision interval, which is a window of the judge: of both legs, the sum of seconds
// times MOS, and of seconds.
type course []struct{ sum, seconds float64 }

// gain is what an interval contributes above a mean quality.
func (c course) gain(i int, mean float64) float64 { return c[i].sum - mean*c[i].seconds }

// schedule decides for an action in each decision interval of one leg.
type schedule struct {
	actions    []model.Action
	began, now time.Time // when media began, to the second, and when the segment before ended
}

func (s *schedule) Decide(*model.Context, *model.Measurement) model.Action {
	at := int((s.now.Sub(s.began) + staticInterval/2) / staticInterval)
	return s.actions[min(at, len(s.actions)-1)]
}

func (s *schedule) event(e policy.Event) {
	if e.Kind != policy.EventSegment {
		return
	}
	if s.now = e.At; s.began.IsZero() {
		s.began = e.At.Add(-time.Duration(e.Segment.Seconds) * time.Second)
	}
}

// intervals is how many decisions a call has.
func (s scale) intervals() int { return max(1, int((s.duration+staticInterval-1)/staticInterval)) }

// follow makes a call under a schedule.
func (s scale) follow(c Case, actions []model.Action) (attempt, error) {
	a := attempt{course: make(course, s.intervals())}
	var err error
	windows := 0
	a.Outcome, err = s.followed(c, func() []policy.Option {
		leg := &schedule{actions: actions}
		return []policy.Option{policy.WithRule(leg), policy.WithInterval(staticInterval), policy.WithEvents(leg.event)}
	}, func(quality float64, length time.Duration) bool {
		if i := windows / 2; i < len(a.course) && !math.IsNaN(quality) { // both legs, one after the other
			a.course[i].sum += quality * length.Seconds()
			a.course[i].seconds += length.Seconds()
		}
		windows++
		return true
	})
	if a.Dropped { // from where nothing was heard any more on
		last := len(a.course)
		for last > 0 && a.course[last-1].seconds == 0 {
			last--
		}
		for i := last; i < len(a.course); i++ {
			a.course[i].sum, a.course[i].seconds = 2*staticInterval.Seconds()*model.WorstMOS, 2*staticInterval.Seconds()
		}
	}
	return a, err
}

// found is what the per-segment oracle came to.
type found struct {
	Outcome
	changes   int // of the action within the call
	simulated int // calls
}

// bySegment searches a schedule. All is what came of each action of the catalogue, and best the best of them.
func (r *runner) bySegment(c Case, all []attempt, best int) (found, error) {
	n, step := r.scale.intervals(), r.scale.segmentStep()
	held := make([]int, n)
	for i := range held {
		held[i] = best
	}
	kept := all[best]
	f := found{Outcome: kept.Outcome}
	if kept.SetupFailed { // nothing of the catalogue gets through
		return f, nil
	}
	for from := 0; from < n; from += step {
		to := min(from+step, n)
		before, better := slices.Clone(held), kept
		tried := map[string]bool{fmt.Sprint(before): true}
		for _, k := range candidates(all, from, to, kept.Quality) {
			for _, end := range []int{to, n} {
				schedule := slices.Clone(before)
				for i := from; i < end; i++ {
					schedule[i] = k
				}
				name := fmt.Sprint(schedule)
				if tried[name] || end-from == n { // the oracle has tried a single action for the whole call
					continue
				}
				tried[name] = true
				a, err := r.scale.follow(c, r.actions(schedule))
				if err != nil {
					return f, err
				}
				if f.simulated++; a.Quality > better.Quality {
					better, held = a, schedule
				}
			}
		}
		kept = better
	}
	f.Outcome = kept.Outcome
	for i := 1; i < n; i++ {
		f.changes += int(one(held[i] != held[i-1]))
	}
	return f, nil
}

// candidates are the actions that did best in a segment, and those that did best from there on, once each.
func candidates(all []attempt, from, to int, mean float64) []int {
	var chosen []int
	for _, end := range []int{to, len(all[0].course)} {
		gains, ranked := make([]float64, len(all)), make([]int, 0, len(all))
		for k := range all {
			if all[k].SetupFailed {
				continue
			}
			ranked = append(ranked, k)
			for i := from; i < end; i++ {
				gains[k] += all[k].course.gain(i, mean)
			}
		}
		slices.SortStableFunc(ranked, func(a, b int) int { return cmp.Compare(gains[b], gains[a]) })
		for _, k := range ranked[:min(len(ranked), segmentCandidates)] {
			if !slices.Contains(chosen, k) {
				chosen = append(chosen, k)
			}
		}
	}
	return chosen
}

func (r *runner) actions(schedule []int) []model.Action {
	actions := make([]model.Action, len(schedule))
	for i, k := range schedule {
		actions[i] = r.config.Catalogue[k]
	}
	return actions
}
