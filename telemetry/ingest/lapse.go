package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A stream deletes what it has held for its greatest age, acknowledged or not, and says so to nobody. So ingest looks,
// before it takes the first message and then every minute, for numbers that are gone from the beginning of the stream
// and that no ingest has been given, and for messages of its own that wait for a newer reader and have reached that age.
// What was gone before a consumer was made, and what waited for another process, it does not see. Several processes may
// see the same loss.
const lapseEvery = time.Minute

// watch looks for what was lost until ctx ends.
func (i *Ingest) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lapseEvery):
		}
		if err := i.lookForLapsed(ctx); err != nil && ctx.Err() == nil {
			i.metrics.retries.WithLabelValues("watch").Inc()
			i.cfg.Logger.Warn("cannot see whether the stream deletes reports that nobody took, trying again", "err", err)
		}
	}
}

func (i *Ingest) lookForLapsed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setupWait)
	defer cancel()
	// The stream first: what the consumer hands out in between is not taken for lost.
	stream, err := i.cfg.JetStream.Stream(ctx, streamName)
	if err != nil {
		return fmt.Errorf("find stream %s: %w%s", streamName, err, hint(err))
	}
	consumer, err := stream.Consumer(ctx, i.cfg.Durable)
	if err != nil {
		return fmt.Errorf("look up consumer %s of stream %s: %w", i.cfg.Durable, streamName, err)
	}
	i.countLapsed(stream.CachedInfo(), consumer.CachedInfo())
	return nil
}

// countLapsed compares what the stream said with what its consumer said after that.
func (i *Ingest) countLapsed(stream *jetstream.StreamInfo, consumer *jetstream.ConsumerInfo) {
	first, t := stream.State.FirstSeq, &i.stats
	t.mu.Lock()
	if !t.made.Equal(stream.Created) {
		t.made, t.seen = stream.Created, 0
	}
	lost := uint64(0)
	if given := max(consumer.Delivered.Stream, t.seen); first > given+1 {
		lost = first - given - 1
		t.seen = first - 1
	}
	for number, received := range t.waiting {
		if number >= first {
			continue
		}
		delete(t.waiting, number)
		// One that left earlier was taken by somebody: a newer reader.
		if age := stream.Config.MaxAge; age > 0 && stream.TimeStamp.Sub(received) >= age {
			lost++
		}
	}
	t.stats.Lapsed += lost
	waiting := len(t.waiting)
	t.mu.Unlock()
	i.metrics.lapsed.Add(float64(lost))
	i.metrics.waiting.Set(float64(waiting))
	if lost > 0 {
		i.cfg.Logger.Error("the stream has deleted messages that nobody had stored, because they were too old or somebody purged it; "+
			"let ingest run, have a newer one read reports of a newer schema, or let the stream keep reports for longer: "+
			"nats stream edit "+streamName+" --max-age", "messages", lost, "stream", streamName, "maxAge", stream.Config.MaxAge)
	}
}
