package telemetry_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker/brokertest"
)

// site is a real NATS server that a test can stop and start again.
type site struct {
	*brokertest.Site
	t *testing.T
}

func newSite(t *testing.T) *site { return &site{t: t, Site: brokertest.New(t)} }

// start runs the server and sets up the stream.
func (s *site) start() *site {
	s.t.Helper()
	s.Start()
	return s
}

// jetstream is a client's.
func (s *site) jetstream() jetstream.JetStream { return s.Publisher(s.ClientURL()) }

// operator may do with the stream what clients may not.
func (s *site) operator() jetstream.JetStream { return s.Publisher(s.OperatorURL()) }

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

// checkCounts holds the invariant of Counts.
func checkCounts(t *testing.T, c telemetry.Counts) {
	t.Helper()
	if c.Created+c.Recovered != c.Acknowledged+c.Dropped+c.Pending {
		t.Errorf("counts do not add up: %+v", c)
	}
}
