package conservation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

// ackTimeout is how long a Reporter of this test waits for an acknowledgement.
const ackTimeout = time.Second

// caller is a client that makes calls and reports them with a real Reporter.
type caller struct {
	name   string
	oracle *oracle
	link   *link // its way to NATS
	conn   *nats.Conn
	cfg    telemetry.ReporterConfig

	mu       sync.RWMutex // held for writing while one Reporter follows another
	reporter *telemetry.Reporter
	earlier  telemetry.Counts // of the Reporters before, without their pending reports
}

// newCaller starts a client on subject whose connection goes through l.
func newCaller(ctx context.Context, o *oracle, name string, l *link, cfg telemetry.ReporterConfig, log *slog.Logger) (*caller, error) {
	c := &caller{name: name, oracle: o, link: l}
	var err error
	c.conn, err = telemetry.Connect(ctx, "nats://"+l.address(), "attune-call", log, quickly()...)
	if err != nil {
		return nil, err
	}
	// As telemetry.NewPublisher does, for a shorter AckTimeout.
	js, err := jetstream.New(c.conn, jetstream.WithPublishAsyncMaxPending(2*telemetry.MaxWindow), jetstream.WithPublishAsyncTimeout(2*ackTimeout))
	if err != nil {
		return nil, err
	}
	cfg.Enabled = true
	cfg.Publisher = &watchedPublisher{Publisher: js, oracle: o, client: name}
	cfg.AckTimeout, cfg.RetryMin, cfg.RetryMax = ackTimeout, 50*time.Millisecond, 500*time.Millisecond
	cfg.Logger = log
	c.cfg = cfg
	if c.reporter, err = telemetry.NewReporter(cfg); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

// run makes a call at every tick until ctx ends.
func (c *caller) run(ctx context.Context, tick time.Duration) {
	for ctx.Err() == nil {
		c.call()
		select {
		case <-time.After(tick):
		case <-ctx.Done():
		}
	}
}

// call makes one call, whose report is a payload.
func (c *caller) call() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.oracle.next()
	p := payload(c.oracle.seed, n, byReporter, 0)
	call := c.reporter.Call(p.Context, p.Origin)
	call.Stage(p.Stage)
	for _, s := range p.Segments {
		call.Record(s)
	}
	call.Rate(opinion(c.oracle.seed, n))
	call.End(p.Dropped)
}

// restart ends the Reporter after at most patience, and starts another on the same spool.
func (c *caller) restart(ctx context.Context, patience time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.reporter.Close(brief); err != nil {
		return fmt.Errorf("client %s: close: %w", c.name, err)
	}
	left := c.reporter.Counts()
	c.earlier = add(c.earlier, left)
	c.earlier.Recovered, c.earlier.Pending = 0, 0
	var err error
	if c.reporter, err = telemetry.NewReporter(c.cfg); err != nil {
		return fmt.Errorf("client %s: start again: %w", c.name, err)
	}
	if now := c.reporter.Counts(); now.Recovered != left.Pending {
		return fmt.Errorf("client %s: %d reports were waiting at the end of one reporter, the next one recovers %d", c.name, left.Pending, now.Recovered)
	}
	return nil
}

func add(a, b telemetry.Counts) telemetry.Counts {
	return telemetry.Counts{
		Created: a.Created + b.Created, Sent: a.Sent + b.Sent, Acknowledged: a.Acknowledged + b.Acknowledged,
		Duplicates: a.Duplicates + b.Duplicates, Spooled: a.Spooled + b.Spooled, Dropped: a.Dropped + b.Dropped, Pending: b.Pending,
	}
}

// counts are the totals of all its Reporters.
func (c *caller) counts() telemetry.Counts {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return add(c.earlier, c.reporter.Counts())
}

// settle waits until nothing is pending, with calls in between, so that the last drops are told too.
func (c *caller) settle(ctx context.Context) error {
	for calls := range 2 {
		for c.counts().Pending > 0 {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("client %s still has reports that nobody acknowledges: %+v", c.name, c.counts())
			}
		}
		if calls == 0 {
			c.call()
		}
	}
	return nil
}

func (c *caller) close(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.conn.Close()
	return c.reporter.Close(ctx)
}
