package edge

import (
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// pack is one message while it fills and while it is on its way. Its memory is used again for the next.
type pack struct {
	data    []byte
	clients []client
	began   time.Time // when its first report came
}

// client is who waits for the answer to one report.
type client struct {
	reply string
	id    telemetry.ReportID // zero: not known
	end   int                // of its report in the pack's data
}

func newPack(reports int) *pack {
	return &pack{data: make([]byte, 0, telemetry.MaxPackSize), clients: make([]client, 0, reports)}
}

// fits reports whether a report of n bytes may still be added, when a pack holds at most so many reports and bytes. An
// empty pack takes every report.
func (p *pack) fits(n, maxReports, maxBytes int) bool {
	return len(p.clients) == 0 || len(p.clients) < maxReports && len(p.data)+telemetry.PackedSize(n) <= maxBytes
}

// full reports whether no report of a usual size will fit any more.
func (p *pack) full(maxReports, maxBytes int) bool {
	return !p.fits(len(p.data)/max(len(p.clients), 1), maxReports, maxBytes)
}

func (p *pack) add(report []byte, reply string, id telemetry.ReportID) {
	p.data = telemetry.AppendToPack(p.data, report)
	p.clients = append(p.clients, client{reply: reply, id: id, end: len(p.data)})
}

func (p *pack) reset() {
	clear(p.clients) // lets go of the reply subjects
	p.data, p.clients = p.data[:0], p.clients[:0]
}

// part is some successive reports of a pack, a pack of its own: concatenating protobuf messages joins their lists, and
// so cutting between two entries divides them.
type part struct {
	data    []byte
	clients []client
	base    int // where data begins in the pack
}

func (p *pack) whole() part { return part{data: p.data, clients: p.clients} }

// halves cuts a part of two or more reports in two.
func (p part) halves() (first, second part) {
	n := len(p.clients) / 2
	cut := p.clients[n-1].end - p.base
	return part{p.data[:cut], p.clients[:n], p.base}, part{p.data[cut:], p.clients[n:], p.base + cut}
}
