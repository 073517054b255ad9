package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/ingest"
	"github.com/attune-calls/attune/telemetry/internal/await"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

// What is sent is stored or refused, each once: valid reports, copies that JetStream no longer recognises, and
// messages with every fault there is a reason for.
func TestConservation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(1, 2))
	sent := b.publishReports(t, rng, 2000)
	want := make(map[telemetry.RejectReason]uint64)
	for n := range 3 {
		for reason, data := range refused(t, rng) {
			b.publish(t, data, fmt.Sprintf("bad-%d-%d", n, reason))
			want[reason]++
		}
	}
	if len(want) != telemetry.RejectReasonCount-1 {
		t.Fatalf("messages for %d reasons, there are %d", len(want), telemetry.RejectReasonCount-1)
	}
	for _, r := range sent[:50] { // as if sent again after the stream has forgotten the id
		b.publish(t, encode(t, r), "")
	}
	registry := prometheus.NewRegistry()
	cfg := b.config()
	cfg.Metrics = registry
	i, stop := start(t, cfg)
	b.drained(t)
	for _, r := range sent[50:80] {
		b.publish(t, encode(t, r), "")
	}
	b.drained(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.checkStored(t, sent, want)
	stats := i.Stats()
	if stats.Received != 2000+80+3*uint64(len(want)) || stats.Stored+stats.Duplicates != 2080 || stats.Duplicates < 30 || stats.Waiting != 0 {
		t.Errorf("%+v", stats)
	}
	if diff := cmp.Diff(want, stats.Rejected); diff != "" {
		t.Error(diff)
	}
	checkMetrics(t, registry, stats)
}

// checkMetrics compares the metrics with the stats, and looks for labels that could tell clients apart.
func checkMetrics(t *testing.T, registry *prometheus.Registry, stats ingest.Stats) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if name := l.GetName(); name != "reason" && name != "step" {
					t.Errorf("%s has a label %s", f.GetName(), name)
				}
			}
			values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	rejected := uint64(0)
	for _, n := range stats.Rejected {
		rejected += n
	}
	for name, want := range map[string]uint64{
		"received": stats.Received, "stored": stats.Stored, "rejected": rejected, "duplicates": stats.Duplicates, "batches": stats.Batches,
	} {
		if got := values["attune_ingest_"+name+"_total"]; got != float64(want) {
			t.Errorf("attune_ingest_%s_total is %v, want %d", name, got, want)
		}
	}
}

// A worker that dies after the insert and before the acknowledgement leaves the batch to another one. Every report
// counts once, though the rows are there twice.
func TestDeathBetweenInsertAndAcknowledgement(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(3, 4))
	sent := b.publishReports(t, rng, 300)
	bad := refused(t, rng)[telemetry.RejectAction]
	b.publish(t, bad, "bad")
	cfg := b.config()
	cfg.AckWait, cfg.Workers = time.Second, 1
	died := errors.New("killed")
	var deaths atomic.Int64
	_, stop := start(t, cfg, func(i *ingest.Ingest) {
		i.AfterInsert(func() error { deaths.Add(1); return died })
	})
	await.Eventually(t, "the first worker has died", func() bool { return deaths.Load() == 1 })
	if err := stop(); !errors.Is(err, died) {
		t.Fatal(err)
	}
	second, stop := start(t, cfg)
	b.drained(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.checkStored(t, sent, map[telemetry.RejectReason]uint64{telemetry.RejectAction: 1})
	if stats := second.Stats(); stats.Stored != 300 || stats.Received != 301 {
		t.Errorf("the second worker did %+v, want all 300 again: nobody acknowledged them", stats)
	}
}

