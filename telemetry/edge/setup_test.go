package edge_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/edge"
)

// site is a real NATS server with the stream of reports, which a test can stop and start again.
type site struct {
	t      *testing.T
	cfg    broker.Config
	server *broker.Server
	stream broker.StreamConfig
}

// newSite reserves a port and a directory; the server is down.
func newSite(t *testing.T) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	s := &site{t: t, cfg: broker.Config{Dir: t.TempDir(), Port: listener.Addr().(*net.TCPAddr).Port}}
	// As if it had run before: connections that are made before it starts know the operator's password.
	if err := os.WriteFile(filepath.Join(s.cfg.Dir, broker.OperatorFile), []byte(s.operatorURL()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *site) clientURL() string { return "nats://127.0.0.1:" + strconv.Itoa(s.cfg.Port) }
func (s *site) operatorURL() string {
	return "nats://operator:secret@127.0.0.1:" + strconv.Itoa(s.cfg.Port)
}

// start runs the server and sets up the stream.
func (s *site) start() *site {
	s.t.Helper()
	s.startBare()
	if _, err := broker.EnsureStreamWith(s.t.Context(), s.jetstream(), s.stream); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// startBare runs the server without the stream.
func (s *site) startBare() *site {
	s.t.Helper()
	var err error
	if s.server, err = broker.Start(s.cfg); err != nil {
		s.t.Fatal(err)
	}
	return s
}

func (s *site) stop() {
	if s.server == nil {
		return
	}
	if err := s.server.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		s.t.Error(err)
	}
	s.server = nil
}

// connection is an edge's connection to the stream, which may be down now.
func (s *site) connection() *nats.Conn { return s.connect(s.operatorURL()) }

// gate is an edge's connection to its clients.
func (s *site) gate() *nats.Conn { return s.connect(broker.GateURL(s.operatorURL())) }

// client is a call client's connection.
func (s *site) client() *nats.Conn { return s.connect(s.clientURL()) }

func (s *site) connect(url string) *nats.Conn {
	s.t.Helper()
	conn, err := telemetry.Connect(s.t.Context(), url, "attune-test", nil, nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	return conn
}

// jetstream may do with the stream what clients may not.
func (s *site) jetstream() jetstream.JetStream { return s.publisher(s.connection()) }

func (s *site) publisher(conn *nats.Conn) jetstream.JetStream {
	s.t.Helper()
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// held is what the stream holds.
type held struct {
	messages int
	largest  int                        // bytes of a message
	copies   map[telemetry.ReportID]int // of each report
}

// stored reads the whole stream. A pack that does not parse, a report that is not valid, and a message without an id of
// its own fail the test.
func (s *site) stored() held {
	s.t.Helper()
	stream, err := s.jetstream().Stream(s.t.Context(), telemetry.Stream)
	if err != nil {
		s.t.Fatal(err)
	}
	h := held{copies: map[telemetry.ReportID]int{}}
	ids := map[string]bool{}
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq && state.Msgs > 0; sequence++ {
		m, err := stream.GetMsg(s.t.Context(), sequence)
		if err != nil {
			s.t.Fatal(err)
		}
		if m.Subject != telemetry.PackSubject {
			s.t.Errorf("a message on %s", m.Subject)
		}
		if id := m.Header.Get(nats.MsgIdHdr); len(id) < 20 || ids[id] {
			s.t.Errorf("message id %q: short or not its own", id)
		} else {
			ids[id] = true
		}
		h.messages++
		h.largest = max(h.largest, len(m.Data))
		if err := telemetry.EachInPack(m.Data, func(report []byte) error {
			var r telemetry.Report
			if err := telemetry.Unmarshal(report, &r); err != nil {
				return err
			}
			h.copies[r.ID]++
			return r.ValidateAt(time.Now())
		}); err != nil {
			s.t.Error(err)
		}
	}
	return h
}

// run runs an edge until stop is called or the test ends. Its log goes to the test's, and is returned.
func run(t *testing.T, cfg edge.Config) (e *edge.Edge, stop func() error, log *syncBuffer) {
	t.Helper()
	log = new(syncBuffer)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	e, err := edge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	served(t, asClient(t, cfg.Front))
	return e, stop, log
}

// asClient is a call client's connection to the server of another connection.
func asClient(t *testing.T, other *nats.Conn) *nats.Conn {
	t.Helper()
	u, err := url.Parse(other.Opts.Url)
	if err != nil {
		t.Fatal(err)
	}
	u.User = nil
	conn, err := telemetry.Connect(t.Context(), u.String(), "attune-test", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// served waits until an edge answers: a report without bytes goes into a pack like any other, so one that is too large
// asks without leaving a trace.
func served(t *testing.T, conn *nats.Conn) {
	t.Helper()
	eventually(t, "an edge takes reports", func() bool {
		_, err := conn.Request(telemetry.EdgeSubject, make([]byte, telemetry.MaxReportSize+1), time.Second)
		return err == nil || errors.Is(err, nats.ErrConnectionReconnecting) || !conn.IsConnected()
	})
}

// reporter is an enabled Reporter that sends to edges, with a spool and short pauses, closed at the end of the test.
func reporter(t *testing.T, s *site, cfg telemetry.ReporterConfig) *telemetry.Reporter {
	t.Helper()
	cfg.Enabled, cfg.Subject, cfg.Publisher = true, telemetry.EdgeSubject, s.publisher(s.client())
	cfg.RetryMin, cfg.RetryMax = 5*time.Millisecond, 50*time.Millisecond
	if cfg.Spool == "" {
		cfg.Spool = filepath.Join(t.TempDir(), "spool")
	}
	r, err := telemetry.NewReporter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(t.Context()) })
	return r
}

// call makes a call of some segments.
func call(r *telemetry.Reporter, segments int) {
	c := r.Call(model.Context{Network: model.NetworkWiFi}, telemetry.OriginSimulation)
	c.Stage(model.StageMedia)
	for i := range segments {
		c.Record(model.Segment{
			Cause: model.CauseInterval, Action: model.DefaultAction(), Propensity: uint32(1 + 7919*i%model.PropensityScale),
			Policy: 1, Seconds: 4, Outcome: model.Outcome{MOS: model.Bucket(1 + i%60), RoundTripTime: model.Bucket(1 + i%30)},
		})
	}
	c.End(false)
}

// acknowledged waits until a Reporter has had every report of its calls acknowledged.
func acknowledged(t *testing.T, calls int, reporters ...*telemetry.Reporter) {
	t.Helper()
	eventually(t, "all acknowledged", func() bool {
		n := 0
		for _, r := range reporters {
			n += int(r.Counts().Acknowledged)
		}
		return n == calls
	})
	for _, r := range reporters {
		if c := r.Counts(); c.Dropped > 0 || c.Pending > 0 {
			t.Errorf("%+v: no report may be dropped", c)
		}
	}
}

// eventually waits until the condition holds, for at most half a minute.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
