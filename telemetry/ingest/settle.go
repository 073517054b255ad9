package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// settle tells the stream what became of each message of the block. An acknowledgement that gets lost costs one more
// delivery and nothing else, so one round trip per message would buy nothing; but the last one asks for an answer, and
// since the server takes the answers of a connection in order, all have arrived by then. That keeps the next fetch, and
// a stop, from racing with them.
func (w *worker) settle(ctx context.Context) {
	messages := w.block.messages
	if len(messages) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	err := w.sameConsumer(ctx)
	if err == nil {
		err = w.answer(ctx, messages)
	}
	if err != nil {
		w.metrics.retries.WithLabelValues("acknowledge").Inc()
		w.cfg.Logger.Warn("acknowledgements may be lost; the stream will deliver these reports again",
			"reports", w.block.own, "err", err)
	}
}

const settleWait = 10 * time.Second

// sameConsumer makes sure that the acknowledgements are for the messages in hand. They name a message by the stream's
// name, the consumer's name and a number. When somebody deletes the stream and makes it anew, numbers begin again, and an
// acknowledgement of a message of the old stream would take a message from the new one that nobody has stored.
func (w *worker) sameConsumer(ctx context.Context) error {
	info, err := w.batch.consumer.Info(ctx)
	if err == nil && !info.Created.Equal(w.batch.made) {
		err = errors.New("it has been made anew")
	}
	if err != nil {
		w.source.lose(w.batch.consumer)
		return fmt.Errorf("look up consumer %s of stream %s: %w", w.cfg.Durable, streamName, err)
	}
	return nil
}

func (w *worker) answer(ctx context.Context, messages []message) error {
	var last *message
	for i := range messages {
		m := &messages[i]
		switch m.fate {
		case fateRefused:
			_ = m.Term()
		case fateNewer:
			_ = m.NakWithDelay(w.cfg.NewerWait)
		case fateAgain:
			_ = m.NakWithDelay(min(w.cfg.NewerWait, againWait))
		default:
			if last != nil {
				_ = last.Ack()
			}
			last = m
		}
	}
	if last == nil {
		return nil
	}
	return last.DoubleAck(ctx)
}
