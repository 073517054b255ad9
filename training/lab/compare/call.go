package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

// Case is one call to make, whoever makes it.
type Case struct {
	Network *suite.Network
	Seed    uint64
}

// Draw draws the k-th call of a seed: a network of the suite by its weight, and the seed of everything random in the call.
func Draw(s *suite.Suite, seed, k uint64) Case {
	random := rand.New(rand.NewPCG(spread(seed), spread(seed^spread(k+1)))) // spread: seeds and calls are small numbers
	n := s.Draw(random)
	return Case{Network: &n, Seed: random.Uint64()}
}

// spread makes related numbers unrelated (the finalizer of SplitMix64).
func spread(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Context is what both clients of a case know of their network.
func (c Case) Context() model.Context {
	p := c.Network.Profile
	return model.Context{Network: c.Network.Type, Metered: p.Metered, Reach: p.Reach, Region: c.Network.Region}
}

// PoorMOS is the quality below which a call counts as poor.
const PoorMOS = 3.1

// Jiang et al., "VIA: Improving Internet Telephony Call Quality Using Predictive Relay Selection" (SIGCOMM 2016),
// section 2.2: a call is poor when the mean over the call of one of these is above its threshold.
const (
	viaRoundTrip = 320 * time.Millisecond
	viaLoss      = 0.012
	viaJitter    = 12 * time.Millisecond
)

// Outcome is what came of one call.
type Outcome struct {
	Quality     float64 // mean opinion score, 1..5
	Kbps        float64 // on the wire, of one leg on average; 0 where nothing was sent
	PoorVIA     bool    // by VIA's definition, or failed
	SetupFailed bool
	Dropped     bool
}

// Poor reports whether the quality is below PoorMOS.
func (o Outcome) Poor() bool { return o.Quality < PoorMOS }

// scale is what all calls of a comparison have in common.
type scale struct {
	frames   *sim.Frames
	duration time.Duration
}

// call makes one call and judges it. Options makes those of each leg.
func (s scale) call(c Case, options func() []policy.Option) (Outcome, error) {
	return s.watched(c, func() ([]policy.Option, func(policy.Event)) { return options(), nil })
}

// watched is call with somebody else who follows the events of each leg; nil if nobody does.
func (s scale) watched(c Case, options func() ([]policy.Option, func(policy.Event))) (Outcome, error) {
	var j judge
	context := c.Context()
	leg := func() []policy.Option {
		own, watch := options()
		events := j.event
		if watch != nil {
			events = func(e policy.Event) {
				j.event(e)
				watch(e)
			}
		}
		return append([]policy.Option{
			policy.WithContext(context), policy.WithQuality(codec.Measured{}), policy.WithEvents(events),
		}, own...)
	}
	result, err := sim.Call(sim.Plan{
		Profile: c.Network.Profile, Seed: c.Seed, Duration: s.duration, Frames: s.frames, Caller: leg(), Callee: leg(),
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("network %s, seed %d: %w", c.Network.Name, c.Seed, err)
	}
	return j.outcome(&result), nil
}

// judge adds up the segments of both legs as they were measured, before they are quantized for a report.
type judge struct {
	quality, kbps, roundTrip, loss, jitter mean
}

// mean is weighted by seconds, over what was measured.
type mean struct{ sum, seconds float64 }

func (m *mean) add(seconds, v float64) {
	if !math.IsNaN(v) {
		m.sum += seconds * v
		m.seconds += seconds
	}
}

// value is NaN when nothing was measured, which is above no threshold.
func (m *mean) value() float64 { return m.sum / m.seconds }

func (j *judge) event(e policy.Event) {
	if e.Kind != policy.EventSegment {
		return
	}
	seconds, m := float64(e.Segment.Seconds), &e.Measurement
	j.quality.add(seconds, m.MOS)
	j.kbps.add(seconds, m.SentKbps)
	j.loss.add(seconds, m.LossBefore)
	for _, d := range []struct {
		mean *mean
		time time.Duration
	}{{&j.roundTrip, m.RoundTripTime}, {&j.jitter, m.Jitter}} {
		if d.time >= 0 {
			d.mean.add(seconds, d.time.Seconds())
		}
	}
}

func (j *judge) outcome(r *sim.Result) Outcome {
	o := Outcome{
		Quality: j.quality.value(), Kbps: j.kbps.value(),
		PoorVIA: j.roundTrip.value() > viaRoundTrip.Seconds() || j.loss.value() > viaLoss ||
			j.jitter.value() > viaJitter.Seconds(),
		SetupFailed: r.Stage < model.StageMedia,
	}
	o.Dropped = !o.SetupFailed && (r.Caller.Dropped || r.Callee.Dropped)
	if o.SetupFailed || o.Dropped || math.IsNaN(o.Quality) {
		o.Quality, o.PoorVIA = model.WorstMOS, true
	}
	if math.IsNaN(o.Kbps) {
		o.Kbps = 0
	}
	return o
}
