package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/ingest"
	"github.com/attune-calls/attune/telemetry/internal/await"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// publishPack sends reports as an edge does.
func (b *bench) publishPack(t testing.TB, reports ...[]byte) {
	t.Helper()
	var pack []byte
	for _, r := range reports {
		pack = telemetry.AppendToPack(pack, r)
	}
	if _, err := b.js.Publish(t.Context(), telemetry.PackSubject, pack); err != nil {
		t.Fatal(err)
	}
}

// A pack with one report for each fault, copies and a newer report among good ones: the good ones are stored, the bad
// ones counted, and the newer one waits by itself. The rest of the stream is as mixed.
func TestPacks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(31, 32))
	want := make(map[telemetry.RejectReason]uint64)
	var sent []telemetry.Report
	var newer [][]byte
	for range 3 {
		var pack [][]byte
		for reason, data := range refused(t, rng) {
			good := validReport(rng)
			sent = append(sent, good)
			pack = append(pack, encode(t, good))
			if reason != telemetry.RejectTooLarge { // which no pack can hold
				pack = append(pack, data)
				want[reason]++
			}
		}
		pack = append(pack, pack[0]) // twice in the pack
		later := validReport(rng)
		later.Schema = telemetry.SchemaVersion + 1
		newer = append(newer, encode(t, later))
		pack = append(pack, newer[len(newer)-1])
		b.publishPack(t, pack...)
	}
	b.publish(t, encode(t, sent[0]), "") // also by itself
	b.publish(t, newer[0], "")           // so the first newer one is in the stream twice
	sent = append(sent, b.publishReports(t, rng, 50)...)

	// A pack that breaks off in the middle of its third report.
	last := []telemetry.Report{validReport(rng), validReport(rng), validReport(rng)}
	var broken []byte
	for i := range last {
		broken = telemetry.AppendToPack(broken, encode(t, last[i]))
	}
	if _, err := b.js.Publish(t.Context(), telemetry.PackSubject, broken[:len(broken)-3]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), telemetry.PackSubject, nil); err != nil { // and one with nothing in it
		t.Fatal(err)
	}
	sent = append(sent, last[:2]...)
	want[telemetry.RejectMalformed]++

	cfg := b.config()
	cfg.Batch = 20 // less than some packs hold
	i, stop := start(t, cfg)
	await.Eventually(t, "only the newer ones are left", func() bool {
		info, err := b.stream.Info(t.Context())
		return err == nil && info.State.Msgs == 4 && i.Stats().Waiting == 4
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.checkStored(t, sent, want)
	if diff := cmp.Diff(want, i.Stats().Rejected); diff != "" {
		t.Error(diff)
	}
	if s := i.Stats(); s.Returned != 3 || s.Stored != uint64(len(sent)) || s.Duplicates != 4 {
		t.Errorf("%+v, want 3 returned, %d stored and 4 duplicates", s, len(sent))
	}
	left := make(map[string]int)
	info, err := b.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := info.State.FirstSeq; n <= info.State.LastSeq; n++ {
		m, err := b.stream.GetMsg(t.Context(), n)
		if err != nil {
			continue // acknowledged
		}
		if m.Subject != telemetry.Subject {
			t.Errorf("a message on %s is left", m.Subject)
		}
		left[string(m.Data)]++
	}
	for n, data := range newer {
		if times := left[string(data)]; times != 1 && (n != 0 || times != 2) {
			t.Errorf("newer report %d is in the stream %d times", n, times)
		}
	}
}

// A pack that is delivered again, because its worker died before the acknowledgement, changes nothing: neither its
// reports, nor its rejects, nor what it gave back to the stream count again.
func TestPackDeliveredAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(33, 34))
	sent := []telemetry.Report{validReport(rng), validReport(rng)}
	newer := validReport(rng)
	newer.Schema = telemetry.SchemaVersion + 1
	b.publishPack(t, encode(t, sent[0]), []byte("nonsense"), encode(t, newer), encode(t, sent[1]), []byte("more nonsense"))
	cfg := b.config()
	cfg.AckWait, cfg.Workers = time.Second, 1
	died := errors.New("killed")
	var deaths atomic.Int64
	for range 2 {
		_, stop := start(t, cfg, func(i *ingest.Ingest) {
			i.AfterInsert(func() error { deaths.Add(1); return died })
		})
		before := deaths.Load()
		await.Eventually(t, "a worker has died", func() bool { return deaths.Load() > before })
		_ = stop()
	}
	_, stop := start(t, cfg)
	await.Eventually(t, "only the newer report is left, by itself", func() bool {
		info, err := b.stream.Info(t.Context())
		if err != nil || info.State.Msgs != 1 {
			return false
		}
		m, err := b.stream.GetLastMsgForSubject(t.Context(), telemetry.Subject)
		return err == nil && bytes.Equal(m.Data, encode(t, newer))
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.checkStored(t, sent, map[telemetry.RejectReason]uint64{telemetry.RejectMalformed: 2})
}

// gate is a warehouse that holds inserts back.
type gate struct {
	ingest.Warehouse
	waiting chan struct{}
	open    chan struct{}
}

func (g *gate) InsertBlock(ctx context.Context, b warehouse.Block) error {
	g.waiting <- struct{}{}
	select {
	case <-g.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	return g.Warehouse.InsertBlock(ctx, b)
}

// The stream is deleted and made anew while batches are in hand. The acknowledgements of the old messages must not take
// the new ones, which have the same numbers and are in the hand of somebody who never stores them.
func TestStreamMadeAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(35, 36))
	cfg := b.config()
	cfg.Workers, cfg.AckWait, cfg.StopWait = 1, 2*time.Second, 10*time.Millisecond

	old := b.publishReports(t, rng, 20)
	slow := &gate{b.store, make(chan struct{}, 100), make(chan struct{})}
	cfg.Warehouse = slow
	first, stopFirst := start(t, cfg)
	<-slow.waiting

	if err := b.js.DeleteStream(t.Context(), telemetry.Stream); err != nil {
		t.Fatal(err)
	}
	stream, err := broker.EnsureStream(t.Context(), b.js)
	if err != nil {
		t.Fatal(err)
	}
	b.stream = stream
	sent := b.publishReports(t, rng, 20)
	stuck := &gate{b.store, make(chan struct{}, 100), make(chan struct{})}
	cfg.Warehouse = stuck
	_, stopSecond := start(t, cfg)
	<-stuck.waiting // it has the new messages

	close(slow.open)
	await.Eventually(t, "the old reports are stored", func() bool { return first.Stats().Stored >= 20 })
	if err := stopFirst(); err != nil {
		t.Error(err)
	}
	if info, err := b.stream.Info(t.Context()); err != nil || info.State.Msgs != 20 {
		t.Errorf("%d messages are in the new stream (%v), want all 20: nobody has stored them", info.State.Msgs, err)
	}
	if err := stopSecond(); err == nil {
		t.Error("the second one was stopped with a batch in hand, and said nothing")
	}
	_, stop := start(t, b.config())
	b.drained(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.checkStored(t, append(old, sent...), nil)
}
