package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

func start(t *testing.T, cfg broker.Config) *broker.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := broker.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func connect(t *testing.T, server string, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := broker.ConnectWithin(t.Context(), 10*time.Second, server, "attune-test", nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

func TestAcknowledgedMessagesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	first := start(t, broker.Config{Dir: dir})
	conn, js := connect(t, first.OperatorURL())
	if _, err := broker.EnsureStream(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		if _, err := js.Publish(t.Context(), telemetry.Subject, []byte{byte(i)}, jetstream.WithMsgID(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	_, js = connect(t, start(t, broker.Config{Dir: dir}).OperatorURL())
	stream, err := broker.EnsureStream(t.Context(), js)
	if err != nil {
		t.Fatalf("a stream that exists: %v", err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != n {
		t.Errorf("%d messages after the restart, want %d", info.State.Msgs, n)
	}
	ack, err := js.Publish(t.Context(), telemetry.Subject, []byte{0}, jetstream.WithMsgID("0"))
	if err != nil || !ack.Duplicate {
		t.Errorf("a message from before the restart, sent again: %+v, %v, want a duplicate", ack, err)
	}
}

// An acknowledgement names a message by its number in the stream. One for a stream that has been deleted must not take a
// message of its successor.
func TestLateAcknowledgementDoesNotReachANewStream(t *testing.T) {
	server := start(t, broker.Config{})
	_, js := connect(t, server.OperatorURL())
	publishAndTake := func() jetstream.Msg {
		t.Helper()
		stream, err := broker.EnsureStream(t.Context(), js)
		if err != nil {
			t.Fatal(err)
		}
		consumer, err := stream.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "ingest", AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), telemetry.Subject, []byte("report")); err != nil {
			t.Fatal(err)
		}
		m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	old := publishAndTake()
	if err := js.DeleteStream(t.Context(), telemetry.Stream); err != nil {
		t.Fatal(err)
	}
	young := publishAndTake()
	if err := old.Ack(); err != nil {
		t.Fatal(err)
	}
	stream, err := broker.EnsureStream(t.Context(), js) // answered after the acknowledgement, and deletes nothing
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != 1 {
		t.Errorf("%d messages in the new stream after an acknowledgement for the old one, want 1", info.State.Msgs)
	}
	if err := young.DoubleAck(t.Context()); err != nil {
		t.Error(err)
	}
	if info, err = stream.Info(t.Context()); err != nil || info.State.Msgs != 0 {
		t.Errorf("%d messages after its own: %v", info.State.Msgs, err)
	}
}

// For a moment after an account's last stream is deleted, the server may fail to make the files of a new one. Here a file
// is in their way for a while, and then for good.
func TestStreamFilesThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	_, js := connect(t, start(t, broker.Config{Dir: dir}).OperatorURL())
	if _, err := broker.EnsureStream(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	store, aside := filepath.Join(dir, "jetstream"), filepath.Join(dir, "aside")
	obstruct := func() {
		t.Helper()
		if err := errors.Join(js.DeleteStream(t.Context(), telemetry.Stream), os.Rename(store, aside), os.WriteFile(store, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	clearAway := func() error { return errors.Join(os.Remove(store), os.Rename(aside, store)) }
	obstruct()
	cleared := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() { cleared <- clearAway() })
	if _, err := broker.EnsureStream(t.Context(), js); err != nil {
		t.Errorf("a file was in the way for 200 ms: %v", err)
	}
	if err := <-cleared; err != nil {
		t.Fatal(err)
	}
	obstruct()
	if _, err := broker.EnsureStream(t.Context(), js); err == nil || !strings.Contains(err.Error(), "look at its log") {
		t.Errorf("a file is in the way: %v", err)
	}
	if err := clearAway(); err != nil {
		t.Error(err)
	}
}

func TestStreamRefusesWhatDoesNotFit(t *testing.T) {
	_, js := connect(t, start(t, broker.Config{}).OperatorURL())
	stream, err := broker.EnsureStreamWith(t.Context(), js, broker.StreamConfig{MaxBytes: 300 << 10})
	if err != nil {
		t.Fatal(err)
	}
	report := make([]byte, telemetry.MaxReportSize)
	stored := 0
	for ; stored < 100; stored++ {
		if _, err = js.Publish(t.Context(), telemetry.Subject, report); err != nil {
			break
		}
	}
	if stored == 0 || stored == 100 {
		t.Errorf("%d reports of the largest size stored in 300 KiB: %v", stored, err)
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != uint64(stored) {
		t.Errorf("stream holds %d, acknowledged %d (%v): new messages must be refused, old ones kept", info.State.Msgs, stored, err)
	}
	if _, err := js.Publish(t.Context(), telemetry.Subject, make([]byte, telemetry.MaxReportSize+2048)); err == nil {
		t.Error("a message larger than any report was stored")
	}
}

func TestStreamFaultsSayWhatToDo(t *testing.T) {
	_, js := connect(t, start(t, broker.Config{MaxStore: 1 << 20}).OperatorURL())
	_, err := broker.EnsureStream(t.Context(), js)
	if err == nil || !strings.Contains(err.Error(), "smaller MaxBytes") {
		t.Errorf("stream larger than the store: %v", err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: telemetry.Stream, Subjects: []string{telemetry.Subjects}, MaxBytes: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	_, err = broker.EnsureStreamWith(t.Context(), js, broker.StreamConfig{MaxBytes: 1 << 19})
	if err == nil || !strings.Contains(err.Error(), "delete it first") {
		t.Errorf("stream of another retention: %v", err)
	}
}

func TestStartFaultsSayWhatToDo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shared := t.TempDir()
	start(t, broker.Config{Dir: shared})

	for _, c := range []struct {
		name string
		cfg  broker.Config
		want []string
	}{
		{"port taken", broker.Config{Dir: t.TempDir(), Port: port}, []string{strconv.Itoa(port), "taken", "another port"}},
		{"no such host", broker.Config{Dir: t.TempDir(), Host: "192.0.2.1"}, []string{"192.0.2.1"}},
		{"directory is a file", broker.Config{Dir: file}, []string{file, "directory"}},
		{"directory in use", broker.Config{Dir: shared}, []string{shared, "in use"}},
		{"nothing right", broker.Config{Port: 70000, MaxStore: -1}, []string{"Dir", "port 70000", "MaxStore -1"}},
		{"port without listening", broker.Config{Dir: t.TempDir(), DontListen: true, Port: 4222}, []string{"DontListen"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := broker.Start(c.cfg)
			if err == nil {
				_ = s.Close()
				t.Fatal("started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not mention %q", err, want)
				}
			}
		})
	}
}

func TestDirectoryThatCannotBeWritten(t *testing.T) {
	// Also for root, whom permissions do not stop: the name of the lock is taken by a directory.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "broker.lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := broker.Start(broker.Config{Dir: dir}); err == nil {
		_ = s.Close()
		t.Fatal("started")
	} else if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("error %q, want the directory and what is wrong", err)
	}
}

func TestInProcess(t *testing.T) {
	s := start(t, broker.Config{DontListen: true})
	if url := s.ClientURL(); url != "" {
		t.Errorf("a server without a port has the URL %q", url)
	}
	_, js := connect(t, "", s.InProcess())
	if _, err := broker.EnsureStream(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), telemetry.Subject, []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestConnectFaultsSayWhatToDo(t *testing.T) {
	ctx := t.Context()
	began := time.Now()
	_, err := broker.ConnectWithin(ctx, 300*time.Millisecond, "nats://someone:secret@127.0.0.1:1", "attune-test", nil)
	if err == nil {
		t.Fatal("connected to a port where nobody is")
	}
	for _, want := range []string{"127.0.0.1:1", "nats-server", "--nats", "300ms"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "someone") {
		t.Errorf("error %q tells the credentials", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("gave up after %v", took)
	}
	for _, name := range []string{"", "attune call of +49 30 123456", "alice@example.org", "device-7f3a", "a-b-c-d-e", strings.Repeat("x", 40), "Attune"} {
		if conn, err := broker.Connect(ctx, "nats://127.0.0.1:1", name, nil); err == nil {
			conn.Close()
			t.Errorf("connection name %q was accepted", name)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := broker.Connect(cancelled, "nats://127.0.0.1:1", "attune-test", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Connect with a context that is done: %v", err)
	}
}

func TestConnectBeforeTheServerIsThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	conn, err := broker.Connect(t.Context(), fmt.Sprintf("nats://127.0.0.1:%d", port), "attune-test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	start(t, broker.Config{Port: port})
	for deadline := time.Now().Add(20 * time.Second); !conn.IsConnected(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never connected")
		}
	}
}
