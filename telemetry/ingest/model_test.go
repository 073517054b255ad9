package ingest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// The models of a stream and of a warehouse that the state machine runs against. Both do no more than their servers
// promise, and check with every step what ingest promises.

// sent is one report as its client made it.
type sent struct {
	data   []byte
	report telemetry.Report
	kind   sentKind
}

type sentKind int

const (
	sentValid sentKind = iota
	sentBad
	sentNewer
)

// stored is one message in the model of the stream.
type stored struct {
	sequence  uint64
	subject   string
	data      []byte
	id        string
	reports   []*sent
	received  time.Time
	delivered bool // and not acknowledged, nor given back
}

// world is the stream, the warehouse, and what has been sent.
type world struct {
	fail func(format string, args ...any)

	made     time.Time // the stream
	last     uint64
	messages map[uint64]*stored
	window   map[string]uint64 // message ids that the stream remembers
	byData   map[string]*sent
	gone     map[uint64]bool // numbers of this stream that were acknowledged or dropped
	full     bool            // the stream takes nothing

	k       int
	rows    map[rowKey]row
	rejects map[warehouse.Reject]bool
	tokens  map[string]bool // nil on a server that does not know them
	all     map[telemetry.ReportID]*sent

	copies, dropped, redelivered int // what really happened
}

// rowKey is what the table replaces by.
type rowKey struct {
	day     uint32
	network model.NetworkType
	id      telemetry.ReportID
}

// row is the copy that queries see.
type row struct {
	shown  bool
	report telemetry.Report
}

func newWorld(k int, tokens bool) *world {
	w := &world{
		k: k, rows: make(map[rowKey]row), rejects: make(map[warehouse.Reject]bool),
		all: make(map[telemetry.ReportID]*sent), byData: make(map[string]*sent),
	}
	if tokens {
		w.tokens = make(map[string]bool)
	}
	w.makeStream()
	return w
}

// makeStream deletes the stream, with all that is in it, and makes it anew.
func (w *world) makeStream() {
	time.Sleep(time.Millisecond) // so that it is made at another time
	w.made, w.last = time.Now(), 0
	w.messages, w.window, w.gone = make(map[uint64]*stored), make(map[string]uint64), make(map[uint64]bool)
}

func (w *world) publish(subject string, data []byte, id string, reports []*sent) {
	if _, known := w.window[id]; known && id != "" {
		return
	}
	w.last++
	w.messages[w.last] = &stored{
		sequence: w.last, subject: subject, data: data, id: id, reports: reports, received: time.Now(),
	}
	if id != "" {
		w.window[id] = w.last
	}
}

// available are the messages that can be delivered, in order.
func (w *world) available() []*stored {
	var list []*stored
	for _, n := range slices.Sorted(maps.Keys(w.messages)) {
		if !w.messages[n].delivered {
			list = append(list, w.messages[n])
		}
	}
	return list
}

// remove takes a message out of the stream, as an acknowledgement does: by its number, whatever is there now.
func (w *world) remove(m *delivery, verb string) {
	if m.process.dead || m.process.mute {
		return
	}
	now := w.messages[m.sequence]
	if now == nil || !now.delivered {
		return
	}
	if !m.made.Equal(w.made) {
		w.fail("%s of message %d of an earlier stream takes one from the new stream", verb, m.sequence)
	}
	for position, r := range now.reports {
		switch r.kind {
		case sentValid:
			if _, there := w.rows[keyOf(&r.report)]; !there {
				w.fail("message %d is acknowledged, its report %d is not stored", m.sequence, position)
			}
		case sentBad:
			if !w.rejects[rejectOf(now, position)] {
				w.fail("message %d is acknowledged, its bad report %d is not counted", m.sequence, position)
			}
		case sentNewer:
			if now.subject == telemetry.Subject || !w.holds(r) {
				w.fail("message %d is acknowledged, its newer report %d is not in the stream", m.sequence, position)
			}
		}
	}
	delete(w.messages, m.sequence)
	w.gone[m.sequence] = true
}

// holds tells whether a newer report is in the stream as a message of its own.
func (w *world) holds(r *sent) bool {
	for _, m := range w.messages {
		if m.subject == telemetry.Subject && string(m.data) == string(r.data) {
			return true
		}
	}
	return false
}

func keyOf(r *telemetry.Report) rowKey { return rowKey{dayOf(r.Hour), r.Context.Network, r.ID} }

