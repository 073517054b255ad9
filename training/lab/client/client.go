package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/codec/opus"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
)

// What becomes of calls that do not end by hanging up.
var (
	// ErrSetup means that a call never carried media.
	ErrSetup = errors.New("call was not set up")
	// ErrDropped means that a call ended before it was hung up.
	ErrDropped = errors.New("call was dropped")
)

// Client is one leg of one call. Make it with Dial or Accept, then Run it: only Run lets go of what it holds.
type Client struct {
	config    Config
	factory   *policy.Factory
	encoder   *opus.Encoder
	leg       *telemetry.Call // nil without a reporter
	peer      *webrtc.PeerConnection
	track     *webrtc.TrackLocalStaticRTP
	receiver  *receiver
	signaller Signaller // nil on the leg that follows

	connected signal // media can flow
	failed    signal // ICE or DTLS gave up for good
	hungUp    signal // the peer hung up

	path    path
	decided atomic.Pointer[decided]

	closing  context.Context // ends with the call
	close    context.CancelFunc
	starting sync.Mutex // nothing is started once the call is closing
	running  sync.WaitGroup
}

// decided is the arm that made the latest decision, and the policy it belongs to.
type decided struct {
	policy uint32
	arm    uint8
}

// Dial starts a call as its initiator: it decides, gathers, and exchanges descriptions with the peer. The returned
// client is connecting; Run waits for media. ctx bounds the exchange only. An error after a valid Config wraps ErrSetup,
// unless ctx was canceled.
func Dial(ctx context.Context, config Config, signaller Signaller) (*Client, error) {
	c, err := newClient(config, signaller, nil)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if err := c.dial(ctx); err != nil {
		return nil, c.abandon(ctx, fmt.Errorf("dial: %w", err))
	}
	return c, nil
}

// Accept takes a call as the leg that follows: it uses the initiator's arm and transport. The returned Description is
// the answer to send back. ctx bounds the gathering only. Errors are those of Dial.
func Accept(ctx context.Context, config Config, offer Description) (*Client, Description, error) {
	c, err := newClient(config, nil, &offer)
	if err != nil {
		return nil, Description{}, fmt.Errorf("accept: %w", err)
	}
	answer, err := c.Answer(ctx, offer)
	if err != nil {
		return nil, Description{}, c.abandon(ctx, fmt.Errorf("accept: %w", err))
	}
	return c, answer, nil
}

func newClient(config Config, signaller Signaller, offer *Description) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("call client: %w", err)
	}
	config.setDefaults()
	encoder, err := opus.NewEncoder(opus.Config{Complexity: config.Complexity})
	if err != nil {
		return nil, err
	}
	c := &Client{
		config: config, encoder: encoder, signaller: signaller, path: newPath(),
		connected: newSignal(), failed: newSignal(), hungUp: newSignal(),
	}
	c.closing, c.close = context.WithCancel(context.Background())
	if c.receiver, err = newReceiver(config.Play); err != nil {
		return nil, err
	}
	if config.Reporter != nil {
		c.leg = config.Reporter.Call(config.Context, config.Origin)
		c.leg.Stage(model.StageOffer)
	}
	if c.factory, err = policy.NewInterceptor(c.policyOptions(offer)...); err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, errors.Join(err, c.end(true))
	}
	return c, nil
}

func (c *Client) policyOptions(offer *Description) []policy.Option {
	limits := c.config.Limits
	limits.ForbiddenTransports = append(slices.Clone(limits.ForbiddenTransports), c.config.unreachable()...)
	// The encoder and the receiver speak Opus: an action with another codec would be reported and not be done.
	limits.ForbiddenCodecs = append(slices.Clone(limits.ForbiddenCodecs), model.CodecPCMU)
	options := []policy.Option{
		policy.WithSource(c.config.Policy),
		policy.WithContext(c.config.Context),
		policy.WithEncoder(c.encoder),
		policy.WithPlayout(c.receiver),
		policy.WithQuality(codec.Measured{}),
		policy.WithLimits(limits),
		policy.WithSeed(c.config.Seed),
		policy.WithEvents(c.event),
	}
	if c.config.takesRED() {
		options = append(options, policy.WithRED())
	}
	if c.leg != nil {
		options = append(options, policy.WithRecorder(c.leg))
	}
	if c.config.ExplorationSeed != 0 {
		options = append(options, policy.WithExplorationSeed(c.config.ExplorationSeed))
	}
	if c.config.Interval > 0 {
		options = append(options, policy.WithInterval(c.config.Interval))
	}
	if offer == nil {
		if _, once := c.signaller.(OneExchange); once {
			return options
		}
		return append(options, policy.WithTransport(c))
	}
	options = append(options, policy.WithControlledTransport())
	// An arm is a place in one policy: a leg that holds another version draws its own.
	if offer.Policy == c.config.Policy.Current().Version() {
		options = append(options, policy.WithArm(offer.Arm))
	}
	return options
}

