package telemetry_test

import (
	"errors"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// site is a real NATS server that a test can stop and start again, at one port and with one directory.
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
	t.Cleanup(s.stop)
	return s
}

func (s *site) url() string { return "nats://127.0.0.1:" + strconv.Itoa(s.cfg.Port) }

// start runs the server and sets up the stream.
func (s *site) start() *site {
	s.t.Helper()
	var err error
	if s.server, err = broker.Start(s.cfg); err != nil {
		s.t.Fatal(err)
	}
	if _, err := broker.EnsureStreamWith(s.t.Context(), s.operator(), s.stream); err != nil {
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

// connection may be down now.
func (s *site) connection(url string) *nats.Conn {
	s.t.Helper()
	conn, err := telemetry.Connect(s.t.Context(), url, "attune-test", nil, nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	return conn
}

// jetstream is a client's.
func (s *site) jetstream() jetstream.JetStream {
	s.t.Helper()
	return s.publisher(s.connection(s.url()))
}

// operator may do with the stream what clients may not.
func (s *site) operator() jetstream.JetStream {
	s.t.Helper()
	return s.publisher(s.connection(s.server.OperatorURL()))
}

func (s *site) publisher(conn *nats.Conn) jetstream.JetStream {
	s.t.Helper()
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// stored reads every report in the stream, and fails when one does not validate or is there twice.
func (s *site) stored() []telemetry.Report {
	s.t.Helper()
	stream, err := s.operator().Stream(s.t.Context(), telemetry.Stream)
	if err != nil {
		s.t.Fatal(err)
	}
	state := stream.CachedInfo().State
	var reports []telemetry.Report
	seen := map[telemetry.ReportID]bool{}
	for sequence := state.FirstSeq; sequence <= state.LastSeq && state.Msgs > 0; sequence++ {
		message, err := stream.GetMsg(s.t.Context(), sequence)
		if err != nil {
			s.t.Fatal(err)
		}
		var r telemetry.Report
		if err := telemetry.Unmarshal(message.Data, &r); err != nil {
			s.t.Fatal(err)
		}
		if err := r.ValidateAt(time.Now()); err != nil {
			s.t.Error(err)
		}
		if id := message.Header.Get(nats.MsgIdHdr); id != telemetry.MessageID(r.ID) {
			s.t.Errorf("message id %q of report %v", id, r.ID)
		}
		if seen[r.ID] {
			s.t.Errorf("report %v is stored twice", r.ID)
		}
		seen[r.ID] = true
		reports = append(reports, r)
	}
	return reports
}

// reporter is an enabled Reporter with short pauses, closed at the end of the test.
func reporter(t *testing.T, cfg telemetry.ReporterConfig) *telemetry.Reporter {
	t.Helper()
	cfg.Enabled = true
	if cfg.RetryMin == 0 {
		cfg.RetryMin, cfg.RetryMax = 5*time.Millisecond, 50*time.Millisecond
	}
	r, err := telemetry.NewReporter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(t.Context()) })
	return r
}

// call makes the i-th call: the version of its policy says which one it was.
func call(r *telemetry.Reporter, i, segments int) {
	c := r.Call(model.Context{Network: model.NetworkWiFi}, telemetry.OriginSimulation)
	c.Stage(model.StageMedia)
	for _, s := range typicalReport(uint64(i), segments).Segments {
		s.Policy = uint32(i)
		c.Record(s)
	}
	c.End(false)
}

func number(r *telemetry.Report) int { return int(r.Segments[0].Policy) }

// eventually waits until the condition holds, for at most half a minute.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// checkCounts holds the invariant of Counts.
func checkCounts(t *testing.T, c telemetry.Counts) {
	t.Helper()
	if c.Created+c.Recovered != c.Acknowledged+c.Dropped+c.Pending {
		t.Errorf("counts do not add up: %+v", c)
	}
}
