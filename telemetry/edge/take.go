package edge

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/attune-calls/attune/telemetry"
)

const maxPackSize = telemetry.MaxPackSize

// take handles one report. It blocks while the window is full; reports then wait in the subscription, within its bound.
// It is called by one goroutine at a time.
func (e *Edge) take(m *nats.Msg) {
	e.tally.received.Add(1)
	if !e.mayAnswer(m.Reply) {
		e.tally.unanswerable.Add(1)
		return
	}
	if len(m.Data) > telemetry.MaxReportSize {
		e.tally.tooLarge.Add(1)
		_ = e.cfg.Front.Publish(m.Reply, answerTooLarge)
		return
	}
	id := parseID(m.Header.Get(nats.MsgIdHdr))
	if id != (telemetry.ReportID{}) {
		if sequence, again := e.recent.find(id); again {
			e.tally.duplicates.Add(1)
			var space [answerSize]byte
			_ = e.cfg.Front.Publish(m.Reply, appendAck(space[:0], telemetry.Stream, "", sequence, true))
			return
		}
	}
	if !e.put(m, id) {
		e.tally.failed.Add(1) // the client has no answer and sends again
		e.untaken.Add(1)
	}
}

func (e *Edge) mayAnswer(reply string) bool {
	for _, prefix := range e.cfg.ReplyPrefixes {
		if strings.HasPrefix(reply, prefix) {
			return true
		}
	}
	return false
}

// put adds a report to the pack that fills, or to the next one.
func (e *Edge) put(m *nats.Msg, id telemetry.ReportID) bool {
	limit := int(e.limit.Load())
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.filling != nil && !e.filling.fits(len(m.Data), e.cfg.MaxReports, limit) {
		e.seal()
	}
	if e.filling == nil {
		// Only this goroutine fills packs, so nobody needs the lock while it waits for one.
		e.mu.Unlock()
		p := e.next()
		e.mu.Lock()
		if p != nil && e.stopped {
			e.free <- p
			p = nil
		}
		if p == nil {
			return false
		}
		p.began = time.Now()
		e.filling = p
		e.timer.Reset(e.cfg.MaxWait)
	}
	e.filling.add(m.Data, m.Reply, id)
	if e.filling.full(e.cfg.MaxReports, limit) {
		e.seal()
	}
	return true
}

// next waits for a free pack; nil when the time to stop is over.
func (e *Edge) next() *pack {
	select {
	case p := <-e.free:
		return p
	default:
	}
	select {
	case p := <-e.free:
		return p
	case <-e.abandon:
		return nil
	}
}

// seal sends the pack that fills on its way. The caller holds mu.
func (e *Edge) seal() {
	if e.filling != nil {
		e.timer.Stop()
		e.sealed <- e.filling // has room for every pack there is
		e.filling = nil
	}
}

// overdue runs when a pack has waited for MaxWait. A timer that was too late to stop may seal the next pack early, which
// does no harm.
func (e *Edge) overdue() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seal()
}
