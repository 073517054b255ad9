package telemetry_test

import (
	"bytes"
	"context"
	"math/bits"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// eavesdropper is a stream that keeps every byte it is sent, and takes each report at once.
type eavesdropper struct{ heard []*nats.Msg }

func (e *eavesdropper) PublishMsgAsync(m *nats.Msg, _ ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	header := nats.Header{}
	for key, values := range m.Header {
		header[key] = slices.Clone(values)
	}
	e.heard = append(e.heard, &nats.Msg{Subject: m.Subject, Reply: m.Reply, Header: header, Data: bytes.Clone(m.Data)})
	ok := make(chan *jetstream.PubAck, 1)
	ok <- &jetstream.PubAck{Stream: telemetry.Stream, Sequence: uint64(len(e.heard))}
	return heard{m, ok}, nil
}

func (*eavesdropper) Conn() *nats.Conn { return nil }

type heard struct {
	m  *nats.Msg
	ok chan *jetstream.PubAck
}

func (t heard) Ok() <-chan *jetstream.PubAck { return t.ok }
func (heard) Err() <-chan error              { return nil }
func (t heard) Msg() *nats.Msg               { return t.m }

// unreachable is a stream on the other side of a dead network.
type unreachable struct{}

func (unreachable) PublishMsgAsync(*nats.Msg, ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	return nil, nats.ErrConnectionClosed
}
func (unreachable) Conn() *nats.Conn { return nil }

// standard is the same call for everybody: two segments on one network, under one policy.
func standard(r *telemetry.Reporter) {
	c := r.Call(model.Context{
		Network: model.Network4G, Metered: model.MeteredYes, Region: 77, Device: model.DeviceMid, TimeOfDay: model.TimeAfternoon, Reach: model.ReachUDP,
	}, telemetry.OriginCall)
	c.Stage(model.StageMedia)
	time.Sleep(8 * time.Second)
	for _, s := range typicalReport(1, 2).Segments {
		c.Record(s)
	}
	c.End(false)
	synctest.Wait()
}

// another is a call elsewhere, with a policy of its own, that was rated.
func another(r *telemetry.Reporter) {
	c := r.Call(model.Context{Network: model.NetworkSatellite, Region: 12, Device: model.DeviceHigh, Reach: model.ReachTCPOnly}, telemetry.OriginCall)
	c.Stage(model.StageMedia)
	for _, s := range typicalReport(9, 40).Segments {
		s.Policy, s.Arm = 999, 7
		c.Record(s)
	}
	c.Rate(1, 0xff)
	c.End(true)
	synctest.Wait()
}

// inAYearOfCalls runs in a bubble whose clock stands at the start of an hour in 2026.
func inAYearOfCalls(t *testing.T, run func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(began.Truncate(time.Hour)))
		run(t)
	})
}

// anonymous is what was heard without the random id, which is taken out of the report and of the message's one header.
// What else the message carries is a fault.
func anonymous(t *testing.T, heard []*nats.Msg) (reports []string, ids []telemetry.ReportID) {
	t.Helper()
	for _, m := range heard {
		var r telemetry.Report
		if err := telemetry.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(nats.Header{nats.MsgIdHdr: {telemetry.MessageID(r.ID)}}, m.Header); diff != "" || m.Subject != telemetry.Subject || m.Reply != "" {
			t.Errorf("on %s for %s the message says more than its id (-want +got):\n%s", m.Subject, m.Reply, diff)
		}
		encoded, err := r.AppendMarshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded, m.Data) {
			t.Errorf("a report holds more than its fields: %x, want %x", m.Data, encoded)
		}
		ids = append(ids, r.ID)
		r.ID = telemetry.ReportID{}
		if encoded, err = r.AppendMarshal(nil); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, string(encoded))
	}
	return reports, ids
}

