// Package brokertest is for tests that need a real NATS server.
package brokertest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// Site is a NATS server that a test can stop and start again, at one port and with one directory.
type Site struct {
	Config broker.Config       // may be changed before Start
	Stream broker.StreamConfig // of the stream that Start sets up

	t      testing.TB
	server *broker.Server // nil while it is down
}

// New reserves a port and a directory. The server is down, and is stopped with the test.
func New(t testing.TB) *Site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	s := &Site{t: t, Config: broker.Config{Dir: t.TempDir(), Port: listener.Addr().(*net.TCPAddr).Port}}
	// As if it had run before: connections that are made before it starts know the operator's password.
	if err := os.WriteFile(filepath.Join(s.Config.Dir, broker.OperatorFile), []byte(s.OperatorURL()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// ClientURL is where call clients connect.
func (s *Site) ClientURL() string { return "nats://" + s.address() }

// OperatorURL is where those connect who may do with the stream what clients may not.
func (s *Site) OperatorURL() string { return "nats://operator:secret@" + s.address() }

// GateURL is where an edge takes reports from clients.
func (s *Site) GateURL() string { return broker.GateURL(s.OperatorURL()) }

func (s *Site) address() string { return "127.0.0.1:" + strconv.Itoa(s.Config.Port) }

// Start runs the server and sets up the stream of reports.
func (s *Site) Start() *Site {
	s.t.Helper()
	s.StartBare()
	if _, err := broker.EnsureStreamWith(s.t.Context(), s.Publisher(s.OperatorURL()), s.Stream); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// StartBare runs the server without a stream.
func (s *Site) StartBare() *Site {
	s.t.Helper()
	var err error
	if s.server, err = broker.Start(s.Config); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// Enlarge gives the stream more room, as its operator does.
func (s *Site) Enlarge(bytes int64) {
	s.t.Helper()
	js := s.Publisher(s.OperatorURL())
	stream, err := js.Stream(s.t.Context(), telemetry.Stream)
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := js.UpdateStream(s.t.Context(), cfg); err != nil {
		s.t.Fatal(err)
	}
}

// Stop stops the server if it runs.
func (s *Site) Stop() {
	if s.server == nil {
		return
	}
	if err := s.server.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		s.t.Error(err)
	}
	s.server = nil
}

// Connect makes a connection that lasts as long as the test, and comes back within milliseconds of the server, which may be
// down now.
func (s *Site) Connect(url string) *nats.Conn {
	s.t.Helper()
	conn, err := telemetry.Connect(s.t.Context(), url, "attune-test", nil, nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	return conn
}

// Publisher is JetStream over a connection of its own.
func (s *Site) Publisher(url string) jetstream.JetStream {
	s.t.Helper()
	js, err := telemetry.NewPublisher(s.Connect(url))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}
