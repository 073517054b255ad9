package edge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/edge"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

func TestAcknowledgedMeansStored(t *testing.T) {
	s := newSite(t).start()
	const edges, clients, calls = 2, 4, 500
	var all []*edge.Edge
	for range edges {
		e, _, _ := run(t, edge.Config{Front: s.gate(), Back: s.connection()})
		all = append(all, e)
	}
	var reporters []*telemetry.Reporter
	for range clients {
		r := reporter(t, s, telemetry.ReporterConfig{})
		reporters = append(reporters, r)
		for range calls {
			call(r, 5)
		}
	}
	acknowledged(t, clients*calls, reporters...)
	got := s.stored()
	if len(got.copies) != clients*calls {
		t.Errorf("%d reports stored, %d acknowledged", len(got.copies), clients*calls)
	}
	if got.messages > clients*calls/10 {
		t.Errorf("%d reports travelled in %d messages: not packed", clients*calls, got.messages)
	}
	var sum edge.Stats
	for _, e := range all {
		stats := e.Stats()
		if stats.Acknowledged == 0 || stats.Pending() != 0 {
			t.Errorf("%+v: want a share of the work, all of it done", stats)
		}
		sum.Acknowledged += stats.Acknowledged
		sum.Packs += stats.Packs
	}
	if sum.Acknowledged != clients*calls || sum.Packs != uint64(got.messages) {
		t.Errorf("edges tell of %+v, want %d reports in %d packs", sum, clients*calls, got.messages)
	}
}

// publish sends a report the way a client does that waits for each answer.
func publish(t *testing.T, js jetstream.JetStream, id string, data []byte) (*jetstream.PubAck, error) {
	t.Helper()
	return js.PublishMsg(t.Context(), &nats.Msg{
		Subject: telemetry.EdgeSubject, Data: data, Header: nats.Header{nats.MsgIdHdr: []string{id}},
	})
}

func encoded(t testing.TB, seed uint64) (id string, data []byte) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	r := telemetry.Report{Schema: telemetry.SchemaVersion, Stack: 1, Hour: telemetry.HourOf(time.Now()), Origin: telemetry.OriginSimulation}
	for i := range r.ID {
		r.ID[i] = byte(rng.Uint32())
	}
	data, err := r.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	return telemetry.MessageID(r.ID), data
}

func TestResentReportIsADuplicate(t *testing.T) {
	s := newSite(t).start()
	e, _, _ := run(t, edge.Config{Front: s.gate(), Back: s.connection()})
	js := s.Publisher(s.ClientURL())
	id, data := encoded(t, 1)
	first, err := publish(t, js, id, data)
	if err != nil {
		t.Fatal(err)
	}
	if first.Stream != telemetry.Stream || first.Sequence == 0 || first.Duplicate {
		t.Errorf("first answer %+v", first)
	}
	if _, other := encoded(t, 2); other != nil {
		if ack, err := publish(t, js, "not the id of a report", other); err != nil || ack.Sequence != first.Sequence+1 {
			t.Errorf("another report: %+v, %v", ack, err)
		}
	}
	again, err := publish(t, js, id, data)
	if err != nil {
		t.Fatal(err)
	}
	if again.Sequence != first.Sequence || !again.Duplicate {
		t.Errorf("second answer %+v, want a duplicate of %+v", again, first)
	}
	if got := s.stored(); got.messages != 2 || e.Stats().Duplicates != 1 {
		t.Errorf("%d messages stored, %+v", got.messages, e.Stats())
	}
}

func TestReportTooLarge(t *testing.T) {
	s := newSite(t).start()
	e, _, _ := run(t, edge.Config{Front: s.gate(), Back: s.connection()})
	before := e.Stats().TooLarge
	_, err := publish(t, s.Publisher(s.ClientURL()), "", make([]byte, telemetry.MaxReportSize+1))
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != 10054 {
		t.Errorf("error %v, want JetStream's 10054", err)
	}
	if got := s.stored(); got.messages != 0 || e.Stats().TooLarge != before+1 {
		t.Errorf("%d messages stored, %+v", got.messages, e.Stats())
	}
}

// A stream that takes only small messages gets small packs, and a client is told that a report is too large only when
// that report itself is.
func TestStreamOfSmallMessages(t *testing.T) {
	s := newSite(t).start()
	js := s.jetstream()
	stream, err := js.Stream(t.Context(), telemetry.Stream)
	if err != nil {
		t.Fatal(err)
	}
	narrow := stream.CachedInfo().Config
	narrow.MaxMsgSize = 800
	if _, err := js.UpdateStream(t.Context(), narrow); err != nil {
		t.Fatal(err)
	}
	run(t, edge.Config{Front: s.gate(), Back: s.connection()})
	r := reporter(t, s, telemetry.ReporterConfig{})
	const calls = 300
	for i := range calls {
		if i == calls/2 {
			call(r, 250) // about 3 kB
		}
		call(r, 5)
	}
	await.Eventually(t, "all others acknowledged", func() bool { c := r.Counts(); return c.Acknowledged == calls && c.Dropped == 1 })
	if got := s.stored(); len(got.copies) != calls || got.largest > 800 {
		t.Errorf("%d reports stored, the largest message of %d bytes", len(got.copies), got.largest)
	}
}

