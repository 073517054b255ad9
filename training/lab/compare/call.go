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

// Draw draws the k-th of some calls of a seed: a network of the suite by its weight, and the seed of everything random in
// the call. The draw is systematic (Madow, Annals of Mathematical Statistics 15, 1944): of so many calls each network has its
// share, to within one call, so that seeds differ by what happens on the networks and not by which they are.
func Draw(s *suite.Suite, seed uint64, k, of int) Case {
	begin := rand.New(rand.NewPCG(spread(seed), 0)).Float64()
	n := s.At((begin + float64(mixed(k, of))) / float64(of))
	return Case{Network: &n, Seed: rand.New(rand.NewPCG(spread(seed), spread(seed^spread(uint64(k)+1)))).Uint64()}
}

// mixed is the k-th of 0..of-1 in an order in which any few that follow each other lie far apart: steps of the golden
// section, or of the next number without a divisor in common.
func mixed(k, of int) int {
	step := max(1, int(float64(of)/math.Phi))
	for ; step > 1; step++ {
		a, b := step, of
		for b > 0 {
			a, b = b, a%b
		}
		if a == 1 {
			break
		}
	}
	return int(uint64(k) * uint64(step) % uint64(of))
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
	return s.followed(c, options, nil)
}

// followed is call with somebody else who is told the quality of each window, of both legs in turn, and may end the call by
// returning false: then the outcome is that of the call so far. Nil if nobody is.
func (s scale) followed(c Case, options func() []policy.Option, follow func(quality float64, length time.Duration) bool) (Outcome, error) {
	var j judge
	context := c.Context()
	leg := func() []policy.Option {
		return append([]policy.Option{policy.WithContext(context), policy.WithQuality(codec.Measured{})}, options()...)
	}
	result, err := sim.Call(sim.Plan{
		Profile: c.Network.Profile, Seed: c.Seed, Duration: s.duration, Frames: s.frames, Caller: leg(), Callee: leg(),
		Windows: func(side int, w *sim.Window) bool {
			quality := j.window(side, w)
			return follow == nil || follow(quality, w.Length)
		},
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("network %s, seed %d: %w", c.Network.Name, c.Seed, err)
	}
	return j.outcome(&result), nil
}

// judge adds up the windows of both legs. They lie on one grid whatever a policy decides and how often: a mean over stretches
// of a call depends on their length, because quality is no linear function of loss.
type judge struct {
	quality, kbps, roundTrip, jitter mean
	expected, received               uint32           // packets
	transit                          [2]time.Duration // of both legs in the window
}

// mean is weighted by seconds, over what was measured.
type mean struct{ sum, seconds float64 }

func (m *mean) add(length time.Duration, v float64) {
	if !math.IsNaN(v) {
		m.sum += length.Seconds() * v
		m.seconds += length.Seconds()
	}
}

// value is NaN when nothing was measured, which is above no threshold.
func (m *mean) value() float64 { return m.sum / m.seconds }

// window takes a window in and gives its quality; NaN when nothing was sent in it, or it is too short to tell.
func (j *judge) window(side int, w *sim.Window) float64 {
	quality := qualityOf(w)
	j.quality.add(w.Length, quality)
	j.kbps.add(w.Length, float64(w.Bytes)*8/1000/w.Length.Seconds())
	j.expected += w.Playout.Expected
	j.received += w.Playout.Received
	if w.Jitter >= 0 {
		j.jitter.add(w.Length, w.Jitter.Seconds())
	}
	if j.transit[side] = w.Transit; side == len(j.transit)-1 && j.transit[0] >= 0 && j.transit[1] >= 0 {
		j.roundTrip.add(w.Length, (j.transit[0] + j.transit[1]).Seconds())
	}
	return quality
}

// loss is of packets before repair, over the whole call. A packet that comes twice counts once only where another is lost.
func (j *judge) loss() float64 {
	return 1 - float64(min(j.received, j.expected))/float64(j.expected)
}

// leastWindow is how long a window must be to tell something.
const leastWindow = time.Second

// qualityOf is the mean opinion score of a window: loss, bursts and delay are of the window, coding is that of each action
// for as long as it was kept. Where nothing at all came of what was sent it is the worst.
func qualityOf(w *sim.Window) float64 {
	p := &w.Playout
	switch {
	case w.Length < leastWindow || w.Packets == 0 && p.TotalSamples == 0:
		return math.NaN()
	case p.TotalSamples == 0 && p.Received == 0:
		return model.WorstMOS
	}
	in := model.QualityInput{BurstRatio: 1}
	lost := p.Expected - min(p.Received, p.Expected)
	if p.Expected > 0 {
		in.Loss = float64(lost) / float64(p.Expected)
	}
	if lost > 0 { // BurstR of ITU-T G.107, clause 7.2
		in.BurstRatio = max(1, float64(lost)/float64(max(1, min(p.LossRuns, lost)))*(1-in.Loss))
	}
	if p.TotalSamples > 0 {
		in.Loss = float64(p.ConcealedSamples) / float64(p.TotalSamples)
	}
	delay := max(w.Transit, 0) + max(p.JitterBufferDelay, 0)
	var quality mean
	for _, held := range w.Actions {
		in.Action, in.OneWayDelay = held.Action, delay+held.Action.FrameDuration()
		quality.add(held.For, codec.Measured{}.MOS(in))
	}
	return quality.value()
}

func (j *judge) outcome(r *sim.Result) Outcome {
	o := Outcome{
		Quality: j.quality.value(), Kbps: j.kbps.value(),
		PoorVIA: j.roundTrip.value() > viaRoundTrip.Seconds() || j.loss() > viaLoss ||
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
