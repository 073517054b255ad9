package edge

import (
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// recent remembers which reports were acknowledged, and under which number of the stream, in a table of fixed size: an
// id has one place, by its own random bits, and displaces what is there. So of the last n ids, about one in n/size is
// forgotten early; a report sent again that is not recognised here is stored twice and counted once.
//
// It must not say that a report is in a stream that has been deleted. An edge may not ask about streams, but it can tell:
// nobody answers, or the numbers of the acknowledgements do not go on where they were.
type recent struct {
	mu     sync.Mutex
	table  []acknowledged
	newest uint64    // number of the stream
	seen   time.Time // when that was acknowledged
}

const (
	// disorder is more than acknowledgements of messages under way at once can be out of order.
	disorder = 1 << 12
	// mostPerSecond is more messages than a stream takes: a number further ahead is that of another stream, whose numbers
	// begin with the microseconds since 1970 (package broker).
	mostPerSecond = 200_000
)

type acknowledged struct {
	id       telemetry.ReportID
	sequence uint64
}

func newRecent(size int) *recent { return &recent{table: make([]acknowledged, size)} }

func (r *recent) place(id *telemetry.ReportID) *acknowledged {
	return &r.table[binary.LittleEndian.Uint64(id[:8])%uint64(len(r.table))]
}

// find gives the number under which a report is in the stream.
func (r *recent) find(id telemetry.ReportID) (sequence uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.place(&id)
	return a.sequence, a.id == id
}

// add remembers the reports of a pack.
func (r *recent) add(clients []client, sequence uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.another(sequence, time.Since(r.seen)) {
		r.clear()
	}
	if sequence > r.newest {
		r.newest, r.seen = sequence, time.Now()
	}
	for i := range clients {
		if id := &clients[i].id; *id != (telemetry.ReportID{}) {
			*r.place(id) = acknowledged{*id, sequence}
		}
	}
}

// another tells whether a number cannot be one of the stream so far.
func (r *recent) another(sequence uint64, since time.Duration) bool {
	if r.newest == 0 {
		return false
	}
	return sequence+disorder < r.newest || sequence > r.newest+disorder+uint64(since.Seconds()*mostPerSecond)
}

// forget is for a stream that nobody answers for: it may be gone.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
}

func (r *recent) clear() {
	clear(r.table)
	r.newest = 0
}

// parseID reads the message id a report was sent under. What is not the id of a report is the zero id, which no report
// has: it is neither remembered nor found.
func parseID(text string) (id telemetry.ReportID) {
	if len(text) != hex.EncodedLen(len(id)) {
		return telemetry.ReportID{}
	}
	var digits [2 * len(id)]byte
	copy(digits[:], text)
	if _, err := hex.Decode(id[:], digits[:]); err != nil {
		return telemetry.ReportID{}
	}
	return id
}
