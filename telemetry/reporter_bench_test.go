package telemetry_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// BenchmarkReporter is a report's whole way: a call that ends, the connection, the disk of the server, the
// acknowledgement.
func BenchmarkReporter(b *testing.B) {
	server, err := broker.Start(broker.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	conn, err := telemetry.ConnectWithin(b.Context(), 10*time.Second, server.OperatorURL(), "attune-bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := broker.EnsureStream(b.Context(), js); err != nil {
		b.Fatal(err)
	}
	r, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: true, Publisher: js, Queue: 1 << 20, SpoolLimit: 64 << 20, AckTimeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	segments := typicalReport(1, 45).Segments
	began := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		c := r.Call(model.Context{}, telemetry.OriginSimulation)
		for _, s := range segments {
			c.Record(s)
		}
		c.End(false)
	}
	if err := r.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	counts := r.Counts()
	if counts.Acknowledged != counts.Created {
		b.Errorf("%+v", counts)
	}
	b.ReportMetric(float64(counts.Acknowledged)/time.Since(began).Seconds(), "acknowledged/s")
}

// BenchmarkJetStreamAlone is the yardstick: the same bytes by jetstream's own asynchronous publishing.
func BenchmarkJetStreamAlone(b *testing.B) {
	server, err := broker.Start(broker.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	conn, err := telemetry.ConnectWithin(b.Context(), 10*time.Second, server.OperatorURL(), "attune-bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(telemetry.MaxWindow))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := broker.EnsureStream(b.Context(), js); err != nil {
		b.Fatal(err)
	}
	r := typicalReport(1, 45)
	data, err := r.AppendMarshal(nil)
	if err != nil {
		b.Fatal(err)
	}
	began, n := time.Now(), 0
	for b.Loop() {
		n++
		if _, err := js.PublishAsync(telemetry.Subject, data, jetstream.WithMsgID(strconv.Itoa(n)), jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "acknowledged/s")
}
