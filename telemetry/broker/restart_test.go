package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// A server whose disk was full gives up JetStream, or the stream; it comes back in place, for clients on the network and
// inside the process, with what it had acknowledged. With a disk that is full in truth, telemetry/conservation does it.
func TestServerComesBackAfterAFullDisk(t *testing.T) {
	t.Run("without JetStream", func(t *testing.T) { comesBack(t, (*broker.Server).LoseJetStream) })
	t.Run("without a stream", func(t *testing.T) { comesBack(t, (*broker.Server).LoseStream) })
}

func comesBack(t *testing.T, lose func(*broker.Server) error) {
	s := start(t, broker.Config{})
	url := s.OperatorURL()
	_, outside := connect(t, url, nats.ReconnectWait(50*time.Millisecond))
	_, inside := connect(t, s.ClientURL(), s.InProcess(), nats.ReconnectWait(50*time.Millisecond))
	if _, err := broker.EnsureStream(t.Context(), outside); err != nil {
		t.Fatal(err)
	}
	if _, err := outside.Publish(t.Context(), telemetry.Subject, []byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := lose(s); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, "the server was started again", func() bool { return outside.Conn().Stats().Reconnects > 0 })
	for name, js := range map[string]jetstream.JetStream{"outside": outside, "inside": inside} {
		await.Eventually(t, name+" is acknowledged again", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := js.Publish(ctx, telemetry.Subject, []byte(name), jetstream.WithMsgID(name))
			return err == nil
		})
	}
	stream, err := outside.Stream(t.Context(), telemetry.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 3 {
		t.Errorf("%d messages, want the one from before and two", got)
	}
	if s.OperatorURL() != url {
		t.Error("it came back elsewhere")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
