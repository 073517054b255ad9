package demo

import (
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab"
)

// changes tells how the legs of running calls took a new policy, and draws the leg that changed most.
func changes(results []lab.Result, version uint32, at time.Time) (PolicyChange, Timeline) {
	var (
		change  PolicyChange
		delays  []float64
		drawn   Timeline
		largest = -1.0
	)
	for i := range results {
		for _, l := range results[i].Legs() {
			if l.Failed || len(l.Segments) == 0 {
				continue
			}
			change.Legs++
			first := slices.IndexFunc(l.Segments, func(s lab.Segment) bool { return s.Policy == version })
			if first < 0 {
				continue
			}
			change.Applied++
			delays = append(delays, l.Segments[first].Began.Sub(at).Seconds())
			if gain := improvement(l.Segments, first); gain > largest {
				largest, drawn = gain, timeline(results[i].Plan.Profile.Name, l, first)
			}
		}
	}
	if len(delays) > 0 {
		slices.Sort(delays)
		change.Median, change.Slowest = delays[len(delays)/2], delays[len(delays)-1]
	}
	return change, drawn
}

// improvement is the quality of the last segment less that of the last one before the change.
func improvement(segments []lab.Segment, first int) float64 {
	if first == 0 {
		return -1
	}
	mos := func(s lab.Segment) float64 { return model.ScaleMOS.Value(s.Outcome.MOS) }
	return mos(segments[len(segments)-1]) - mos(segments[first-1])
}

func timeline(network string, l *lab.Leg, first int) Timeline {
	begin := l.Segments[0].Began
	t := Timeline{Network: network, Change: l.Segments[first].Began.Sub(begin).Seconds()}
	for _, s := range l.Segments {
		mos := model.ScaleMOS.Value(s.Outcome.MOS)
		if s.Outcome.MOS == 0 {
			continue // not measured
		}
		t.Points = append(t.Points, Point{
			Second: s.Began.Sub(begin).Seconds(), Length: float64(s.Seconds), Action: s.Action, Setting: s.Action.String(),
			MOS: mos, Kbps: model.ScaleRate.Value(s.Outcome.Rate), Policy: s.Policy, Cause: s.Cause,
		})
	}
	return t
}
