package edge_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker/brokertest"
	"github.com/attune-calls/attune/telemetry/edge"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// site is a real NATS server with the stream of reports, which a test can stop and start again.
type site struct {
	*brokertest.Site
	t *testing.T
}

func newSite(t *testing.T) *site { return &site{t: t, Site: brokertest.New(t)} }

// bare is a server without the stream.
func bare(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.StartBare()
	return s
}

// start runs the server and sets up the stream.
func (s *site) start() *site {
	s.t.Helper()
	s.Start()
	return s
}

// connection is an edge's connection to the stream, which may be down now.
func (s *site) connection() *nats.Conn { return s.Connect(s.OperatorURL()) }

// gate is an edge's connection to its clients.
func (s *site) gate() *nats.Conn { return s.Connect(s.GateURL()) }

// client is a call client's connection.
func (s *site) client() *nats.Conn { return s.Connect(s.ClientURL()) }

// jetstream may do with the stream what clients may not.
func (s *site) jetstream() jetstream.JetStream { return s.Publisher(s.OperatorURL()) }

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
func run(t *testing.T, cfg edge.Config) (e *edge.Edge, stop func() error, log *await.Log) {
	t.Helper()
	log = new(await.Log)
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
	await.Eventually(t, "an edge takes reports", func() bool {
		_, err := conn.Request(telemetry.EdgeSubject, make([]byte, telemetry.MaxReportSize+1), time.Second)
		return err == nil || errors.Is(err, nats.ErrConnectionReconnecting) || !conn.IsConnected()
	})
}

// reporter is an enabled Reporter that sends to edges, with a spool and short pauses, closed at the end of the test.
func reporter(t *testing.T, s *site, cfg telemetry.ReporterConfig) *telemetry.Reporter {
	t.Helper()
	cfg.Enabled, cfg.Subject, cfg.Publisher = true, telemetry.EdgeSubject, s.Publisher(s.ClientURL())
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
	await.Eventually(t, "all acknowledged", func() bool {
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