// ClickHouse is killed several times while reports arrive.
func TestWarehouseKilled(t *testing.T) {
	t.Parallel()
	own, err := warehouse.StartManaged(t.Context(), warehouse.ManagedConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Close() })
	js := newStream(t)
	stream, err := broker.EnsureStream(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	store, err := warehouse.Open(t.Context(), own.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &bench{js: js, stream: stream, store: store, dsn: own.DSN()}
	cfg := b.config()
	cfg.Batch, cfg.Logger = 100, slog.New(slog.DiscardHandler)
	i, stop := start(t, cfg)
	rng := rand.New(rand.NewPCG(5, 6))
	var sent []telemetry.Report
	for kills := range 3 {
		sent = append(sent, b.publishReports(t, rng, 500)...)
		await.Eventually(t, "some of the reports are stored", func() bool { return i.Stats().Stored > uint64(500*kills+100) })
		pid := own.PID()
		if pid == 0 {
			t.Fatal("clickhouse does not run")
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, b.publishReports(t, rng, 100)...)
		await.Eventually(t, "clickhouse answers again", func() bool { return b.store.Ping(t.Context()) == nil })
	}
	b.drained(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if own.Restarts() != 3 {
		t.Errorf("%d restarts, want 3", own.Restarts())
	}
	counts := b.checkStored(t, sent, nil)
	t.Logf("%d rows for %d reports", counts.Rows, counts.Reports)
}

// A report of a newer schema waits in the stream and holds nobody up.
func TestNewerSchemaWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for n := range 20 {
		newer := validReport(rng)
		newer.Schema = telemetry.SchemaVersion + 1
		b.publish(t, encode(t, newer), fmt.Sprint(n))
	}
	sent := b.publishReports(t, rng, 100)
	i, stop := start(t, b.config())
	await.Eventually(t, "the newer ones have been looked at twice, and all others are stored", func() bool {
		s := i.Stats()
		return s.Received >= 140 && s.Stored == 100
	})
	if s := i.Stats(); s.Waiting != 20 || len(s.Rejected) != 0 {
		t.Errorf("%+v, want 20 waiting and none refused", s)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	info, err := b.stream.Info(t.Context())
	if err != nil || info.State.Msgs != 20 {
		t.Errorf("%d messages are left in the stream (%v), want the 20 newer ones", info.State.Msgs, err)
	}
	b.checkStored(t, sent, nil)
}

// Without the stream, ingest waits for it; a stop while waiting is not an error.
func TestWaitsForTheStream(t *testing.T) {
	t.Parallel()
	js := newStream(t)
	var log await.Log
	store, _ := warehousetest.Migrated(t)
	cfg := ingest.Config{JetStream: js, Warehouse: store, Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxWait: 50 * time.Millisecond}
	i, stop := start(t, cfg)
	await.Eventually(t, "the log says what is missing", func() bool { return strings.Contains(log.String(), "attune up") })
	stream, err := broker.EnsureStream(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{js: js, stream: stream}
	b.publishReports(t, rand.New(rand.NewPCG(9, 10)), 5)
	await.Eventually(t, "reports are stored", func() bool { return i.Stats().Stored == 5 })
	// The consumer is deleted under the workers' feet, and comes back.
	if err := js.DeleteConsumer(t.Context(), telemetry.Stream, "ingest"); err != nil {
		t.Fatal(err)
	}
	b.publishReports(t, rand.New(rand.NewPCG(11, 12)), 5)
	await.Eventually(t, "more reports are stored", func() bool { return i.Stats().Stored == 10 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := i.Run(t.Context()); err == nil {
		t.Error("run twice")
	}
}

// stuck is a warehouse that never stores.
type stuck struct{ tries atomic.Int64 }

func (s *stuck) InsertBlock(context.Context, warehouse.Block) error {
	s.tries.Add(1)
	return errors.New("out of space")
}
func (s *stuck) CountRejects(context.Context, []warehouse.Reject) error { return nil }
func (s *stuck) Deduplicates() bool                                     { return false }
func (s *stuck) Now(context.Context) (time.Time, error)                 { return time.Now(), nil }
func (s *stuck) DropExpired(context.Context, time.Time, time.Duration) (warehouse.Dropped, error) {
	return warehouse.Dropped{}, nil
}

// A batch that cannot be stored is held through many times AckWait without another delivery, and goes back to the
// stream when ingest has to stop.
func TestHoldsABatchItCannotStore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sent := b.publishReports(t, rand.New(rand.NewPCG(13, 14)), 10)
	cfg := b.config()
	store := &stuck{}
	cfg.Warehouse, cfg.AckWait, cfg.StopWait, cfg.Workers = store, time.Second, 10*time.Millisecond, 2
	_, stop := start(t, cfg)
	await.Eventually(t, "it has tried for a while", func() bool { return store.tries.Load() >= 12 })
	consumer, err := b.stream.Consumer(t.Context(), "ingest")
	if err != nil {
		t.Fatal(err)
	}
	if info := consumer.CachedInfo(); info.NumRedelivered != 0 || info.NumAckPending != 10 {
		t.Errorf("%d delivered again, %d pending; want 0 and 10", info.NumRedelivered, info.NumAckPending)
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), "stays in the stream") {
		t.Errorf("stopped with %v", err)
	}
	_, stop = start(t, b.config())
	b.drained(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.checkStored(t, sent, nil)
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := ingest.New(ingest.Config{Workers: 65, Batch: -1, AckWait: time.Millisecond})
	for _, want := range []string{"JetStream", "Warehouse", "Workers 65", "Batch -1", "AckWait 1ms"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	if err := ingest.Run(t.Context(), ingest.Config{}); err == nil {
		t.Error("ran without anything")
	}
}
