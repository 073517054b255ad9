package ingest_test

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/ingest"
)

// BenchmarkIngest empties a stream into the warehouse: 50,000 short calls, each a message, and the same in packs, and
// in packs of calls of three minutes.
func BenchmarkIngest(b *testing.B) {
	b.Run("singles", func(b *testing.B) { benchmarkIngest(b, 50_000, publishSingles) })
	b.Run("packs", func(b *testing.B) { benchmarkIngest(b, 50_000, publishPacks(validReport)) })
	b.Run("packs-45", func(b *testing.B) { benchmarkIngest(b, 50_000, publishPacks(ingest.TypicalCall)) })
}

func benchmarkIngest(b *testing.B, n int, publish func(*testing.B, *bench, *rand.Rand, int)) {
	rng := rand.New(rand.NewPCG(21, 22))
	for b.Loop() {
		b.StopTimer()
		bench := newBench(b)
		publish(b, bench, rng, n)
		b.StartTimer()
		cfg := ingest.Config{JetStream: bench.js, Warehouse: bench.store, Logger: slog.New(slog.DiscardHandler), MaxWait: 100 * time.Millisecond}
		_, stop := start(b, cfg)
		bench.drained(b)
		b.StopTimer()
		if err := stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}

func publishSingles(b *testing.B, bench *bench, rng *rand.Rand, n int) {
	for range n / 2000 {
		bench.publishReports(b, rng, 2000)
	}
}

func publishPacks(call func(*rand.Rand) telemetry.Report) func(*testing.B, *bench, *rand.Rand, int) {
	return func(b *testing.B, bench *bench, rng *rand.Rand, n int) {
		var pack []byte
		in := 0
		for sent := range n {
			data := encode(b, call(rng))
			pack, in = telemetry.AppendToPack(pack, data), in+1
			if in < 100 && len(pack)+telemetry.PackedSize(2*len(data)) <= telemetry.MaxPackSize && sent < n-1 {
				continue
			}
			if _, err := bench.js.Publish(b.Context(), telemetry.PackSubject, pack, jetstream.WithRetryAttempts(3)); err != nil {
				b.Fatal(err)
			}
			pack, in = nil, 0
		}
	}
}
