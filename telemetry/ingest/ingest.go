package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Ingest is a group of workers on one stream.
type Ingest struct {
	cfg     Config
	metrics *metrics
	source  *source
	recent  *recent
	cells   *cells
	clocks  *clocks
	stats   tally
	running atomic.Bool

	// afterInsert is nil but in tests: it stands for the death of the process between insert and acknowledgement.
	afterInsert func() error
}

// New prepares an Ingest. It does not connect to anything yet.
func New(cfg Config) (*Ingest, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure ingest: %w", err)
	}
	cfg.setDefaults()
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("configure ingest: %w", err)
	}
	i := &Ingest{cfg: cfg, metrics: m, source: newSource(), recent: newRecent(), cells: newCells(cfg.MinCell)}
	i.clocks = &clocks{own: cfg.Now, ask: i.askClocks, log: cfg.Logger, gap: m.clockGap.Set, wait: min(askWait, cfg.AckWait/4)}
	return i, nil
}

// Run is New followed by Ingest.Run.
func Run(ctx context.Context, cfg Config) error {
	i, err := New(cfg)
	if err != nil {
		return err
	}
	return i.Run(ctx)
}

// Run moves reports until ctx ends, then finishes the batches in hand and returns nil. It also deletes what is older
// than Retention, at once and then every hour. Faults of the servers are not errors: they are logged, counted and waited
// out. The one error is a batch that could not be finished within StopWait; nothing is lost by it, the stream delivers
// the batch again. Run may be called once.
func (i *Ingest) Run(ctx context.Context) error {
	if !i.running.CompareAndSwap(false, true) {
		return errors.New("ingest: run called twice")
	}
	errs := make([]error, i.cfg.Workers)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = i.newWorker().run(ctx) })
	}
	wg.Go(func() { i.expire(ctx) })
	wg.Go(func() { i.watch(ctx) })
	wg.Wait()
	return errors.Join(errs...)
}

// worker moves one batch at a time.
type worker struct {
	*Ingest
	batch   batch
	block   block
	touched time.Time // when the stream last had a sign of life of the batch
}

func (i *Ingest) newWorker() *worker { return &worker{Ingest: i} }

// run loops until ctx ends.
func (w *worker) run(ctx context.Context) error {
	pause := backoff{most: mostPause}
	for ctx.Err() == nil {
		fault := w.fetch(ctx)
		if err := w.finish(ctx); err != nil {
			return err
		}
		if fault == nil {
			pause.reset()
		} else if ctx.Err() == nil {
			w.metrics.retries.WithLabelValues("fetch").Inc()
			w.cfg.Logger.Warn("cannot take reports from the stream, trying again", "stream", streamName, "err", fault)
			pause.sleep(ctx)
		}
	}
	return nil
}

// finish stores and acknowledges the batch in hand, block by block. After the end of ctx it goes on for StopWait at
// most.
func (w *worker) finish(ctx context.Context) error {
	hand, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(w.cfg.StopWait, cancel) })
	defer stop()
	for left := w.batch.messages; len(left) > 0 || w.cells.waiting() && hand.Err() == nil; {
		began := time.Now()
		w.batch.left = left
		w.load(hand, left)
		if len(left) == 0 && len(w.block.reports) == 0 { // another worker has taken them
			return nil
		}
		if err := w.persist(hand); err != nil {
			w.cells.abort(&w.block.cells)
			if len(left) == 0 { // only regions were to be added: the reports are stored, and keep theirs withheld
				return nil
			}
			w.giveBack(hand, left)
			return fmt.Errorf("stop ingest: a batch of %d messages is not stored and stays in the stream: %w", len(left), err)
		}
		w.cells.commit(&w.block.cells)
		if w.afterInsert != nil {
			if err := w.afterInsert(); err != nil {
				return err
			}
		}
		w.recent.add(w.block.reports[:w.block.own])
		w.publishNewer(hand)
		w.count(began)
		w.settle(hand)
		left = left[len(w.block.messages):]
	}
	return nil
}

// load makes the next block from what is left of the batch.
func (w *worker) load(ctx context.Context, left []message) {
	b := &w.block
	at := w.clocks.look(ctx, askEvery)
	l := limits{
		now: at.earliest, oldest: OldestHour(at.latest, w.cfg.Retention), doubt: !at.agreed, most: w.cfg.Batch, recent: w.recent,
	}
	part := left
	if w.cfg.Warehouse.Deduplicates() {
		part = left[:firstRange(left)]
	}
	b.fill(part, &l)
	b.own = len(b.reports)
	w.cells.admit(b.reports, &b.cells)
	b.reports = w.cells.reveal(&b.cells, b.reports)
}
