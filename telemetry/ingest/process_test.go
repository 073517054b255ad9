package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// process is one Ingest of the state machine.
type process struct {
	jetstream.JetStream // nil: only what is below may be called
	world               *world
	ingest              *Ingest
	workers             []*worker
	tasks               []*task // of each worker; nil while it has nothing in hand
	ctx                 context.Context
	cancel              context.CancelFunc
	dead, mute          bool // killed; its words to the stream get lost
	waited              uint64
}

func (w *world) newProcess(workers, batch int) *process {
	p := &process{world: w}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	now := time.Unix(3600*int64(machineHour), 0)
	i, err := New(Config{JetStream: p, Warehouse: p, Batch: batch, MinCell: w.k, Now: func() time.Time { return now }})
	if err != nil {
		panic(err)
	}
	i.recent.capacity = 4
	i.TrustClock()
	i.afterInsert = func() error { return nil }
	p.ingest = i
	for range workers {
		p.workers = append(p.workers, i.newWorker())
	}
	p.tasks = make([]*task, workers)
	return p
}

func (p *process) Conn() *nats.Conn { return nil }

func (p *process) PublishMsgAsync(m *nats.Msg, options ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	w := p.world
	if w.full || p.dead {
		return nil, errors.New("the stream is full")
	}
	r := w.byData[string(m.Data)]
	if r == nil || r.kind != sentNewer {
		w.fail("what is published is no newer report")
		return nil, errors.New("no newer report")
	}
	w.publish(m.Subject, m.Data, telemetry.MessageID(r.report.ID), []*sent{r})
	answer := &future{ok: make(chan *jetstream.PubAck, 1)}
	answer.ok <- &jetstream.PubAck{}
	return answer, nil
}

type future struct {
	jetstream.PubAckFuture
	ok chan *jetstream.PubAck
}

func (f *future) Ok() <-chan *jetstream.PubAck { return f.ok }
func (f *future) Err() <-chan error            { return nil }

// task is a worker with a batch in hand. It stops before each insert and goes on when the state machine says how that
// ends.
type task struct {
	next    func() (warehouse.Block, bool)
	stop    func()
	yield   func(warehouse.Block) bool
	outcome outcome
}

// outcome is how an insert ends.
type outcome struct {
	weeks int // that get stored, of those in the block
	err   error
}

type taskKey struct{}

func (p *process) InsertBlock(ctx context.Context, block warehouse.Block) error {
	t := ctx.Value(taskKey{}).(*task)
	if !t.yield(block) {
		return errors.New("killed")
	}
	p.world.insert(block, t.outcome.weeks)
	return t.outcome.err
}

func (p *process) CountRejects(_ context.Context, rejects []warehouse.Reject) error {
	for _, r := range rejects {
		p.world.rejects[r] = true
	}
	return nil
}

func (p *process) Deduplicates() bool { return p.world.tokens != nil }

func (p *process) Now(context.Context) (time.Time, error) { return p.ingest.cfg.Now(), nil }

func (p *process) DropExpired(context.Context, time.Time, time.Duration) (warehouse.Dropped, error) {
	return warehouse.Dropped{}, nil
}

// delivery is a message in the hand of a worker.
type delivery struct {
	*stored
	world   *world
	process *process
	made    time.Time
}

func (d *delivery) Data() []byte         { return d.data }
func (d *delivery) Headers() nats.Header { return nil }
func (d *delivery) Subject() string      { return d.subject }
func (d *delivery) Reply() string        { return "" }
func (d *delivery) InProgress() error    { return nil }
func (d *delivery) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Timestamp: d.received, Sequence: jetstream.SequencePair{Stream: d.sequence}}, nil
}
func (d *delivery) Ack() error                  { d.world.remove(d, "ack"); return nil }
func (d *delivery) Term() error                 { d.world.remove(d, "term"); return nil }
func (d *delivery) TermWithReason(string) error { return d.Term() }
func (d *delivery) Nak() error                  { return d.NakWithDelay(0) }
func (d *delivery) DoubleAck(context.Context) error {
	if d.process.mute || d.process.dead {
		return errors.New("no answer")
	}
	return d.Ack()
}

func (d *delivery) NakWithDelay(delay time.Duration) error {
	if delay == d.process.ingest.cfg.NewerWait {
		d.process.waited++
	}
	if now := d.world.messages[d.sequence]; now != nil && d.made.Equal(d.world.made) && !d.process.dead && !d.process.mute {
		now.delivered = false
	}
	return nil
}

// consumer is what a batch was taken from.
type consumer struct {
	jetstream.Consumer
	world *world
}

func (c *consumer) Info(context.Context) (*jetstream.ConsumerInfo, error) {
	return &jetstream.ConsumerInfo{Created: c.world.made}, nil
}