// Whoever sends a report chooses where its answer goes. It must not be a subject the sender might not use itself.
func TestForeignReplySubjects(t *testing.T) {
	s := newSite(t).start()
	e, _, _ := run(t, edge.Config{Front: s.gate(), Back: s.connection()})
	conn := s.client()
	_, data := encoded(t, 1)
	subjects := []string{"", telemetry.Subject, telemetry.PackSubject, "$JS.API.STREAM.DELETE." + telemetry.Stream, "INBOX.x"}
	for _, reply := range subjects {
		if err := conn.PublishMsg(&nats.Msg{Subject: telemetry.EdgeSubject, Reply: reply, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	await.Eventually(t, "all dropped", func() bool { return e.Stats().Unanswerable == uint64(len(subjects)) })
	if got := s.stored(); got.messages != 0 {
		t.Errorf("%d messages stored", got.messages)
	}
}

// The clients' server and the stream's need not be the same.
func TestFrontAndBack(t *testing.T) {
	front, back := bare(t), newSite(t).start()
	run(t, edge.Config{Front: front.gate(), Back: back.connection()})
	r := reporter(t, front, telemetry.ReporterConfig{})
	const calls = 100
	for range calls {
		call(r, 3)
	}
	acknowledged(t, calls, r)
	if got := back.stored(); len(got.copies) != calls {
		t.Errorf("%d reports stored, want %d", len(got.copies), calls)
	}
}

func TestConfigFaultsNameTheirFields(t *testing.T) {
	_, err := edge.New(edge.Config{MaxReports: -1, Window: 1000, MaxPending: 1, Remember: -1, MaxWait: -1, AckTimeout: time.Hour, StopWait: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"Front", "MaxReports", "Window", "MaxPending", "Remember", "MaxWait", "AckTimeout", "StopWait"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("error does not mention %s: %v", field, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := newSite(t).start()
	registry := prometheus.NewRegistry()
	e, _, _ := run(t, edge.Config{Front: s.gate(), Back: s.connection(), Metrics: registry})
	r := reporter(t, s, telemetry.ReporterConfig{})
	const calls = 50
	for range calls {
		call(r, 3)
	}
	acknowledged(t, calls, r)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) > 0 {
				t.Errorf("%s has labels %v", f.GetName(), m.GetLabel())
			}
			values[f.GetName()] = m.GetCounter().GetValue()
			if h := m.GetHistogram(); h != nil {
				values[f.GetName()] = h.GetSampleSum()
			}
		}
	}
	for name, want := range map[string]float64{
		"attune_edge_acknowledged_total": calls,
		"attune_edge_pack_reports":       calls,
		"attune_edge_packs_total":        float64(e.Stats().Packs),
		"attune_edge_failed_total":       0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if _, err := edge.New(edge.Config{Front: s.gate(), Back: s.connection(), Metrics: registry}); err == nil {
		t.Error("two edges share one registry without an error")
	}
}

// The answer must be what clients of JetStream read, whatever the names in it.
func TestAnswersAreJSON(t *testing.T) {
	for _, c := range []jetstream.PubAck{
		{Stream: "CALLS", Sequence: 1},
		{Stream: "CALLS", Sequence: 1<<64 - 1, Duplicate: true},
		{Stream: `a "b" \ é`, Domain: "hub", Sequence: 7},
	} {
		var got jetstream.PubAck
		data := edge.AppendAck(nil, c.Stream, c.Domain, c.Sequence, c.Duplicate)
		if err := json.Unmarshal(data, &got); err != nil || got != c {
			t.Errorf("%s: read back as %+v, %v", data, got, err)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	id := telemetry.ReportID{0: 1, 15: 255}
	for text, want := range map[string]telemetry.ReportID{
		telemetry.MessageID(id):       id,
		"":                            {},
		"x":                           {},
		strings.Repeat("0", 32):       {},
		strings.Repeat("g", 32):       {},
		telemetry.MessageID(id) + "0": {},
		telemetry.MessageID(id)[:31]:  {},
	} {
		t.Run(fmt.Sprintf("%.40q", text), func(t *testing.T) {
			if got := edge.ParseID(text); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
