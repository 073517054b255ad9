package broker_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

func contains(t *testing.T, dir, secret string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, []byte(secret))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestWhatWasConsumedIsErased holds the server to what the documentation of privacy says: the bytes of reports that were
// taken are gone from the disk as soon as none waits. While one waits behind them they may be there.
func TestWhatWasConsumedIsErased(t *testing.T) {
	const secret = "Charlotte Beispiel, +49 155 5012 3456"
	dir := t.TempDir()
	s := start(t, broker.Config{Dir: dir})
	_, js := connect(t, "", s.InProcess())
	stream, err := broker.EnsureStream(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	_, client := connect(t, s.ClientURL())
	for _, m := range []*nats.Msg{
		{Subject: telemetry.Subject, Data: []byte("nonsense from " + secret)},
		{Subject: telemetry.Subject, Data: []byte{1}, Header: nats.Header{"From": {secret}}},
	} {
		if _, err := client.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Publish(t.Context(), telemetry.Subject, []byte("one that waits")); err != nil {
		t.Fatal(err)
	}
	take := func(n int) {
		t.Helper()
		consumer, err := stream.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "ingest", AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(2)
	if !contains(t, dir, secret) {
		t.Error("what was taken is gone although a report waits behind it: the documentation says less than is true")
	}
	take(1)
	if contains(t, dir, secret) {
		t.Error("what was taken is still on the disk, although no report waits")
	}
}
