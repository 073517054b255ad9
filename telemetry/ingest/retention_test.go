package ingest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// broom is a warehouse that notes when it is swept.
type broom struct {
	sink
	mu     sync.Mutex
	times  []time.Time
	faults int
}

func (b *broom) fail(times int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = times
}

func (b *broom) DropExpired(_ context.Context, now time.Time, retention time.Duration) (warehouse.Dropped, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.faults > 0 {
		b.faults--
		return warehouse.Dropped{}, errors.New("not now")
	}
	b.times = append(b.times, now)
	if retention != 20*24*time.Hour {
		return warehouse.Dropped{}, errors.New("another retention")
	}
	return warehouse.Dropped{Partitions: 1, Reports: 10}, nil
}

// What is past its time is deleted at the start, and then every hour; a fault is tried again soon.
func TestDeletesEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := &broom{faults: 3}
		i, err := New(Config{JetStream: &process{}, Warehouse: b, Retention: 20 * 24 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		i.TrustClock()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); i.expire(ctx) }()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if len(b.times) != 1 || b.times[0].Sub(began) > 5*time.Minute {
			t.Errorf("deleted at %v, began at %v", b.times, began)
		}
		b.fail(2)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if len(b.times) != 4 {
			t.Errorf("deleted %d times in 3.5 hours, want 4", len(b.times))
		}
		cancel()
		<-done
		if s := i.Stats(); s.Expired != 40 {
			t.Errorf("%d rows expired, want 40", s.Expired)
		}
	})
}

// Every hour that is taken lies in a week that is kept for another hour at least, and no week more is refused.
func TestOldestHour(t *testing.T) {
	const retention = 30 * 24 * time.Hour
	for n := range 3 * 7 * 24 * 4 {
		now := time.Date(2026, 11, 20, 0, 15*n, 30, 0, time.UTC)
		oldest := time.Unix(3600*int64(OldestHour(now, retention)), 0).UTC()
		if oldest.Weekday() != time.Monday || oldest.Hour() != 0 {
			t.Fatalf("at %v the oldest is %v, want the start of a Monday", now, oldest)
		}
		limit := now.Add(expireMargin - retention)
		if oldest.Before(limit) || oldest.Sub(limit) >= 7*24*time.Hour {
			t.Fatalf("at %v the oldest is %v, the limit with its margin is %v", now, oldest, limit)
		}
	}
	if day := dayOf(telemetry.HourOf(time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC))); (day+3)%7 != 0 {
		t.Errorf("day %d is not a Monday", day)
	}
}
