package policy

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/pion/interceptor"
)

// Factory runs the policy on one call leg. It is a pion interceptor.Factory for the leg's peer connection; should the
// client connect anew within the call, the next peer connection may use it after the one before was closed.
//
// All methods may be called from any goroutine, and none of them blocks on the network except Close.
type Factory struct {
	options  options
	now      func() time.Time
	meter    *meter
	remote   remote
	counters counters

	inert  atomic.Bool // after a panic: only forward
	broken atomic.Pointer[error]
	bound  atomic.Bool
	action atomic.Pointer[model.Action]
	inArm  atomic.Uint32
	red    atomic.Pointer[redFormats] // nil until both sides are known to take RED

	stepped bool // see Stepped
	mail    mailbox
	leg     leg // of the goroutine run only, and of NewInterceptor before it

	closing   chan struct{}
	closeOnce sync.Once
	running   sync.WaitGroup
}

// NewInterceptor makes the factory of one call leg. It makes the first decision at once and applies it to the encoder,
// so that Action tells how to gather candidates and how to set up before there is a peer connection. Close the
// factory at the end of the call.
func NewInterceptor(opts ...Option) (*Factory, error) {
	f, err := newFactory(time.Now, opts)
	if err != nil {
		return nil, err
	}
	f.guard("first decision", f.start)
	f.running.Go(f.run)
	f.running.Go(f.feed)
	return f, nil
}

// newFactory is a factory that has decided nothing yet and runs no goroutine.
func newFactory(now func() time.Time, opts []Option) (*Factory, error) {
	f := &Factory{
		options: defaultOptions(),
		now:     now,
		meter:   newMeter(),
		mail:    mailbox{wake: make(chan struct{}, 1)},
		closing: make(chan struct{}),
	}
	for _, opt := range opts {
		if err := opt(&f.options); err != nil {
			return nil, fmt.Errorf("policy interceptor: %w", err)
		}
	}
	f.leg.red = f.options.red
	f.setAction(model.DefaultAction())
	return f, nil
}

// NewInterceptor is called by pion when it makes the peer connection. A factory serves one at a time.
func (f *Factory) NewInterceptor(string) (interceptor.Interceptor, error) {
	if !f.bound.CompareAndSwap(false, true) {
		return nil, errors.New("policy interceptor: the factory serves another peer connection; make one for each call leg")
	}
	return &legInterceptor{factory: f}, nil
}

// Action is the action in force.
func (f *Factory) Action() model.Action { return *f.action.Load() }

// Arm is the index of the arm that decides, for a call's initiator to tell the other side (see WithArm).
func (f *Factory) Arm() uint8 { return uint8(f.inArm.Load()) }

// Err is nil while all is well; after a panic in own code or in a callback it tells where. The leg then only forwards
// packets and keeps its action.
func (f *Factory) Err() error {
	if err := f.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Counts tells what has gone wrong so far.
func (f *Factory) Counts() Counts { return f.counters.snapshot() }

// NetworkChanged tells that the client is on another network now: the segment ends and a new decision is made with the
// static fields of c (see WithContext). It returns at once.
func (f *Factory) NetworkChanged(c model.Context) {
	c = static(c)
	if c.Validate() != nil {
		f.counters.policy.Add(1)
		c = model.Context{}
	}
	f.mail.put(func(m *mail) { m.network = &c })
}

// TransportChanged tells which transport and relay site are really in force: after an ICE restart, whether it did what
// was asked for or not, and on a leg that follows its peer. Site 0 of a relay is one the policy does not list. It
// returns at once.
func (f *Factory) TransportChanged(t model.Transport, s model.Site) {
	if t == model.TransportUnknown || !t.Valid() {
		f.counters.policy.Add(1)
		return
	}
	if t == model.TransportDirect {
		s = 0
	}
	f.mail.put(func(m *mail) { m.transport = &TransportLock{Transport: t, Site: s} })
}

// Negotiated tells what both sides say of themselves, as in the SDP of pion's LocalDescription and RemoteDescription. Call
// it each time offer and answer have been exchanged, before media can come: it says whether packets may carry redundant
// audio, and with which payload types. It has no effect without WithRED. It returns at once.
func (f *Factory) Negotiated(local, remote string) {
	if !f.options.red {
		return
	}
	receive, here := describedRED(local)
	send, there := describedRED(remote)
	taken := here && there
	if taken {
		f.red.Store(&redFormats{send: send, receive: receive})
	} else {
		f.red.Store(nil)
	}
	f.mail.put(func(m *mail) { m.red = &taken })
}

// Close ends the last segment, hands it to the recorder and waits for the factory's goroutines. It is idempotent.
// Call it after closing the peer connection, so that no RTCP write is left to wait for, and not from a callback.
func (f *Factory) Close() error {
	f.closeOnce.Do(func() { close(f.closing) })
	f.running.Wait()
	return nil
}

// feed sends feedback to the peer. It has a goroutine of its own because a write to a relay over TCP may wait as long
// as the path is congested, and decisions must not wait then.
func (f *Factory) feed() {
	ticker := time.NewTicker(feedbackInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f.sendFeedback()
		case <-f.closing:
			return
		}
	}
}

func (f *Factory) setAction(a model.Action) { f.action.Store(&a) }

// guard runs own code and callbacks so that a panic in them does not reach the client.
func (f *Factory) guard(what string, run func()) {
	defer f.recover(what)
	run()
}

// recover is deferred around everything the client has not asked for. After a panic nothing that was being changed can
// be trusted, so the leg goes inert: packets pass, and the action stays.
func (f *Factory) recover(what string) {
	if cause := recover(); cause != nil {
		f.inert.Store(true)
		f.counters.panics.Add(1)
		err := fmt.Errorf("policy interceptor: panic in %s: %v\n%s", what, cause, debug.Stack())
		f.broken.CompareAndSwap(nil, &err)
	}
}

// mail is what the client has told; a newer word replaces the older.
type mail struct {
	network   *model.Context
	transport *TransportLock
	red       *bool // whether both sides take it
}

type mailbox struct {
	mu   sync.Mutex
	mail mail
	wake chan struct{} // one token: there is mail
}

func (b *mailbox) put(write func(*mail)) {
	b.mu.Lock()
	write(&b.mail)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *mailbox) take() mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mail
	b.mail = mail{}
	return m
}
