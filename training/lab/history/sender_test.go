package history_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/training/lab/history"
)

// stream is a server with the stream of reports, as an operator and as a client sees it.
func stream(t *testing.T) (operator, client jetstream.JetStream) {
	t.Helper()
	server, err := broker.Start(broker.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	open := func(options ...nats.Option) jetstream.JetStream {
		conn, err := nats.Connect(server.ClientURL(), options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		js, err := telemetry.NewPublisher(conn)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	operator, client = open(server.InProcess()), open()
	if _, err := broker.EnsureStream(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	return operator, client
}

func TestSenderCountsWhatIsAcknowledged(t *testing.T) {
	operator, client := stream(t)
	c := config(t)
	c.Calls = 70
	for _, test := range []struct {
		name     string
		sender   *history.Sender
		messages uint64
	}{
		{"single", &history.Sender{Stream: client, Single: true}, 140},
		{"packs", &history.Sender{Stream: operator}, 140 + 2},
		{"packs again", &history.Sender{Stream: operator}, 140 + 2}, // the stream has them
	} {
		_, err := history.Make(t.Context(), c, func(id telemetry.ReportID, report []byte) error {
			return test.sender.Send(t.Context(), id, report)
		})
		if err != nil {
			t.Fatal(test.name, err)
		}
		if err := test.sender.Flush(t.Context()); err != nil {
			t.Fatal(test.name, err)
		}
		if got, want := test.sender.Counts(), (history.Sent{Reports: 140, Acknowledged: 140}); got != want {
			t.Errorf("%s: %+v, want %+v", test.name, got, want)
		}
		s, err := operator.Stream(t.Context(), telemetry.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if info := s.CachedInfo(); info.State.Msgs != test.messages {
			t.Errorf("%s: %d messages in the stream, want %d", test.name, info.State.Msgs, test.messages)
		}
	}
}

func TestSenderEndsWithItsContext(t *testing.T) {
	operator, _ := stream(t)
	s := &history.Sender{Stream: operator}
	if err := s.Send(t.Context(), telemetry.ReportID{1}, []byte("report")); err != nil {
		t.Fatal(err)
	}
	if err := operator.DeleteStream(t.Context(), telemetry.Stream); err != nil { // nobody acknowledges
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	if got := s.Counts(); got != (history.Sent{Reports: 1}) {
		t.Errorf("%+v, want one report sent and none acknowledged", got)
	}
}