// event remembers which arm decides, for the peer, and passes everything on. The first decision comes while the
// factory is being made, so nothing here may need it.
func (c *Client) event(e policy.Event) {
	if e.Kind == policy.EventDecision {
		c.decided.Store(&decided{policy: e.Policy, arm: e.Arm})
	}
	if c.config.Events != nil {
		c.config.Events(e)
	}
}

// Run waits for the connection, talks and listens until ctx ends or duration has passed since media could flow, hangs
// up and queues the report. It returns ErrSetup or ErrDropped, wrapped, when the call did not last. A call that ctx
// ends before it was set up is neither. A peer that hangs up while nothing gets through is one that was lost. Call it
// once; with a ctx that has ended it hangs up at once, but for a gathering of candidates under way, which pion ends
// within 10 s.
func (c *Client) Run(ctx context.Context, duration time.Duration) error {
	err := c.ring(ctx)
	if err == nil && c.connected.happened() {
		err = c.talk(ctx, duration)
	}
	return errors.Join(err, c.end(err != nil))
}

// ring waits until media can flow or the call ends before it has begun.
func (c *Client) ring(ctx context.Context) error {
	setup := time.NewTimer(c.config.SetupTimeout)
	defer setup.Stop()
	var err error
	select {
	case <-c.connected.done:
	case <-c.failed.done:
		err = fmt.Errorf("%w: ICE or DTLS failed", ErrSetup)
	case <-c.hungUp.done:
		err = fmt.Errorf("%w: the peer gave up", ErrSetup)
	case <-setup.C:
		err = fmt.Errorf("%w: no media within %v", ErrSetup, c.config.SetupTimeout)
	case <-ctx.Done(): // hung up while ringing
		return nil
	}
	if !c.connected.happened() {
		return err
	}
	c.stage(model.StageMedia)
	return nil
}

func (c *Client) talk(ctx context.Context, duration time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	// Not waited for here: a write to a relay over TCP may last until the connection closes.
	c.start(func() { c.send(ctx) })
	c.start(func() { c.receiver.play(ctx) })
	select {
	case <-ctx.Done():
		_ = c.factory.Close() // the last segment ends with the talk; end tells what is wrong with it
		c.goodbye()
		return nil
	case <-c.hungUp.done:
		return nil
	case <-c.failed.done:
		return ErrDropped
	}
}

// end closes the connection, then the last segment, and queues the report. It waits for everything the call started.
func (c *Client) end(dropped bool) error {
	c.starting.Lock()
	c.close()
	c.starting.Unlock()
	<-c.path.free // the negotiation under way has seen that the call is closing; none begins after it
	c.path.free.put()
	var err error
	if c.peer != nil {
		err = c.peer.GracefulClose()
	}
	c.running.Wait()
	err = errors.Join(err, c.factory.Close())
	if c.leg != nil {
		c.leg.End(dropped)
	}
	return err
}

// abandon ends a call that could not even be offered. A caller who changed his mind has lost nothing.
func (c *Client) abandon(ctx context.Context, err error) error {
	canceled := errors.Is(ctx.Err(), context.Canceled)
	if !canceled {
		err = fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return errors.Join(err, c.end(!canceled))
}

// Action is what this leg sends with at the moment.
func (c *Client) Action() model.Action { return c.factory.Action() }

// Playout tells what this leg has played of its peer so far.
func (c *Client) Playout() model.Playout { return c.receiver.Playout() }