func newClient(t *testing.T, cfg telemetry.ReporterConfig) *telemetry.Reporter {
	t.Helper()
	cfg.Enabled = true
	r, err := telemetry.NewReporter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTwoReportsOfOneClientCannotBeLinked makes the same calls with a client that has a past and with one that is new.
// Past means: other networks, a rated call, refused policies, a spool that lost reports, an earlier process. Once the
// first report has carried what is counted since the last one, every byte but the random id is the same for both, so two
// reports of one client have nothing in common that those of strangers in the same situation have not.
func TestTwoReportsOfOneClientCannotBeLinked(t *testing.T) {
	inAYearOfCalls(t, func(t *testing.T) {
		const calls = 20
		spool := filepath.Join(t.TempDir(), "spool")
		refused := [telemetry.RefusalReasons]uint8{1: 3, 4: 200}
		old := newClient(t, telemetry.ReporterConfig{Publisher: unreachable{}, Spool: spool, SpoolLimit: 256 << 10, Queue: 4})
		for range 50 {
			another(old)
		}
		patience, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := old.Close(patience); err != nil {
			t.Fatal(err)
		}
		past := new(eavesdropper)
		client := newClient(t, telemetry.ReporterConfig{Publisher: past, Spool: spool, Refusals: func() (n [telemetry.RefusalReasons]uint8) {
			n, refused = refused, n // told once, as delivery.Client does
			return n
		}})
		standard(client) // carries the counts
		before := len(past.heard)
		if before < 10 {
			t.Fatalf("the past is %d reports", before)
		}
		fresh := new(eavesdropper)
		stranger := newClient(t, telemetry.ReporterConfig{Publisher: fresh, Spool: filepath.Join(t.TempDir(), "spool")})
		for range calls {
			standard(client)
			standard(stranger)
		}
		for _, r := range []*telemetry.Reporter{client, stranger} {
			if err := r.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}

		of, ids := anonymous(t, past.heard[before:])
		other, otherIDs := anonymous(t, fresh.heard)
		if len(of) != calls || len(other) != calls {
			t.Fatalf("%d and %d reports", len(of), len(other))
		}
		for i := range of {
			if of[i] != other[i] {
				t.Errorf("call %d: the reports of a client and of a stranger differ:\n%x\n%x", i, of[i], other[i])
			}
		}
		_, pastIDs := anonymous(t, past.heard[:before])
		unrelated(t, slices.Concat(pastIDs, ids, otherIDs))
	})
}

// unrelated fails when ids of reports have more in common than random ones: of 128 bits, two of a hundred ids differ in
// fewer than 30 once in 10^6 runs.
func unrelated(t *testing.T, ids []telemetry.ReportID) {
	t.Helper()
	ones := 0
	for i, a := range ids {
		for _, b := range ids[:i] {
			differ := 0
			for k := range a {
				differ += bits.OnesCount8(a[k] ^ b[k])
			}
			if differ < 30 {
				t.Errorf("ids %v and %v differ in %d bits", a, b, differ)
			}
		}
		for _, octet := range a {
			ones += bits.OnesCount8(octet)
		}
	}
	if total := 128 * len(ids); len(ids) < 50 || ones < total*2/5 || ones > total*3/5 {
		t.Errorf("%d of %d bits in %d ids are set", ones, total, len(ids))
	}
}

// TestTimeIsTheWholeHour makes the same call in the first and in the last minute of an hour: the bytes are the same. An
// hour later, the number of the hour is what differs.
func TestTimeIsTheWholeHour(t *testing.T) {
	inAYearOfCalls(t, func(t *testing.T) {
		stream := new(eavesdropper)
		client := newClient(t, telemetry.ReporterConfig{Publisher: stream})
		standard(client)
		time.Sleep(59 * time.Minute)
		standard(client)
		time.Sleep(time.Minute)
		standard(client)
		if err := client.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		reports, _ := anonymous(t, stream.heard)
		if len(reports) != 3 || reports[0] != reports[1] {
			t.Fatalf("the minute of a call is in its report: %x", reports)
		}
		var first, next telemetry.Report
		if err := telemetry.Unmarshal(stream.heard[0].Data, &first); err != nil {
			t.Fatal(err)
		}
		if err := telemetry.Unmarshal(stream.heard[2].Data, &next); err != nil {
			t.Fatal(err)
		}
		if next.Hour != first.Hour+1 {
			t.Errorf("hours %d and %d", first.Hour, next.Hour)
		}
		next.Hour, next.ID = first.Hour, first.ID
		if diff := cmp.Diff(first, next); diff != "" {
			t.Errorf("more than the hour differs:\n%s", diff)
		}
	})
}

// TestTimeAndPlaceHaveNoFinerField looks at the sets of values of all fields: one counts hours, one names a country of
// ISO 3166-1, and lengths of time are below the hour or ranges that do not tell when.
func TestTimeAndPlaceHaveNoFinerField(t *testing.T) {
	country := regexp.MustCompile(`^[A-Z]{2}$`)
	r := theRegistry(t)
	var hours, places []string
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Fields {
			f := &m.Fields[j]
			path := m.Name + "." + f.Name
			if f.Unit == "hours since 1970-01-01 00:00 UTC" {
				hours = append(hours, path)
			}
			l := r.ListOf(f.List)
			if f.Type != "enum" || l == nil {
				continue
			}
			if len(l.Members) > 17 { // more than the answers about problems: the kinds of things there are, are fewer
				places = append(places, path)
			}
			for _, member := range l.Members {
				if l.Name == "Region" && !country.MatchString(member.Name) {
					t.Errorf("%s can be %q", path, member.Name)
				}
			}
		}
	}
	if !slices.Equal(hours, []string{"Report.hour"}) || !slices.Equal(places, []string{"Situation.region"}) {
		t.Errorf("fields of time %v, of place %v", hours, places)
	}
	if members := r.ListOf("Region").Members; len(members) != 250 || members[0].Name != "ZZ" || !slices.Equal(model.Regions()[1:3], []string{"AD", "AE"}) {
		t.Errorf("%d regions, the first %v", len(members), members[0])
	}
}
