package network

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// forever is the end of a rate that never changes.
const forever = time.Duration(math.MaxInt64)

// server serves packets one after the other. finish tells when a packet whose service may begin at start has been
// served; starts never go back.
type server interface {
	finish(start time.Duration, bytes int) time.Duration
}

// leastKbps is the least rate a capacity may have at its best: less would keep a packet for hours.
const leastKbps = 0.1

// MeanKbps is the rate averaged over a long time, in 1000 bit/s; 0 stands for no limit.
func (c *Capacity) MeanKbps() float64 {
	if c.Trace != nil {
		return c.Trace.MeanKbps()
	}
	if len(c.States) == 0 {
		return c.Kbps
	}
	var sum, total float64 // shares of time are those of the mean stays, see newMarkovRates
	for _, s := range c.States {
		sum += s.Kbps * s.MeanDwellMillis
		total += s.MeanDwellMillis
	}
	return sum / total
}

// newServer is nil when the capacity has no limit.
func newServer(c Capacity, random *rand.Rand, traceStart time.Duration) server {
	switch {
	case c.Trace != nil:
		position := traceStart
		switch {
		case c.Trace.fromStart:
			position = 0
		case position < 0:
			position = time.Duration(random.Int64N(int64(c.Trace.period)))
		}
		position %= c.Trace.period
		if c.Trace.steps == nil {
			return newChances(c.Trace, position)
		}
		return &rates{source: &stepRates{trace: c.Trace, offset: position}}
	case len(c.States) > 0:
		return &rates{source: newMarkovRates(c.States, random)}
	case c.Kbps > 0:
		return &rates{source: constantRate(math.Round(max(c.Kbps, leastKbps) * 1000))}
	}
	return nil
}

// rateSource gives the rate in force at a time, in bit/s, and when it ends, which is later than the time. Times never go
// back.
type rateSource interface {
	at(t time.Duration) (bitsPerSecond int64, end time.Duration)
}

// rates integrates a rate that changes in steps.
type rates struct {
	source        rateSource
	bitsPerSecond int64         // in force
	end           time.Duration // of it; 0 = nothing asked yet
}

// finish works in whole nanoseconds and billionths of a bit, so that every machine computes the same and no step is too
// short to count. A packet is some 10^5 bits at most, which fits.
func (r *rates) finish(start time.Duration, bytes int) time.Duration {
	work := int64(bytes) * 8 * int64(time.Second)
	t := start
	for {
		if t >= r.end {
			r.bitsPerSecond, r.end = r.source.at(t)
		}
		if r.bitsPerSecond > 0 {
			needed := (work + r.bitsPerSecond - 1) / r.bitsPerSecond
			if r.end == forever || needed <= int64(r.end-t) {
				return t + time.Duration(needed)
			}
			work -= int64(r.end-t) * r.bitsPerSecond // less than the work: needed was longer than what is left
		}
		t = r.end
	}
}

type constantRate int64

func (c constantRate) at(time.Duration) (int64, time.Duration) { return int64(c), forever }

// stepRates plays a trace of rates in a loop.
type stepRates struct {
	trace  *Trace
	offset time.Duration // place in the trace at time 0
	cycle  time.Duration // start of the pass in force, counted as offset + time
	index  int
}

func (s *stepRates) at(t time.Duration) (int64, time.Duration) {
	position := t + s.offset
	if position-s.cycle >= s.trace.period {
		s.cycle = position - position%s.trace.period
		s.index = s.trace.stepAt(position - s.cycle)
	}
	for s.cycle+s.trace.steps[s.index].end <= position {
		s.index++
	}
	current := s.trace.steps[s.index]
	return current.bitsPerSecond, s.cycle + current.end - s.offset
}

// markovRates moves between states at random.
type markovRates struct {
	states []State
	random *rand.Rand
	state  int
	end    time.Duration
}

// newMarkovRates begins in a state drawn by the share of time spent in each. The chain moves to each other state with
// equal chance, so that it visits all states equally often and the shares are as the mean dwell times.
func newMarkovRates(states []State, random *rand.Rand) *markovRates {
	m := &markovRates{states: states, random: random}
	var total, best float64
	for _, s := range states {
		total += s.MeanDwellMillis
		best = max(best, s.Kbps)
	}
	if best < leastKbps || len(states) < 2 {
		panic(fmt.Sprintf("network: capacity states %v are not valid; Profile.Validate tells why", states))
	}
	draw := random.Float64() * total
	for m.state < len(states)-1 && draw >= states[m.state].MeanDwellMillis {
		draw -= states[m.state].MeanDwellMillis
		m.state++
	}
	m.end = m.dwell()
	return m
}

func (m *markovRates) dwell() time.Duration {
	return max(millis(m.random.ExpFloat64()*m.states[m.state].MeanDwellMillis), time.Microsecond)
}

func (m *markovRates) at(t time.Duration) (int64, time.Duration) {
	for m.end <= t {
		next := m.random.IntN(len(m.states) - 1)
		if next >= m.state {
			next++
		}
		m.state = next
		m.end += m.dwell()
	}
	return int64(math.Round(m.states[m.state].Kbps * 1000)), m.end
}
