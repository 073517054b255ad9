package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/model"
)

// An Encoder is set up by the decisions of a call: bitrate, audio bandwidth, frame duration, FEC, DTX, redundancy.
// Apply takes all of an action's encoder settings or none: after an error the encoder goes on as before. It is called
// off the path of packets, never twice at once; transport and site are not its concern.
type Encoder interface{ Apply(a model.Action) error }

// A Recorder takes each closed segment. Record is called off the path of packets and must not block.
type Recorder interface{ Record(s model.Segment) }

// A PlayoutSource tells what this side played of the peer's audio, as running totals since the call began. It is
// called about once a second; the peer learns the totals and judges its own sending by them.
type PlayoutSource interface{ Playout() model.Playout }

// Quality estimates a mean opinion score, 1..5; NaN when the input tells nothing.
type Quality interface {
	MOS(in model.QualityInput) float64
}

// A TransportSwitcher moves a running call to another transport, by an ICE restart. SwitchTransport starts the move
// and returns; the client reports what is in force afterwards through Factory.TransportChanged, which it may call from
// within SwitchTransport. It is called off the path of packets.
type TransportSwitcher interface {
	SwitchTransport(t model.Transport, s model.Site) error
}

// An Option configures a Factory. Each runs once.
type Option func(*options) error

type options struct {
	source     Source
	context    model.Context
	encoder    Encoder
	recorder   Recorder
	playout    PlayoutSource
	quality    Quality
	switcher   TransportSwitcher
	controlled bool
	red        bool
	seed       uint64
	random     *rand.Rand
	arm        int // -1 = by assignment
	limits     Limits
	interval   time.Duration // 0 = the policy's
	rule       Rule          // nil = the policy decides
	events     func(Event)
}

func defaultOptions() options {
	return options{
		source: new(Holder),
		seed:   rand.Uint64(),
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		arm:    -1,
	}
}

// WithSource sets where the policy in force comes from. Default: Builtin for the whole call.
func WithSource(s Source) Option {
	return func(o *options) error {
		if s == nil {
			return errors.New("source is nil")
		}
		o.source = s
		return nil
	}
}

// WithContext sets what is known of the client at the start: network, metered, region, device, time of day, reach. The
// measured fields of c are not used. Default: everything unknown.
func WithContext(c model.Context) Option {
	return func(o *options) error {
		c = static(c)
		if err := c.Validate(); err != nil {
			return fmt.Errorf("context: %w", err)
		}
		o.context = c
		return nil
	}
}

// WithEncoder sets the encoder that decisions apply to. Its first Apply is within NewInterceptor. Default: none.
func WithEncoder(e Encoder) Option { return func(o *options) error { o.encoder = e; return nil } }

// WithRecorder sets who gets the closed segments. Default: none.
func WithRecorder(r Recorder) Option { return func(o *options) error { o.recorder = r; return nil } }

// WithPlayout sets the source of this side's playout totals. Without one the peer gets packet counts only, and cannot
// tell repaired loss from heard loss.
func WithPlayout(p PlayoutSource) Option { return func(o *options) error { o.playout = p; return nil } }

// WithQuality sets the quality estimate, for example codec.Measured. Without one segments carry no MOS, and the call
// teaches nothing.
func WithQuality(q Quality) Option { return func(o *options) error { o.quality = q; return nil } }

// WithTransport sets who moves the call to another transport. Without one only the first decision chooses a
// transport, and later ones keep it.
func WithTransport(s TransportSwitcher) Option {
	return func(o *options) error { o.switcher = s; return nil }
}

// WithControlledTransport makes this leg follow the peer's transport: no decision proposes another than the one in
// force, which is direct until TransportChanged says otherwise.
func WithControlledTransport() Option {
	return func(o *options) error { o.controlled = true; return nil }
}

// WithRED lets decisions choose redundant audio (RFC 2198), which the interceptor packs and unpacks by itself. The client
//
//   - offers "audio/red" after Opus, with the payload type of Opus twice as its parameters, "111/111";
//   - tells what came of offer and answer by Factory.Negotiated;
//   - plays what Repeated gives.
//
// With a peer that does not take RED, or without a word from Negotiated before the first packet, no decision chooses it.
// Default: no decision does.
func WithRED() Option { return func(o *options) error { o.red = true; return nil } }

// WithSeed sets the seed of the assignment to an arm (see Policy.Assign): a random number the client keeps on the
// device, so that its calls stay in one arm. Default: a new one for each call.
func WithSeed(seed uint64) Option { return func(o *options) error { o.seed = seed; return nil } }

// WithExplorationSeed makes the draws of the decisions repeatable, for laboratories. Never give it a constant in a
// real client: all its calls would explore alike. Default: unpredictable draws.
func WithExplorationSeed(seed uint64) Option {
	return func(o *options) error {
		o.random = rand.New(rand.NewPCG(seed, 0x61747475_6e65))
		return nil
	}
}

// WithArm sets the arm instead of the assignment, because the call's initiator decided it for both sides. A policy
// that has no such arm falls back to the assignment.
func WithArm(arm uint8) Option { return func(o *options) error { o.arm = int(arm); return nil } }

// WithLimits sets what the user or the device forbids. Default: nothing.
func WithLimits(l Limits) Option {
	return func(o *options) error {
		if err := l.Validate(); err != nil {
			return err
		}
		o.limits = l
		return nil
	}
}

// WithInterval replaces the policy's decision interval, for tests and laboratories; at most
// model.MaxSegmentSeconds.
func WithInterval(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 || d > model.MaxSegmentSeconds*time.Second {
			return fmt.Errorf("interval %v is outside 0..%d s", d, model.MaxSegmentSeconds)
		}
		o.interval = d
		return nil
	}
}

// A Rule decides in place of the policy: the fixed rules of other clients, for comparisons in a laboratory.
type Rule interface {
	// Decide gives the action for c, valid and in the codec's reach. Of the segment that ended just now m says what was
	// measured; at the start of the call nothing was. c.Previous is the action in force.
	Decide(c *model.Context, m *model.Measurement) model.Action
}

// A Connector is a Rule of a client that gathers more than one kind of candidate: where the first way cannot be set up, it
// tries the others in this order. The call goes on as after Factory.TransportChanged.
type Connector interface {
	Rule
	Ways() []TransportLock
}

// A Pinger is a Rule of a client that pings a relay by itself, over UDP and by opening connections over TCP. It is told the
// round trips.
type Pinger interface {
	Rule
	Relay() model.Site // 0 = there is none to ping
	Pinged(t model.Transport, roundTrip time.Duration)
}

// WithRule lets a rule decide, at the policy's interval or the one of WithInterval. Its decisions are reported as made by
// no policy, with certainty. Not for clients: a rule is not held to the safe envelope.
func WithRule(r Rule) Option { return func(o *options) error { o.rule = r; return nil } }

// WithEvents sets a callback for decisions, closed segments and faults, for timelines and logs. It is called off the
// path of packets, one event at a time, and must not block. What it is told stays on the device: measurements in an
// Event are not quantized.
func WithEvents(f func(Event)) Option { return func(o *options) error { o.events = f; return nil } }

// static keeps the fields of a context that a client knows without measuring.
func static(c model.Context) model.Context {
	return model.Context{
		Network: c.Network, Metered: c.Metered, Region: c.Region, Device: c.Device, TimeOfDay: c.TimeOfDay, Reach: c.Reach,
	}
}
