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
// It begins with the action that is best for the whole call, which is what the oracle does, and looks for changes that
// pay. A change puts another action in place for some segments in a row. For each action the calls already made tell for
// which segments it promises most: those of the largest sum of differences to the schedule so far (Bentley, "Programming
// pearls: algorithm design techniques", Communications of the ACM 27(9), 1984). The changes that promise most are
// simulated, a few at a time, and the best of them is kept if the whole call is better for it; then it looks anew. What
// a change costs, an ICE restart or a queue that is full, is in the simulation, so that it is never below the oracle on
// any call.
//
// It is a lower bound of what the best schedule could do: there are 234^15 schedules for a call of a minute, and it tries
// at most segmentTries beyond the calls of the oracle. Both sides of the call follow one schedule.
const (
	segmentTries   = 160 // simulations of a call at most; the oracle makes 234
	segmentBatch   = 8   // changes that are tried before the best is kept
	segmentAlike   = 3   // of a batch that concern the same segments
	segmentBatches = 3   // in a row without a better call, after which it is content
)

// attempt is a call under a schedule and what came of it.
type attempt struct {
	Outcome
	course course
}

// course is the quality of a call by decision interval: of the segments of both legs that lie in it, the sum of seconds
// times MOS, and of seconds.
type course []struct{ sum, seconds float64 }

// gain is what an interval contributes above a mean quality.
func (c course) gain(i int, mean float64) float64 { return c[i].sum - mean*c[i].seconds }

// courseLeg adds the segments of one leg to a course.
type courseLeg struct {
	into  course
	began time.Time // when media began, to the second
}

// at is the decision interval that begins at a time.
func (l *courseLeg) at(t time.Time) int {
	return min(int((t.Sub(l.began)+staticInterval/2)/staticInterval), len(l.into)-1)
}

func (l *courseLeg) event(e policy.Event) {
	if e.Kind != policy.EventSegment {
		return
	}
	length := time.Duration(e.Segment.Seconds) * time.Second
	if l.began.IsZero() {
		l.began = e.At.Add(-length)
	}
	if q := e.Measurement.MOS; !math.IsNaN(q) {
		k := max(0, l.at(e.At.Add(-(length+staticInterval)/2))) // that its middle lies in
		l.into[k].sum += q * float64(e.Segment.Seconds)
		l.into[k].seconds += float64(e.Segment.Seconds)
	}
}

// schedule decides for an action in each decision interval of one leg.
type schedule struct {
	actions []model.Action
	course  *courseLeg
	now     time.Time // when the segment before ended
}

func (s *schedule) Decide(*model.Context, *model.Measurement) model.Action {
	if s.now.IsZero() {
		return s.actions[0]
	}
	return s.actions[s.course.at(s.now)]
}

func (s *schedule) event(e policy.Event) {
	if e.Kind == policy.EventSegment {
		s.course.event(e)
		s.now = e.At
	}
}

// intervals is how many decisions a call has.
func (s scale) intervals() int { return max(1, int((s.duration+staticInterval-1)/staticInterval)) }

// follow makes a call under a schedule.
func (s scale) follow(c Case, actions []model.Action) (attempt, error) {
	a := attempt{course: make(course, s.intervals())}
	var err error
	a.Outcome, err = s.watched(c, func() ([]policy.Option, func(policy.Event)) {
		leg := &schedule{actions: actions, course: &courseLeg{into: a.course}}
		return []policy.Option{policy.WithRule(leg), policy.WithInterval(staticInterval)}, leg.event
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

// change puts an action in place from an interval up to, not including, another.
type change struct {
	action   int // of the catalogue
	from, to int
	promise  float64
}

// found is what the per-segment oracle came to.
type found struct {
	Outcome
	changes   int // of the action within the call
	simulated int // calls
}

// bySegment searches a schedule. All is what came of each action of the catalogue, and best the best of them.
func (r *runner) bySegment(c Case, all []attempt, best int) (found, error) {
	held := make([]int, r.scale.intervals())
	for i := range held {
		held[i] = best
	}
	kept := all[best]
	f := found{Outcome: kept.Outcome}
	if kept.SetupFailed { // nothing of the catalogue gets through
		return f, nil
	}
	tried := map[string]bool{key(held): true}
	idle := 0
	proposals := propose(all, held, kept)
	for f.simulated < segmentTries && idle < segmentBatches {
		var batch []change
		batch, proposals = pick(proposals)
		if len(batch) == 0 {
			break
		}
		better, improved := attempt{}, []int(nil)
		for _, p := range batch {
			candidate := slices.Clone(held)
			for i := p.from; i < p.to; i++ {
				candidate[i] = p.action
			}
			k := key(candidate)
			if tried[k] || f.simulated == segmentTries {
				continue
			}
			tried[k] = true
			f.simulated++
			a, err := r.scale.follow(c, r.actions(candidate))
			if err != nil {
				return f, err
			}
			if a.Quality > max(kept.Quality, better.Quality) {
				better, improved = a, candidate
			}
		}
		if idle++; improved != nil {
			kept, held, idle = better, improved, 0
			proposals = propose(all, held, kept)
		}
	}
	f.Outcome = kept.Outcome
	for i := 1; i < len(held); i++ {
		f.changes += int(one(held[i] != held[i-1]))
	}
	return f, nil
}

func (r *runner) actions(held []int) []model.Action {
	actions := make([]model.Action, len(held))
	for i, k := range held {
		actions[i] = r.config.Catalogue[k]
	}
	return actions
}

func key(held []int) string { return fmt.Sprint(held) }

// propose lists the most promising change to each action, best first.
func propose(all []attempt, held []int, kept attempt) []change {
	var proposals []change
	for k := range all {
		if all[k].SetupFailed {
			continue
		}
		best, sum, from := change{action: k}, 0.0, 0
		for i := range held {
			if sum <= 0 {
				sum, from = 0, i
			}
			if held[i] != k {
				sum += all[k].course.gain(i, kept.Quality) - kept.course.gain(i, kept.Quality)
			}
			if sum > best.promise {
				best = change{action: k, from: from, to: i + 1, promise: sum}
			}
		}
		if best.promise > 0 {
			proposals = append(proposals, best)
		}
	}
	slices.SortStableFunc(proposals, func(a, b change) int { return cmp.Compare(b.promise, a.promise) })
	return proposals
}

// pick takes a batch off the proposals: the best, but not too many for the same segments, which are left for later.
func pick(proposals []change) (batch, left []change) {
	alike := map[[2]int]int{}
	for _, p := range proposals {
		span := [2]int{p.from, p.to}
		if len(batch) < segmentBatch && alike[span] < segmentAlike {
			alike[span]++
			batch = append(batch, p)
		} else {
			left = append(left, p)
		}
	}
	return batch, left
}
