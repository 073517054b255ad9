package ingest_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/broker/brokertest"
	"github.com/attune-calls/attune/telemetry/ingest"
	"github.com/attune-calls/attune/telemetry/internal/await"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

func TestMain(m *testing.M) { os.Exit(warehousetest.Run(m)) }

// bench is a stream and an empty warehouse.
type bench struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	store  *warehouse.Warehouse
	dsn    string // of the store
}

func newBench(t testing.TB) *bench {
	t.Helper()
	js := newStream(t)
	stream, err := broker.EnsureStream(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	store, dsn := warehousetest.Migrated(t)
	return &bench{js: js, stream: stream, store: store, dsn: dsn}
}

// newStream is a server without streams yet.
func newStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	site := brokertest.New(t)
	site.Config.NoSyncAlways = true
	return site.StartBare().Publisher(site.OperatorURL())
}

func (b *bench) config() ingest.Config {
	return ingest.Config{JetStream: b.js, Warehouse: b.store, Batch: 500, MaxWait: 50 * time.Millisecond, NewerWait: 200 * time.Millisecond}
}

// start runs an Ingest until the test ends or stop is called.
func start(t testing.TB, cfg ingest.Config, prepare ...func(*ingest.Ingest)) (i *ingest.Ingest, stop func() error) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	i, err := ingest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	var stopped bool
	var result error
	stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			result = <-ended
		}
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return i, stop
}

var (
	now  = time.Now()
	hour = telemetry.HourOf(now)
)

// validReport is a call of a few segments.
func validReport(rng *rand.Rand) telemetry.Report {
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Hour: hour, Origin: telemetry.OriginCall,
		Context: model.Context{Network: model.NetworkType(rng.IntN(model.NetworkTypeCount))},
		Stage:   model.StageEnded, Duration: 5,
	}
	for i := range r.ID {
		r.ID[i] = uint8(rng.Uint32())
	}
	catalogue := model.DefaultCatalogue()
	for range 1 + rng.IntN(6) {
		s := model.Segment{
			Cause: model.CauseInterval, Context: r.Context, Action: catalogue[rng.IntN(len(catalogue))],
			Propensity: 1 + rng.Uint32N(model.PropensityScale), Policy: 3, Seconds: uint8(1 + rng.IntN(9)),
			Outcome: model.Outcome{MOS: model.Bucket(1 + rng.IntN(80)), Rate: model.Bucket(1 + rng.IntN(60))},
		}
		if len(r.Segments) > 0 {
			s.Context.Previous = r.Segments[len(r.Segments)-1].Action
		}
		r.Segments = append(r.Segments, s)
	}
	return r
}

func encode(t testing.TB, r telemetry.Report) []byte {
	t.Helper()
	data, err := r.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// refused is one message for each reason to refuse one.
func refused(t testing.TB, rng *rand.Rand) map[telemetry.RejectReason][]byte {
	spoil := func(change func(*telemetry.Report)) []byte {
		r := validReport(rng)
		change(&r)
		return encode(t, r)
	}
	var propensities []byte
	for range telemetry.MaxSegments + 1 {
		propensities = protowire.AppendVarint(propensities, 5)
	}
	segments := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), propensities)
	return map[telemetry.RejectReason][]byte{
		telemetry.RejectTooLarge:  bytes.Repeat([]byte{0xff}, telemetry.MaxReportSize+1),
		telemetry.RejectMalformed: []byte("203.0.113.7 called +15550100"),
		telemetry.RejectSchema:    spoil(func(r *telemetry.Report) { r.Schema = 0 }),
		telemetry.RejectID:        spoil(func(r *telemetry.Report) { r.ID = telemetry.ReportID{} }),
		telemetry.RejectHour:      spoil(func(r *telemetry.Report) { r.Hour += 24 * 365 }),
		telemetry.RejectContext:   spoil(func(r *telemetry.Report) { r.Context.Network = 77 }),
		telemetry.RejectCall:      spoil(func(r *telemetry.Report) { r.Stars = 9 }),
		telemetry.RejectCounter:   spoil(func(r *telemetry.Report) { r.LostReports = 1 << 20 }),
		telemetry.RejectSegments: protowire.AppendBytes(
			protowire.AppendTag(spoil(func(r *telemetry.Report) { r.Segments = nil }), 16, protowire.BytesType), segments),
		telemetry.RejectSegment:    spoil(func(r *telemetry.Report) { r.Segments[0].Seconds = 200 }),
		telemetry.RejectPropensity: spoil(func(r *telemetry.Report) { r.Segments[0].Propensity = 0 }),
		telemetry.RejectAction:     spoil(func(r *telemetry.Report) { r.Segments[0].Action.FrameMillis = 33 }),
		telemetry.RejectOutcome:    spoil(func(r *telemetry.Report) { r.Segments[0].Outcome.MOS = 99 }),
	}
}

// publish sends a message; an empty id is one that JetStream cannot recognise as a copy.
func (b *bench) publish(t testing.TB, data []byte, id string) {
	t.Helper()
	var options []jetstream.PublishOpt
	if id != "" {
		options = append(options, jetstream.WithMsgID(id))
	}
	if _, err := b.js.Publish(t.Context(), telemetry.Subject, data, options...); err != nil {
		t.Fatal(err)
	}
}

// publishReports sends n new reports and returns them.
func (b *bench) publishReports(t testing.TB, rng *rand.Rand, n int) []telemetry.Report {
	t.Helper()
	reports := make([]telemetry.Report, n)
	for i := range reports {
		reports[i] = validReport(rng)
		if _, err := b.js.PublishAsync(telemetry.Subject, encode(t, reports[i]), jetstream.WithMsgID(telemetry.MessageID(reports[i].ID))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-b.js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		t.Fatal("the stream does not acknowledge")
	}
	return reports
}

// drained waits until the stream is empty: each message has been acknowledged or refused.
func (b *bench) drained(t testing.TB) {
	t.Helper()
	await.Eventually(t, "the stream is empty", func() bool {
		info, err := b.stream.Info(t.Context())
		return err == nil && info.State.Msgs == 0
	})
}

// checkStored compares the warehouse with what was sent: each report once in every query, with all its segments.
func (b *bench) checkStored(t testing.TB, sent []telemetry.Report, rejected map[telemetry.RejectReason]uint64) warehouse.Counts {
	t.Helper()
	counts, err := b.store.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if rejected == nil {
		rejected = map[telemetry.RejectReason]uint64{}
	}
	want := make(map[model.Segment]int)
	segments := 0
	for i := range sent {
		segments += len(sent[i].Segments)
		for _, s := range sent[i].Segments {
			want[s]++
		}
	}
	if counts.Reports != uint64(len(sent)) || counts.Segments != uint64(segments) {
		t.Errorf("%d reports with %d segments are stored, want %d with %d", counts.Reports, counts.Segments, len(sent), segments)
	}
	if diff := cmp.Diff(rejected, counts.Rejected); diff != "" {
		t.Errorf("rejects: %s", diff)
	}
	got := make(map[model.Segment]int)
	err = b.store.EachSegment(t.Context(), warehouse.Filter{}, func(batch *warehouse.SegmentBatch) error {
		for i := range batch.Rows {
			got[batch.Rows[i].Segment]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(want, got) {
		t.Errorf("the segments read are not those sent: %d distinct, want %d", len(got), len(want))
	}
	legs, err := b.store.CallQualities(t.Context(), warehouse.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(legs) != len(sent) {
		t.Errorf("%d call legs, want %d", len(legs), len(sent))
	}
	return counts
}
