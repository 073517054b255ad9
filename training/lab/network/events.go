package network

import (
	"math/rand/v2"
	"time"
)

// Events are what happens to a network as a whole: both directions at the same time.
type Events struct {
	Outages   Interruption `json:"outages,omitzero"`   // a tunnel, a lift, a lost signal
	Handovers Interruption `json:"handovers,omitzero"` // from one cell or access point to the next
}

// Interruption is a time in which nothing is served: packets wait in the queue, which drops what does not fit. Lengths
// and the times between the end of one and the beginning of the next are exponentially distributed.
type Interruption struct {
	EveryMillis float64 `json:"everyMillis"` // mean time between two
	MeanMillis  float64 `json:"meanMillis"`  // mean length
	// ShiftMillis is how much the way may differ afterwards: the propagation is longer by a draw from 0 to this until the
	// next one, in both directions.
	ShiftMillis float64 `json:"shiftMillis,omitempty"`
	Source      string  `json:"source"`
}

func (i *Interruption) validate(path string, fault func(string, ...any), between func(string, float64, float64, float64)) {
	if *i == (Interruption{}) {
		return
	}
	between(path+".everyMillis", i.EveryMillis, 1, 1e9)
	between(path+".meanMillis", i.MeanMillis, 1, 1e9)
	between(path+".shiftMillis", i.ShiftMillis, 0, 10_000)
	if i.Source == "" {
		fault("%s.source is empty: say where the figures come from", path)
	}
}

// interruptions is both kinds of events at work. Times given to it never go back.
type interruptions [2]interruption

// newInterruptions is nil without events. Links of one profile share the seed, and so the events.
func newInterruptions(e Events, seed uint64) *interruptions {
	if e == (Events{}) {
		return nil
	}
	all := &interruptions{}
	for i, model := range [...]Interruption{e.Outages, e.Handovers} {
		p := &all[i]
		p.model = model
		if model.EveryMillis > 0 {
			p.random = rand.New(rand.NewPCG(seed, uint64(i)))
			p.draw(0)
		}
	}
	return all
}

// clear is the first time from t on that is in no interruption.
func (all *interruptions) clear(t time.Duration) time.Duration {
	for {
		before := t
		for i := range all {
			t = all[i].clear(t)
		}
		if t == before {
			return t
		}
	}
}

// finish is when a service is done that began at a time that was clear and would be done at end without interruptions:
// each one in between adds its length.
func (all *interruptions) finish(end time.Duration) time.Duration {
	for {
		from := end
		for i := range all {
			if p := &all[i]; p.random != nil {
				from = min(from, p.from)
			}
		}
		if from == end {
			return end
		}
		end += all.clear(from) - from
	}
}

// shift is the extra delay at a time that is clear.
func (all *interruptions) shift() time.Duration { return all[0].shift + all[1].shift }

// interruption is one kind.
type interruption struct {
	model    Interruption
	random   *rand.Rand    // nil when there are none
	from, to time.Duration // the present or next one
	shift    time.Duration // in force until it ends
	then     time.Duration // and in force afterwards
}

// draw plans the next one, which begins some time after t.
func (p *interruption) draw(t time.Duration) {
	p.from = t + max(millis(p.random.ExpFloat64()*p.model.EveryMillis), time.Microsecond)
	p.to = p.from + max(millis(p.random.ExpFloat64()*p.model.MeanMillis), time.Microsecond)
	p.then = millis(p.random.Float64() * p.model.ShiftMillis)
}

func (p *interruption) clear(t time.Duration) time.Duration {
	if p.random == nil {
		return t
	}
	for p.to <= t {
		p.shift = p.then
		p.draw(p.to)
	}
	if p.from <= t {
		return p.to
	}
	return t
}
