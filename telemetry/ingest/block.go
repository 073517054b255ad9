package ingest

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

type reject = warehouse.Reject

// fate is what becomes of a message once the block it is in is stored.
type fate uint8

const (
	fateDone    fate = iota // everything in it is stored, or a copy, or counted: it is acknowledged
	fateRefused             // it is a single report that was refused: the stream drops it
	fateNewer               // it is a single report of a newer schema: it goes back to the stream to wait
	fateAgain               // it holds a newer report that could not be published, or an hour that cannot be judged: it comes again soon
)

// message is one message of the stream.
type message struct {
	jetstream.Msg
	sequence uint64    // its number in the stream
	received time.Time // by the stream
	pack     bool      // many reports, or one
	fate     fate
	counts   counts // of its reports
}

// counts is what became of reports.
type counts struct{ received, copies, doubted uint64 }

// receive looks at what came with a message.
func receive(m jetstream.Msg, now time.Time) message {
	v := message{Msg: m, received: now, pack: m.Subject() == telemetry.PackSubject}
	if metadata, err := m.Metadata(); err == nil { // only a message that did not come from a stream has none
		v.received, v.sequence = metadata.Timestamp, metadata.Sequence.Stream
	}
	return v
}

// newerReport is a report of a newer schema that came in a pack.
type newerReport struct {
	data    []byte
	id      string // it is published under
	message int    // its pack, as an index of the block's messages
}

// block is what one insert stores. Its memory is used again for the next.
type block struct {
	messages []message // a part of the batch in hand
	reports  []telemetry.Report
	rejects  []reject
	newer    []newerReport
	segments arena
	seen     map[telemetry.ReportID]struct{} // ids of reports
	own      int                             // reports of messages; those after them are stored again, with their region
	line     []byte
	cells    admission
}

// limits are what judging a report needs to know.
type limits struct {
	now    time.Time // the earliest, when clocks disagree
	oldest uint32    // hour; reports of earlier ones would be deleted at once: the latest, when clocks disagree
	doubt  bool      // clocks disagree, and nothing is refused for its hour
	most   int       // reports in a block
	recent *recent
}

// fill decodes messages into the block until it is full, and leaves the number it took in b.messages. It takes at least
// one. A pack is never divided.
func (b *block) fill(messages []message, l *limits) {
	b.reports, b.rejects, b.newer = b.reports[:0], b.rejects[:0], b.newer[:0]
	b.segments.reset(mark{})
	if b.seen == nil {
		b.seen = make(map[telemetry.ReportID]struct{})
	}
	clear(b.seen)
	b.messages = messages
	for n := range messages {
		if !b.add(n, l) {
			b.messages = messages[:n]
			return
		}
	}
}

// add decodes message n. When it does not fit into what is left of the block it changes nothing and returns false.
func (b *block) add(n int, l *limits) bool {
	m := &b.messages[n]
	m.fate, m.counts = fateDone, counts{}
	reports, rejects, newer, place := len(b.reports), len(b.rejects), len(b.newer), b.segments.place
	fits := true
	if m.pack {
		position := 0
		err := telemetry.EachInPack(m.Data(), func(data []byte) error {
			if !b.addReport(n, position, data, l) {
				return errFull
			}
			position++
			return nil
		})
		switch {
		case errors.Is(err, errFull):
			fits = false
		case err != nil: // the reports before the fault are as good as any
			b.refuse(n, position, telemetry.ReasonOf(err))
		}
	} else {
		fits = b.addReport(n, 0, m.Data(), l)
	}
	if fits && (len(b.reports) <= l.most || n == 0) {
		return true
	}
	// The ids stay in b.seen, which nobody asks any more: the block ends here.
	b.reports, b.rejects, b.newer = b.reports[:reports], b.rejects[:rejects], b.newer[:newer]
	b.segments.reset(place)
	return false
}

// errFull says that a block has no room for another report.
var errFull = errors.New("the block is full")

// addReport decodes one report and decides what becomes of it. It returns false when there is no room for it.
func (b *block) addReport(n, position int, data []byte, l *limits) bool {
	segments, ok := b.segments.next()
	if !ok {
		return false
	}
	if len(b.reports) == cap(b.reports) {
		b.reports = append(b.reports, telemetry.Report{})[:len(b.reports)]
	}
	m := &b.messages[n]
	m.counts.received++
	r := &b.reports[:len(b.reports)+1][len(b.reports)]
	r.Segments = segments
	if err := judge(data, r, l); err != nil {
		_, newer := errors.AsType[*telemetry.NewerSchemaError](err)
		switch reason := telemetry.ReasonOf(err); {
		case newer:
			b.postpone(n, position, data)
		case l.doubt && reason == telemetry.RejectHour:
			m.fate = fateAgain
			m.counts.doubted++
		default:
			b.refuse(n, position, reason)
		}
		return true
	}
	if _, again := b.seen[r.ID]; again || l.recent.has(r.ID) {
		m.counts.copies++
		return true
	}
	// What a client of version 1 says of its user's opinion gets its noise here, before anything is written down.
	r.Upgrade()
	b.seen[r.ID] = struct{}{}
	b.segments.keep(len(r.Segments))
	b.reports = b.reports[:len(b.reports)+1]
	return true
}

// judge decodes and validates one report into r.
func judge(data []byte, r *telemetry.Report, l *limits) error {
	if err := telemetry.Unmarshal(data, r); err != nil {
		return err
	}
	if err := r.ValidateAt(l.now); err != nil {
		return err
	}
	if r.Hour < l.oldest {
		return &telemetry.RejectError{
			Reason: telemetry.RejectHour, Err: fmt.Errorf("hour %d is before %d, the first that is kept", r.Hour, l.oldest),
		}
	}
	return nil
}

// refuse counts a report. Its bytes are not kept.
func (b *block) refuse(n, position int, reason telemetry.RejectReason) {
	m := &b.messages[n]
	if !m.pack {
		m.fate = fateRefused
	}
	b.rejects = append(b.rejects, reject{
		Hour: telemetry.HourOf(m.received), Reason: reason, Sequence: m.sequence, Position: uint16(position),
	})
}

// postpone leaves a report of a newer schema to a newer reader.
func (b *block) postpone(n, position int, data []byte) {
	m := &b.messages[n]
	if !m.pack {
		m.fate = fateNewer
		return
	}
	b.newer = append(b.newer, newerReport{data: data, id: newerID(data, m, position), message: n})
}
