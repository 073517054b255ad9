package ingest

import (
	"context"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// The warehouse deletes whole weeks, and a week as soon as its first day is older than the limit, so that nothing is
// kept longer than was promised. Ingest refuses what would be deleted at once, and what would be deleted within the
// margin: no insert may bring back a single report of a cell whose others have just been deleted.
const (
	expireEvery  = time.Hour
	expirePause  = time.Minute // at most, after a fault
	expireMargin = time.Hour
)

// OldestHour is the first hour whose reports ingest takes: the first Monday, 00:00 UTC, within retention.
func OldestHour(now time.Time, retention time.Duration) uint32 {
	limit := telemetry.HourOf(now.Add(expireMargin - retention).Add(time.Hour - 1)) // rounded up
	const thursday, week = 3 * 24, 7 * 24                                           // 1970-01-01 was a Thursday
	return (limit+thursday+week-1)/week*week - thursday
}

// expire deletes what is older than the limit, once at the start and then every hour, until ctx ends. A fault is waited
// out, and so is a clock that nobody confirms.
func (i *Ingest) expire(ctx context.Context) {
	pause := backoff{most: expirePause}
	for ctx.Err() == nil {
		at := i.clocks.look(ctx, 0)
		if !at.agreed { // what is deleted by a wrong clock is gone
			pause.sleep(ctx)
			continue
		}
		now := at.own
		// The cells first: what is stored from now on must not build on reports that are about to go.
		i.cells.expire(dayOf(OldestHour(now, i.cfg.Retention)))
		dropped, err := i.cfg.Warehouse.DropExpired(ctx, now, i.cfg.Retention)
		if err != nil {
			if ctx.Err() == nil {
				i.metrics.retries.WithLabelValues("expire").Inc()
				i.cfg.Logger.Warn("cannot delete expired reports, trying again", "retention", i.cfg.Retention, "err", err)
				pause.sleep(ctx)
			}
			continue
		}
		i.reportDropped(dropped)
		pause.reset()
		select {
		case <-time.After(expireEvery):
		case <-ctx.Done():
		}
	}
}
