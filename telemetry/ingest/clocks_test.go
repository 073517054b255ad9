package ingest_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/ingest"
	"github.com/attune-calls/attune/telemetry/internal/await"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// moved is a warehouse whose clock is set.
type moved struct {
	*warehouse.Warehouse
	by atomic.Int64
}

func (m *moved) Now(ctx context.Context) (time.Time, error) {
	now, err := m.Warehouse.Now(ctx)
	return now.Add(time.Duration(m.by.Load())), err
}

// A clock that is set far ahead or far back costs no report, and deletes none, wherever it is; when it is right again,
// everything goes on by itself.
func TestWrongClockCostsNothing(t *testing.T) {
	const days = 24 * time.Hour
	for name, c := range map[string]struct{ own, store time.Duration }{
		"own ahead":       {own: 100 * days},
		"own back":        {own: -100 * days},
		"warehouse ahead": {store: 100 * days},
		"warehouse back":  {store: -100 * days},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			rng := rand.New(rand.NewPCG(71, 72))
			_, stop := start(t, b.config())
			sent := b.publishReports(t, rng, 5) // what a wrong clock must not delete
			b.drained(t)
			if err := stop(); err != nil {
				t.Fatal(err)
			}

			store := &moved{Warehouse: b.store}
			store.by.Store(int64(c.store))
			var own atomic.Int64
			own.Store(int64(c.own))
			cfg := b.config()
			cfg.Warehouse, cfg.Now = store, func() time.Time { return time.Now().Add(time.Duration(own.Load())) }
			i, stop := start(t, cfg)
			sent = append(sent, b.publishReports(t, rng, 5)...)
			pack := []telemetry.Report{validReport(rng), validReport(rng)}
			sent = append(sent, pack...)
			var data []byte
			for _, r := range pack {
				data = telemetry.AppendToPack(data, encode(t, r))
			}
			if _, err := b.js.Publish(t.Context(), telemetry.PackSubject, data); err != nil {
				t.Fatal(err)
			}
			await.Eventually(t, "the reports have been looked at twice", func() bool { return i.Stats().Doubted >= 14 })
			if s := i.Stats(); s.Stored != 0 || len(s.Rejected) != 0 || s.Expired != 0 {
				t.Errorf("while clocks disagree: %+v", s)
			}
			own.Store(0)
			store.by.Store(0)
			b.drained(t)
			old := validReport(rng) // is refused, now that somebody knows what time it is
			old.Hour -= 24 * 120
			b.publish(t, encode(t, old), "")
			await.Eventually(t, "an old report is refused", func() bool { return i.Stats().Rejected[telemetry.RejectHour] == 1 })
			b.drained(t)
			if err := stop(); err != nil {
				t.Error(err)
			}
			b.checkStored(t, sent, map[telemetry.RejectReason]uint64{telemetry.RejectHour: 1})
		})
	}
}

// Reports that are right by every clock are stored while clocks disagree.
func TestReportsThatAreRightByEveryClock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(73, 74))
	store := &moved{Warehouse: b.store}
	store.by.Store(int64(-30 * time.Hour)) // less than a client may be wrong
	cfg := b.config()
	cfg.Warehouse = store
	i, stop := start(t, cfg)
	sent := b.publishReports(t, rng, 5)
	b.drained(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if s := i.Stats(); s.Stored != 5 || s.Doubted != 0 {
		t.Errorf("%+v", s)
	}
	b.checkStored(t, sent, nil)
}

// A stream that deletes what nobody took says nothing; ingest does.
func TestLapsedMessagesAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(75, 76))
	_, stop := start(t, b.config()) // makes the consumer
	sent := b.publishReports(t, rng, 3)
	b.drained(t)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	b.publishReports(t, rng, 7) // nobody takes these
	b.setMaxAge(t, 300*time.Millisecond)
	b.drained(t)
	b.setMaxAge(t, time.Hour)
	sent = append(sent, b.publishReports(t, rng, 2)...)
	i, stop := start(t, b.config())
	await.Eventually(t, "the rest is stored", func() bool { return i.Stats().Stored == 2 })
	if s := i.Stats(); s.Lapsed != 7 {
		t.Errorf("%d messages were seen to lapse, want 7", s.Lapsed)
	}

	// Reports that wait for a newer reader lapse as well; one that a newer reader takes does not.
	newer := func() []byte {
		r := validReport(rng)
		r.Schema = telemetry.SchemaVersion + 1
		return encode(t, r)
	}
	b.publish(t, newer(), "")
	b.publish(t, newer(), "")
	await.Eventually(t, "they wait", func() bool { return i.Stats().Waiting == 2 })
	info, err := b.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.stream.DeleteMsg(t.Context(), info.State.FirstSeq); err != nil { // stands for the newer reader
		t.Fatal(err)
	}
	if err := i.LookForLapsed(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.setMaxAge(t, 300*time.Millisecond)
	b.drained(t)
	if err := i.LookForLapsed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := i.Stats(); s.Lapsed != 8 || s.Waiting != 0 {
		t.Errorf("%d messages lapsed and %d wait, want 8 and 0", s.Lapsed, s.Waiting)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.checkStored(t, sent, nil)
}

func (b *bench) setMaxAge(t *testing.T, age time.Duration) {
	t.Helper()
	stream, err := b.js.Stream(t.Context(), telemetry.Stream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxAge, cfg.Duplicates = age, min(age, time.Minute)
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

var _ ingest.Warehouse = (*moved)(nil)