func rejectOf(m *stored, position int) warehouse.Reject {
	return warehouse.Reject{
		Hour: telemetry.HourOf(m.received), Reason: telemetry.RejectAction, Sequence: m.sequence, Position: uint16(position),
	}
}

// insert stores a block week by week, at most weeks of them, as the server does: a week appears at once.
func (w *world) insert(block warehouse.Block, weeks int) {
	if w.tokens != nil && block.Token != "" {
		if w.tokens[block.Token] {
			w.dropped++
			for i := range block.Reports {
				r := &block.Reports[i]
				old, there := w.rows[keyOf(r)]
				if shown := r.Context.Region != 0; !there || shown && !old.shown {
					w.fail("a block was dropped for its token, and report %v is not there like this", r.ID)
				}
			}
			return
		}
	}
	parts := make(map[uint32][]int)
	for i := range block.Reports {
		week := (dayOf(block.Reports[i].Hour) + 3) / 7
		parts[week] = append(parts[week], i)
	}
	complete := weeks >= len(parts)
	for _, week := range slices.Sorted(maps.Keys(parts)) {
		if weeks == 0 {
			break
		}
		weeks--
		for _, i := range parts[week] {
			w.put(&block.Reports[i], block.Withheld[i])
		}
		w.look()
	}
	if complete && w.tokens != nil && block.Token != "" {
		w.tokens[block.Token] = true
	}
}

func (w *world) put(r *telemetry.Report, withheld bool) {
	original := w.all[r.ID]
	if original == nil || original.kind != sentValid {
		w.fail("report %v is stored, and nobody sent it", r.ID)
		return
	}
	if withheld && r.Context.Region != 0 {
		w.fail("report %v is withheld and shows region %d", r.ID, r.Context.Region)
	}
	if !withheld && r.Context.Region != original.report.Context.Region {
		w.fail("report %v has region %d, not its own and not withheld", r.ID, r.Context.Region)
	}
	if !sameButRegions(r, &original.report, withheld) {
		w.fail("report %v is stored as %+v, sent as %+v", r.ID, *r, original.report)
	}
	key := keyOf(r)
	old, again := w.rows[key]
	if again {
		w.copies++
	}
	if again && old.shown && withheld {
		return // the table keeps the copy that shows its region
	}
	kept := *r
	kept.Segments = slices.Clone(r.Segments)
	w.rows[key] = row{shown: !withheld, report: kept}
}

// sameButRegions compares all but the regions and local times of day, of which a stored one is the original or withheld.
func sameButRegions(got, want *telemetry.Report, withheld bool) bool {
	a, b := *got, *want
	if len(a.Segments) != len(b.Segments) {
		return false
	}
	for i := range a.Segments {
		x, y := a.Segments[i], b.Segments[i]
		if !samePlaceOrNone(&x.Context, &y.Context, withheld) {
			return false
		}
		nowhere(&x.Context)
		nowhere(&y.Context)
		if x != y {
			return false
		}
	}
	if !samePlaceOrNone(&a.Context, &b.Context, withheld) {
		return false
	}
	nowhere(&a.Context)
	nowhere(&b.Context)
	a.Segments, b.Segments = nil, nil
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// samePlaceOrNone tells whether the region and the local time of day are stored as they were given, or both withheld.
func samePlaceOrNone(got, want *model.Context, withheld bool) bool {
	if withheld || got.Region != want.Region {
		return got.Region == 0 && got.TimeOfDay == 0
	}
	return got.TimeOfDay == want.TimeOfDay
}

// look is the second observer: it reads the table and counts each cell.
func (w *world) look() {
	type cellKey struct {
		day uint32
		place
	}
	seen := make(map[cellKey]int)
	for key, r := range w.rows {
		if r.report.Context.Region != 0 {
			seen[cellKey{key.day, placeOf(&r.report, &r.report.Context)}]++
		}
	}
	for c, n := range seen {
		if n < w.k {
			w.fail("%d reports of origin %v show region %d in network %v on day %d, at least %d must", n, c.origin, c.region, c.network, c.day, w.k)
		}
	}
	for key, r := range w.rows {
		for _, s := range r.report.Segments {
			c := cellKey{key.day, placeOf(&r.report, &s.Context)}
			if c.region != 0 && w.k > 1 && seen[c] < w.k {
				w.fail("a segment shows region %d in network %v, and %d reports do", c.region, c.network, seen[c])
			}
		}
	}
}
