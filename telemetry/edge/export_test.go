package edge

import (
	"github.com/nats-io/nats.go"

	"github.com/attune-calls/attune/telemetry"
)

// AppendAck and ParseID are what an edge answers and how it reads an id.
var (
	AppendAck = appendAck
	ParseID   = parseID
)

// Pack is a pack for tests.
type Pack struct{ *pack }

// NewPack makes one.
func NewPack() Pack { return Pack{newPack(8)} }

// Add adds a report.
func (p Pack) Add(report []byte, reply string) { p.add(report, reply, telemetry.ReportID{}) }

// Fits, Full and Reset are the methods of the same names.
func (p Pack) Fits(n, maxReports, maxBytes int) bool { return p.fits(n, maxReports, maxBytes) }
func (p Pack) Full(maxReports, maxBytes int) bool    { return p.full(maxReports, maxBytes) }
func (p Pack) Reset()                                { p.reset() }

// Divide cuts the pack into parts that hold at most n bytes or one report, as a stream of small messages makes it.
func (p Pack) Divide(n int, each func(data []byte, replies []string)) {
	var divide func(part)
	divide = func(p part) {
		if len(p.data) > n && len(p.clients) > 1 {
			first, second := p.halves()
			divide(first)
			divide(second)
			return
		}
		replies := make([]string, len(p.clients))
		for i, c := range p.clients {
			replies[i] = c.reply
		}
		each(p.data, replies)
	}
	divide(p.whole())
}

// Take is what happens to each message that comes in.
func (e *Edge) Take(m *nats.Msg) { e.take(m) }

// Recycle empties the pack that fills.
func (e *Edge) Recycle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.filling != nil {
		e.seal()
	}
	for len(e.sealed) > 0 {
		p := <-e.sealed
		p.reset()
		e.free <- p
	}
}
