package ingest

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// sink takes blocks and forgets them: what is left to measure is the way of a report from a message to a block.
type sink struct{ reports int }

func (s *sink) InsertBlock(_ context.Context, b warehouse.Block) error {
	s.reports += len(b.Reports)
	return nil
}
func (s *sink) CountRejects(context.Context, []warehouse.Reject) error { return nil }
func (s *sink) Deduplicates() bool                                     { return false }
func (s *sink) Now(context.Context) (time.Time, error)                 { return time.Now(), nil }
func (s *sink) DropExpired(context.Context, time.Time, time.Duration) (warehouse.Dropped, error) {
	return warehouse.Dropped{}, nil
}

// packet is a message that nobody delivered.
type packet struct {
	jetstream.Msg
	subject string
	data    []byte
	number  uint64
}

func (p *packet) Data() []byte         { return p.data }
func (p *packet) Subject() string      { return p.subject }
func (p *packet) Headers() nats.Header { return nil }
func (p *packet) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Timestamp: time.Now(), Sequence: jetstream.SequencePair{Stream: p.number}}, nil
}

// typicalCall is a call of three minutes: 45 decisions, of which most keep what was.
func typicalCall(rng *rand.Rand, hour uint32) telemetry.Report {
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Hour: hour, Origin: telemetry.OriginCall,
		Context: model.Context{
			Network: model.NetworkType(1 + rng.IntN(model.NetworkTypeCount-1)), Region: model.Region(1 + rng.IntN(40)),
		},
		Stage: model.StageEnded, Duration: 9,
	}
	for i := range r.ID {
		r.ID[i] = uint8(rng.Uint32())
	}
	catalogue := model.DefaultCatalogue()
	action := catalogue[rng.IntN(len(catalogue))]
	for i := range 45 {
		c := r.Context
		if i > 0 {
			c.Previous = action
			c.RoundTripTime, c.Jitter, c.Loss = model.Bucket(5+rng.IntN(4)), model.Bucket(3+rng.IntN(3)), model.Bucket(1+rng.IntN(3))
			c.Bandwidth = model.Bucket(5 + rng.IntN(3))
		}
		if rng.IntN(10) == 0 {
			action = catalogue[rng.IntN(len(catalogue))]
		}
		r.Segments = append(r.Segments, model.Segment{
			Cause: model.CauseInterval, Context: c, Action: action, Propensity: 900_000, Policy: 3, Seconds: 4,
			Outcome: model.Outcome{
				MOS: model.Bucket(50 + rng.IntN(20)), LossBefore: model.Bucket(1 + rng.IntN(3)), LossAfter: 1,
				RoundTripTime: model.Bucket(5 + rng.IntN(4)), JitterBufferDelay: model.Bucket(6 + rng.IntN(3)), Rate: model.Bucket(20 + rng.IntN(4)),
			},
		})
	}
	return r
}

// packsOf is n typical calls in packs as an edge makes them.
func packsOf(tb testing.TB, n int) []message {
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	var messages []message
	var pack []byte
	in := 0
	send := func() {
		if in > 0 {
			messages = append(messages, receive(&packet{subject: telemetry.PackSubject, data: pack, number: uint64(len(messages))}, now))
			pack, in = nil, 0
		}
	}
	for range n {
		r := typicalCall(rng, telemetry.HourOf(now))
		data, err := r.AppendMarshal(nil)
		if err != nil {
			tb.Fatal(err)
		}
		if in == 100 || len(pack)+telemetry.PackedSize(len(data)) > telemetry.MaxPackSize {
			send()
		}
		pack, in = telemetry.AppendToPack(pack, data), in+1
	}
	send()
	return messages
}

// BenchmarkDecode takes 10,000 calls of three minutes from packs to blocks: unpacked, decoded, validated, compared with
// the ids of the last ones, their cells counted.
func BenchmarkDecode(b *testing.B) {
	const n = 10_000
	messages := packsOf(b, n)
	bytes := 0
	for i := range messages {
		bytes += len(messages[i].Data())
	}
	s := new(sink)
	i, err := New(Config{JetStream: &process{}, Warehouse: s})
	if err != nil {
		b.Fatal(err)
	}
	w := i.newWorker()
	b.ReportAllocs()
	for b.Loop() {
		i.recent = newRecent() // or they would be copies
		for left := messages; len(left) > 0; left = left[len(w.block.messages):] {
			w.load(b.Context(), left)
			if err := w.persist(b.Context()); err != nil {
				b.Fatal(err)
			}
			w.cells.commit(&w.block.cells)
		}
	}
	if s.reports < n*b.N {
		b.Fatalf("%d reports in blocks, want %d", s.reports, n*b.N)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "reports/s")
	b.ReportMetric(float64(bytes)/n, "B/report")
}

func TestTypicalCallIsValid(t *testing.T) {
	now := time.Now()
	r := typicalCall(rand.New(rand.NewPCG(1, 2)), telemetry.HourOf(now))
	if err := r.ValidateAt(now); err != nil {
		t.Fatal(err)
	}
}
