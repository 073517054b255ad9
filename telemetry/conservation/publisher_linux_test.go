package conservation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

// publisher is a client without a Reporter: it publishes a report until it hears an acknowledgement, sometimes only after
// the stream has forgotten the message id, and some reports again although they were acknowledged. Some of what it sends
// must be refused.
type publisher struct {
	name    string
	oracle  *oracle
	subject string // where it publishes: the stream, or the edge
	conn    *nats.Conn
	js      jetstream.JetStream
	rng     *rand.Rand   // of run only
	ahead   atomic.Int64 // how far its clock is wrong, as a time.Duration
	later   []resend
	resent  atomic.Int64 // reports published again after the window
}

type resend struct {
	serial serial
	report telemetry.Report
	at     time.Time
}

const publishTimeout = 700 * time.Millisecond

func newPublisher(ctx context.Context, o *oracle, name string, l *link, subject string, rng *rand.Rand) (*publisher, error) {
	conn, err := telemetry.Connect(ctx, "nats://"+l.address(), "attune-test", nil, quickly()...)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	return &publisher{name: name, oracle: o, subject: subject, conn: conn, js: js, rng: rng}, nil
}

// run publishes a report at every tick until ctx ends, and then what is due later, within the time that hard allows.
func (p *publisher) run(ctx, hard context.Context, tick time.Duration) error {
	for ctx.Err() == nil {
		if err := p.step(hard); err != nil {
			return err
		}
		select {
		case <-time.After(tick):
		case <-ctx.Done():
		}
	}
	for len(p.later) > 0 {
		if err := p.again(hard); err != nil {
			return err
		}
		time.Sleep(tick)
	}
	return nil
}

func (p *publisher) step(ctx context.Context) error {
	if err := p.again(ctx); err != nil {
		return err
	}
	if p.rng.IntN(40) == 0 {
		return p.nonsense(ctx)
	}
	ahead := time.Duration(p.ahead.Load())
	s, r := p.oracle.issue(p.name, ahead)
	if misfit(ahead) {
		data, err := r.AppendMarshal(nil)
		if err != nil {
			return err
		}
		return p.insistRefused(ctx, telemetry.RejectHour, data, telemetry.MessageID(r.ID))
	}
	if err := p.insist(ctx, s, &r); err != nil {
		return err
	}
	if p.rng.IntN(10) == 0 {
		p.later = append(p.later, resend{s, r, time.Now().Add(duplicatesWindow + time.Duration(p.rng.Int64N(int64(3*time.Second))))})
	}
	return nil
}

// again publishes what is due.
func (p *publisher) again(ctx context.Context) error {
	for len(p.later) > 0 && time.Now().After(p.later[0].at) {
		due := p.later[0]
		p.later = p.later[1:]
		if err := p.insist(ctx, due.serial, &due.report); err != nil {
			return err
		}
		p.resent.Add(1)
	}
	return nil
}

// insist publishes a report until it is acknowledged.
func (p *publisher) insist(ctx context.Context, s serial, r *telemetry.Report) error {
	for {
		ack, err := p.publish(ctx, r, telemetry.MessageID(r.ID))
		if err == nil {
			p.oracle.acknowledge(s, ack.Duplicate)
			return nil
		}
		if err := p.rest(ctx, err); err != nil {
			return fmt.Errorf("publisher %s cannot publish report %d: %w", p.name, s, err)
		}
	}
}

// rest is the pause after a fault, now and then longer than the stream remembers message ids.
func (p *publisher) rest(ctx context.Context, fault error) error {
	pause := 50 * time.Millisecond
	if p.rng.IntN(8) == 0 {
		pause = duplicatesWindow + 500*time.Millisecond
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return fault
	}
}

// publish makes one try.
func (p *publisher) publish(ctx context.Context, r *telemetry.Report, id string) (*jetstream.PubAck, error) {
	data, err := r.AppendMarshal(nil)
	if err != nil {
		return nil, err
	}
	return p.publishBytes(ctx, data, id)
}

func (p *publisher) publishBytes(ctx context.Context, data []byte, id string) (*jetstream.PubAck, error) {
	if !p.conn.IsConnected() {
		return nil, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return p.js.Publish(ctx, p.subject, data, jetstream.WithMsgID(id))
}

// nonsense publishes what must be refused.
func (p *publisher) nonsense(ctx context.Context) error {
	r := payload(p.oracle.seed, 1, byPublisher, telemetry.HourOf(time.Now()))
	reason := telemetry.RejectMalformed
	data := []byte("not a report")
	switch p.rng.IntN(3) {
	case 0:
		reason, r.Context.Network = telemetry.RejectContext, 99
	case 1:
		reason, r.LostReports = telemetry.RejectCounter, telemetry.MaxLostReports+1
	}
	if reason != telemetry.RejectMalformed {
		var err error
		if data, err = r.AppendMarshal(nil); err != nil {
			return err
		}
	}
	return p.insistRefused(ctx, reason, data, fmt.Sprintf("nonsense-%x", p.rng.Uint64()))
}

// insistRefused publishes a message that must be refused until it is acknowledged.
func (p *publisher) insistRefused(ctx context.Context, reason telemetry.RejectReason, data []byte, id string) error {
	for {
		p.oracle.refuse(reason, nil)
		ack, err := p.publishBytes(ctx, data, id)
		if err == nil {
			p.oracle.refuse(reason, ack)
			return nil
		}
		if err := p.rest(ctx, err); err != nil {
			return fmt.Errorf("publisher %s cannot publish: %w", p.name, err)
		}
	}
}
