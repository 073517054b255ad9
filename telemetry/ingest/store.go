package ingest

import (
	"context"
	"time"

	"github.com/attune-calls/attune/telemetry/warehouse"
)

// persist inserts the block until it succeeds or ctx ends. Each attempt sends the same rows under the same token: an
// attempt that failed may have stored them, and the ids, or the token, make the copies count once.
func (w *worker) persist(ctx context.Context) error {
	b := &w.block
	rows := warehouse.Block{Reports: b.reports, Withheld: b.cells.withheld}
	if w.cfg.Warehouse.Deduplicates() {
		rows.Token = b.token(w.batch.stream)
	}
	pause := backoff{most: min(mostPause, w.cfg.AckWait/4)}
	for {
		w.touch()
		err := w.attempt(ctx, rows)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		w.metrics.retries.WithLabelValues("insert").Inc()
		w.cfg.Logger.Warn("cannot store reports, trying again", "reports", len(b.reports), "rejects", len(b.rejects), "err", err)
		pause.sleep(ctx)
	}
}

// attempt is one try. It is bounded so that the next sign of life comes before AckWait is over.
func (w *worker) attempt(ctx context.Context, rows warehouse.Block) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.AckWait/2)
	defer cancel()
	if len(rows.Reports) > 0 {
		if err := w.cfg.Warehouse.InsertBlock(ctx, rows); err != nil {
			return err
		}
	}
	if len(w.block.rejects) == 0 {
		return nil
	}
	return w.cfg.Warehouse.CountRejects(ctx, w.block.rejects)
}

// touch gives the stream a sign of life of the messages in hand when the last one was a while ago, or the stream would
// give them to another worker, who would be no luckier.
func (w *worker) touch() {
	if time.Since(w.touched) <= w.cfg.AckWait/4 {
		return
	}
	for i := range w.batch.left {
		_ = w.batch.left[i].InProgress()
	}
	w.touched = time.Now()
}

// giveBack returns messages to the stream, so that another worker gets them before AckWait is over.
func (w *worker) giveBack(ctx context.Context, messages []message) {
	for i := range messages {
		_ = messages[i].Nak()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = w.cfg.JetStream.Conn().FlushWithContext(ctx) // a Nak that gets lost costs the rest of AckWait
}
