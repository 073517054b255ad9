package conservation

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/ingest"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// ingestConfig is given to the children that are ingest processes.
type ingestConfig struct {
	NATS, DSN string
	Mutation  mutation
	Ahead     time.Duration // how far its clock is wrong
}

// mutation is a fault planted in ingest itself, to prove that the test notices.
type mutation string

const (
	mutationNone     mutation = ""
	mutationEarlyAck mutation = "acknowledges before it inserts"
	mutationAlters   mutation = "alters a report, and stores one of its own"
)

// When a child strikes.
const (
	strikeSelf   = "self"   // it kills itself when a block is stored, before it acknowledges
	strikeServer = "server" // it kills ClickHouse when a block is stored, and goes on to acknowledge
)

const (
	ackWait     = 3 * time.Second
	ingestBatch = 200
	minCell     = 8 // reports of a day, region and network that show the region
)

// runIngest is an ingest process until ctx ends.
func runIngest(ctx context.Context, config []byte, say func(event), commands <-chan command) error {
	var cfg ingestConfig
	if err := json.Unmarshal(config, &cfg); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	conn, err := telemetry.Connect(ctx, cfg.NATS, "attune-ingest", log, quickly()...)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	say(event{Ready: true})
	go tellReconnects(ctx, conn, say)
	store, err := warehouse.OpenWhenReady(ctx, cfg.DSN, log)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	armed := &armedStore{Warehouse: store, say: say, mutation: cfg.Mutation}
	armed.ahead.Store(int64(cfg.Ahead))
	go armed.listen(ctx, commands)
	mover, err := ingest.New(ingest.Config{
		JetStream: &watchedJetStream{JetStream: js, say: say, early: cfg.Mutation == mutationEarlyAck}, Warehouse: armed,
		Batch: ingestBatch, MaxWait: 250 * time.Millisecond, AckWait: ackWait, NewerWait: time.Second, MinCell: minCell, Logger: log,
		Now: func() time.Time { return time.Now().Add(time.Duration(armed.ahead.Load())) },
	})
	if err != nil {
		return err
	}
	go tellDoubts(ctx, mover, say)
	return mover.Run(ctx)
}

func tellDoubts(ctx context.Context, mover *ingest.Ingest, say func(event)) {
	for told := uint64(0); ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if now := mover.Stats().Doubted; now > told {
			say(event{Doubted: int(now - told)})
			told = now
		}
	}
}

// quickly makes a connection come back soon after a fault.
func quickly() []nats.Option {
	return []nats.Option{nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.Timeout(time.Second), nats.PingInterval(time.Second)}
}

func tellReconnects(ctx context.Context, conn *nats.Conn, say func(event)) {
	for told := uint64(0); ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if now := conn.Stats().Reconnects; now > told {
			say(event{Reconnected: int(now - told)})
			told = now
		}
	}
}

// armedStore is the warehouse as ingest sees it. It strikes between insert and acknowledgement when told to.
type armedStore struct {
	*warehouse.Warehouse
	say      func(event)
	mutation mutation
	order    atomic.Pointer[command]
	ahead    atomic.Int64 // how far the clock of this process is wrong
}

func (a *armedStore) listen(ctx context.Context, commands <-chan command) {
	for {
		select {
		case c := <-commands:
			if c.Ahead != nil {
				a.ahead.Store(int64(*c.Ahead))
			} else {
				a.order.Store(&c)
			}
		case <-ctx.Done():
			return
		}
	}
}

// InsertBlock stores the reports, and then strikes if it must.
func (a *armedStore) InsertBlock(ctx context.Context, block warehouse.Block) error {
	a.mutate(&block)
	if err := a.Warehouse.InsertBlock(ctx, block); err != nil {
		a.say(event{Retried: 1})
		return err
	}
	a.strike()
	return nil
}

func (a *armedStore) strike() {
	order := a.order.Swap(nil)
	if order == nil || time.Now().After(order.Until) {
		return
	}
	a.say(event{Struck: order.Strike})
	switch order.Strike {
	case strikeSelf:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case strikeServer:
		_ = syscall.Kill(order.Server, syscall.SIGKILL)
	}
}

func (a *armedStore) mutate(block *warehouse.Block) {
	if a.mutation != mutationAlters {
		return
	}
	invention := block.Reports[0]
	invention.ID[0] ^= 0xff
	block.Reports = append(slices.Clone(block.Reports), invention)
	block.Withheld = append(slices.Clone(block.Withheld), block.Withheld[0])
	block.Reports[0].Stage ^= 1
}

// watchedJetStream tells of redeliveries.
type watchedJetStream struct {
	jetstream.JetStream
	say   func(event)
	early bool // acknowledge before ingest sees the message
}

// Stream gives a stream whose consumers are watched.
func (w *watchedJetStream) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := w.JetStream.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return &watchedStream{stream, w}, nil
}

type watchedStream struct {
	jetstream.Stream
	by *watchedJetStream
}

// CreateOrUpdateConsumer gives a consumer that is watched.
func (w *watchedStream) CreateOrUpdateConsumer(ctx context.Context, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := w.Stream.CreateOrUpdateConsumer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &watchedConsumer{consumer, w.by}, nil
}

type watchedConsumer struct {
	jetstream.Consumer
	by *watchedJetStream
}

// Fetch passes the messages on and counts those that were delivered before.
func (w *watchedConsumer) Fetch(batch int, options ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	fetched, err := w.Consumer.Fetch(batch, options...)
	if err != nil {
		return nil, err
	}
	passed := make(chan jetstream.Msg, batch)
	go func() {
		defer close(passed)
		again := 0
		for m := range fetched.Messages() {
			if metadata, err := m.Metadata(); err == nil && metadata.NumDelivered > 1 {
				again++
			}
			if w.by.early {
				_ = m.Ack()
			}
			passed <- m
		}
		if again > 0 {
			w.by.say(event{Redelivered: again})
		}
	}()
	return &passedBatch{fetched, passed}, nil
}

type passedBatch struct {
	jetstream.MessageBatch
	messages chan jetstream.Msg
}

func (p *passedBatch) Messages() <-chan jetstream.Msg { return p.messages }
