package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Edge packs reports. See Run.
type Edge struct {
	cfg     Config
	js      jetstream.JetStream
	recent  *recent
	tally   tally
	running atomic.Bool
	limit   atomic.Int64 // bytes of a pack; smaller when the stream has refused a large one

	mu      sync.Mutex // guards the next three; the timer runs on its own
	filling *pack      // nil: no report waits
	timer   *time.Timer
	stopped bool // nothing more is put

	free    chan *pack // Window packs in all are here, filling, in sealed, or on their way
	sealed  chan *pack
	abandon chan struct{} // closed when the time to stop is over

	sub     atomic.Pointer[nats.Subscription]
	dropped atomic.Uint64 // see notTaken
	untaken atomic.Uint64 // came in, but the time to stop was over
	bad     atomic.Bool   // the last pack failed
}

// New prepares an Edge. It does not subscribe to anything yet.
func New(cfg Config) (*Edge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure edge: %w", err)
	}
	cfg.setDefaults()
	js, err := jetstream.New(cfg.Back,
		jetstream.WithPublishAsyncMaxPending(2*cfg.Window),
		jetstream.WithPublishAsyncTimeout(cfg.AckTimeout))
	if err != nil {
		return nil, fmt.Errorf("configure edge: use JetStream: %w", err)
	}
	e := &Edge{
		cfg: cfg, js: js, recent: newRecent(cfg.Remember),
		free: make(chan *pack, cfg.Window), sealed: make(chan *pack, cfg.Window), abandon: make(chan struct{}),
	}
	e.limit.Store(maxPackSize)
	e.timer = time.AfterFunc(time.Hour, e.overdue)
	e.timer.Stop()
	for range cfg.Window {
		e.free <- newPack(cfg.MaxReports)
	}
	if err := e.register(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("configure edge: %w", err)
	}
	return e, nil
}

// Run is New followed by Edge.Run.
func Run(ctx context.Context, cfg Config) error {
	e, err := New(cfg)
	if err != nil {
		return err
	}
	return e.Run(ctx)
}

// Run takes reports until ctx ends. Then it takes no new ones, publishes and answers what it has, within StopWait, and
// returns nil; an error says how many reports were left unanswered, which their clients send again. Faults of the
// servers are no errors: they are counted, and told to the clients. Run may be called once. It closes no connection.
func (e *Edge) Run(ctx context.Context) error {
	if !e.running.CompareAndSwap(false, true) {
		return errors.New("edge: run called twice")
	}
	over := make(chan struct{})
	var workers sync.WaitGroup
	for range e.cfg.Window {
		workers.Go(func() { e.work(over) })
	}
	drained, err := e.subscribe()
	if err == nil {
		<-ctx.Done()
		timer := time.AfterFunc(e.cfg.StopWait, func() { close(e.abandon) })
		defer timer.Stop()
		err = e.drain(drained)
	}
	e.mu.Lock()
	e.stopped = true
	e.seal()
	e.mu.Unlock()
	for range e.cfg.Window { // every pack comes back when its clients are answered
		<-e.free
	}
	close(over)
	workers.Wait()
	return errors.Join(err, e.flush())
}

// work delivers packs one after the other.
func (e *Edge) work(over <-chan struct{}) {
	for {
		select {
		case p := <-e.sealed:
			e.deliver(p)
			p.reset()
			e.free <- p
		case <-over:
			return
		}
	}
}

// subscribe begins to take reports. drained is closed when no more will come after a Drain or an Unsubscribe.
func (e *Edge) subscribe() (drained <-chan struct{}, err error) {
	sub, err := e.cfg.Front.QueueSubscribe(e.cfg.Subject, e.cfg.Queue, e.take)
	if err != nil {
		return nil, fmt.Errorf("subscribe edge to %s: %w", e.cfg.Subject, err)
	}
	over := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(over) })
	// Small messages cost more than their bytes: the second bound keeps them within the first one's intent.
	if err := sub.SetPendingLimits(max(e.cfg.MaxPending/leastMessage, 1), e.cfg.MaxPending); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe edge to %s: %w", e.cfg.Subject, err), sub.Unsubscribe())
	}
	e.sub.Store(sub)
	return over, nil
}

// leastMessage is what a waiting message takes in memory at least: the message itself, its subjects and its header.
const leastMessage = 512

// drain ends the subscription and handles what has come by then, until the time to stop is over.
func (e *Edge) drain(drained <-chan struct{}) error {
	sub := e.sub.Load()
	e.notTaken()
	if errors.Is(sub.Drain(), nats.ErrConnectionClosed) {
		return nil // nothing comes, and nobody can be answered
	}
	select {
	case <-drained:
	case <-e.abandon:
	}
	// What still waits is given up at once, one by one.
	left, _, _ := sub.Pending()
	_ = sub.Unsubscribe()
	if n := e.untaken.Load() + uint64(max(left, 0)); n > 0 {
		return fmt.Errorf("stop edge: %d reports were not taken within %v; their clients send them again", n, e.cfg.StopWait)
	}
	return nil
}

// flush waits until the answers have left.
func (e *Edge) flush() error {
	if !e.cfg.Front.IsConnected() {
		return nil // nobody to tell
	}
	if err := e.cfg.Front.FlushTimeout(e.cfg.StopWait); err != nil {
		return fmt.Errorf("stop edge: the last answers may not have left: %w", err)
	}
	return nil
}
