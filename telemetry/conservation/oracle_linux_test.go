package conservation

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/response"
)

// oracle hands out serials and writes down what was published and what was acknowledged.
type oracle struct {
	seed uint64

	mu         sync.Mutex
	last       serial
	records    map[serial]*record
	ids        map[telemetry.ReportID]serial
	refused    map[telemetry.RejectReason]*refusal
	acks       uint64   // acknowledgements that reached a client
	duplicates uint64   // of these, the ones that said the stream had the message already
	violations []string // what was wrong while the test ran
}

// record is what the oracle knows of one report.
type record struct {
	want         telemetry.Report // what the clients said
	client       string
	acknowledged time.Time // when the first acknowledgement came; zero = none
	refused      bool      // the system must refuse it
}

// refusal counts messages that must be refused for one reason.
type refusal struct {
	attempts     int // times one was published
	acknowledged int // messages
}

func newOracle(seed uint64) *oracle {
	return &oracle{
		seed: seed, records: make(map[serial]*record), ids: make(map[telemetry.ReportID]serial),
		refused: make(map[telemetry.RejectReason]*refusal),
	}
}

// next issues a serial.
func (o *oracle) next() serial {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	return o.last
}

func (o *oracle) violate(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.violations) < 50 {
		o.violations = append(o.violations, fmt.Sprintf(format, args...))
	}
}

// issue draws a plain publisher's report and books it. Ahead is how far the client's clock is wrong.
func (o *oracle) issue(client string, ahead time.Duration) (serial, telemetry.Report) {
	s := o.next()
	now := time.Now()
	r := payload(o.seed, s, byPublisher, telemetry.HourOf(now))
	if ahead != 0 {
		r.Hour = telemetry.HourOf(now.Add(ahead))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records[s] = &record{want: r, client: client, refused: misfit(ahead)}
	o.ids[r.ID] = s
	return s, r
}

// misfit tells whether a report of a clock that is so far ahead must be refused.
func misfit(ahead time.Duration) bool { return ahead > telemetry.MaxClockError || ahead < -retention }

// retention is the default of ingest: what is older is refused, and up to a week less may be.
const retention = 90 * 24 * time.Hour

// onTheWire books a message of a Reporter, and checks that it says what it must.
func (o *oracle) onTheWire(client string, m *nats.Msg) (serial, error) {
	var r telemetry.Report
	if err := telemetry.Unmarshal(m.Data, &r); err != nil {
		return 0, err
	}
	if len(r.Segments) == 0 {
		return 0, fmt.Errorf("report %v has no segments", r.ID)
	}
	if id := m.Header.Get(nats.MsgIdHdr); id != telemetry.MessageID(r.ID) {
		return 0, fmt.Errorf("report %v is published as %q", r.ID, id)
	}
	s := serialOf(r.Segments[0].Policy, r.Segments[0].Experiment)
	want := payload(o.seed, s, byReporter, 0)
	want.ID, want.Hour, want.Duration, want.LostReports = r.ID, r.Hour, r.Duration, r.LostReports
	if rating, _ := opinion(o.seed, s); rating > 0 && randomized(&r) { // as the dice fell; sent again, it must be the same
		want.Stars, want.Problem = r.Stars, r.Problem
	}
	if !reflect.DeepEqual(r, want) {
		return 0, fmt.Errorf("report %d leaves its client as %+v, want %+v", s, r, want)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	known, ok := o.records[s]
	switch {
	case !ok:
		o.records[s] = &record{want: want, client: client}
		o.ids[r.ID] = s
	case !reflect.DeepEqual(known.want, want):
		return 0, fmt.Errorf("report %d is sent with two contents: %+v and %+v", s, known.want, want)
	}
	return s, nil
}

// randomized says that a report has an answer, as one that was randomized looks.
func randomized(r *telemetry.Report) bool {
	return r.Stars >= 1 && r.Stars <= response.Stars && r.Problem >= 1 && r.Problem <= response.MaxProblem
}

// acknowledge books an acknowledgement that has reached a client.
func (o *oracle) acknowledge(s serial, duplicate bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acks++
	if duplicate {
		o.duplicates++
	}
	if r := o.records[s]; r != nil && r.acknowledged.IsZero() {
		r.acknowledged = time.Now()
	}
}

func (o *oracle) acknowledged(s serial) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.records[s].acknowledged.IsZero()
}

// refuse books the publication of a message that must be refused: before it with a nil acknowledgement, and after it.
func (o *oracle) refuse(reason telemetry.RejectReason, ack *jetstream.PubAck) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.refused[reason]
	if r == nil {
		r = new(refusal)
		o.refused[reason] = r
	}
	if ack == nil {
		r.attempts++
		return
	}
	o.acks++
	r.acknowledged++
}

// oldAcknowledged finds reports of plain publishers whose acknowledgement is older than age, starting at a random place.
func (o *oracle) oldAcknowledged(start uint64, age time.Duration, most int) map[serial]telemetry.Report {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := make(map[serial]telemetry.Report)
	for i := range o.last {
		s := 1 + (serial(start)+i)%o.last
		r := o.records[s]
		if len(found) == most {
			break
		}
		if r != nil && !r.refused && !r.acknowledged.IsZero() && time.Since(r.acknowledged) > age {
			found[s] = r.want
		}
	}
	return found
}

// watchedPublisher is the connection of a Reporter: it tells the oracle of every message and every answer.
type watchedPublisher struct {
	telemetry.Publisher
	oracle *oracle
	client string
}

// PublishMsgAsync publishes, and passes the answer on once the oracle knows it.
func (w *watchedPublisher) PublishMsgAsync(m *nats.Msg, options ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	s, err := w.oracle.onTheWire(w.client, m)
	if err != nil {
		w.oracle.violate("%s: %v", w.client, err)
	}
	future, err := w.Publisher.PublishMsgAsync(m, options...)
	if err != nil {
		return nil, err
	}
	heard := &heardFuture{PubAckFuture: future, ok: make(chan *jetstream.PubAck, 1), bad: make(chan error, 1)}
	go func() {
		select {
		case ack := <-future.Ok():
			w.oracle.acknowledge(s, ack.Duplicate)
			heard.ok <- ack
		case err := <-future.Err():
			heard.bad <- err
		}
	}()
	return heard, nil
}

type heardFuture struct {
	jetstream.PubAckFuture
	ok  chan *jetstream.PubAck
	bad chan error
}

func (h *heardFuture) Ok() <-chan *jetstream.PubAck { return h.ok }
func (h *heardFuture) Err() <-chan error            { return h.bad }
