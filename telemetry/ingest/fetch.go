package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

const (
	streamName    = telemetry.Stream
	setupWait     = 10 * time.Second
	maxFetchBytes = 8 << 20 // of messages in one batch: a worker holds no more than that undecoded
)

// source is the consumer that the workers of an Ingest share. They take turns, so that a batch is a stretch of the stream
// and not every other message of it.
type source struct {
	turn chan struct{}

	mu       sync.Mutex
	consumer jetstream.Consumer // nil before the first batch and after a fault
	stream   time.Time          // when the stream was made
	made     time.Time          // when the consumer was made
}

// batch is what a worker has in hand. Its memory is used again for the next.
type batch struct {
	messages []message
	left     []message          // not settled yet
	consumer jetstream.Consumer // they came from
	made     time.Time          // when that was made
	stream   time.Time          // when its stream was made
}

func newSource() *source { return &source{turn: make(chan struct{}, 1)} }

// get is the consumer, set up if need be.
func (s *source) get(ctx context.Context, i *Ingest, b *batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer == nil {
		ctx, cancel := context.WithTimeout(ctx, setupWait)
		defer cancel()
		cfg := i.consumerConfig()
		stream, err := i.cfg.JetStream.Stream(ctx, streamName)
		if err != nil {
			return fmt.Errorf("find stream %s: %w%s", streamName, err, hint(err))
		}
		consumer, err := stream.CreateOrUpdateConsumer(ctx, cfg)
		if err != nil {
			return fmt.Errorf("set up consumer %s of stream %s: %w%s", cfg.Durable, streamName, err, hint(err))
		}
		i.countLapsed(stream.CachedInfo(), consumer.CachedInfo())
		s.consumer, s.stream, s.made = consumer, stream.CachedInfo().Created, consumer.CachedInfo().Created
	}
	b.consumer, b.stream, b.made = s.consumer, s.stream, s.made
	return nil
}

// lose says that a consumer is not to be relied on: the next batch sets it up anew.
func (s *source) lose(consumer jetstream.Consumer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer == consumer {
		s.consumer = nil
	}
}

func hint(err error) string {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "; the stream is made by `attune up`, or by the program that owns it"
	}
	return ""
}

// consumerConfig is the durable pull consumer all workers share. MaxAckPending is without bound: only what was pulled
// is in flight, at most one batch per worker, and reports that wait for a newer reader count as pending too, so any bound
// would let enough of them stop all others. MaxDeliver is without bound because no fault makes a report worth losing.
func (i *Ingest) consumerConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       i.cfg.Durable,
		Description:   "moves reports to the warehouse",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       i.cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: -1,
	}
}

// fetch takes up to a batch of messages into w.batch. Messages may come with an error.
func (w *worker) fetch(ctx context.Context) error {
	b := &w.batch
	b.messages = b.messages[:0]
	select {
	case w.source.turn <- struct{}{}:
		defer func() { <-w.source.turn }()
	case <-ctx.Done():
		return nil
	}
	if !w.cfg.JetStream.Conn().IsConnected() {
		// A request now would wait in the connection's buffer and be answered when nobody listens any more.
		return errors.New("not connected to NATS")
	}
	if err := w.source.get(ctx, w.Ingest, b); err != nil {
		return err
	}
	w.touched = time.Now()
	// The fetch is left to end by itself when ctx does: what the server has sent is in hand.
	fetched, err := b.consumer.Fetch(w.cfg.Batch, jetstream.FetchMaxWait(w.cfg.MaxWait), jetstream.FetchMaxBytes(maxFetchBytes))
	if err != nil {
		w.source.lose(b.consumer)
		return fmt.Errorf("fetch from stream %s: %w", streamName, err)
	}
	for m := range fetched.Messages() {
		b.messages = append(b.messages, receive(m, w.touched))
	}
	order(b.messages)
	if err := fetched.Error(); err != nil {
		w.source.lose(b.consumer)
		return fmt.Errorf("fetch from stream %s: %w", streamName, err)
	}
	return nil
}
