package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// On a server that recognises a stored block by its token, a batch is divided at multiples of these numbers in the
// stream, so that messages that are delivered again after a crash make the same blocks again. A range that is not
// complete, because a fetch ended in the middle of it, makes a block and a token of its own.
const (
	packsInRange   = 64
	singlesInRange = 4096
)

// order sorts messages so that each range is in one piece.
func order(messages []message) {
	slices.SortStableFunc(messages, func(a, b message) int {
		switch {
		case a.pack != b.pack && a.pack, a.pack == b.pack && a.sequence > b.sequence:
			return 1
		case a.pack != b.pack, a.sequence < b.sequence:
			return -1
		}
		return 0
	})
}

// firstRange is how many of the messages, which are in order, belong to the same range as the first.
func firstRange(messages []message) int {
	for n := range messages {
		if messages[n].pack != messages[0].pack || messages[n].rangeNumber() != messages[0].rangeNumber() {
			return n
		}
	}
	return len(messages)
}

func (m *message) rangeNumber() uint64 {
	if m.pack {
		return m.sequence / packsInRange
	}
	return m.sequence / singlesInRange
}

// token names the rows of a block: the stream, known by its name and the time it was made, the messages, and each report
// with the regions it shows.
//
// The last part is what makes it safe. The same messages do not always make the same rows: a report that was stored
// without its region may be stored again with it, after a crash has made the process forget some cells or because others
// have opened, and copies are left out of a block or not. A token of the messages alone would have the server drop the
// block that shows the region, or one that holds a report more. Two blocks with the same token have the same rows, so
// dropping the second changes nothing.
func (b *block) token(stream time.Time) string {
	h := sha256.New()
	line := append(b.line[:0], telemetry.Stream...)
	line = binary.LittleEndian.AppendUint64(append(line, 0), uint64(stream.UnixNano()))
	line = binary.LittleEndian.AppendUint64(line, uint64(len(b.messages)))
	for i := range b.messages {
		line = binary.LittleEndian.AppendUint64(line, b.messages[i].sequence)
	}
	for i := range b.reports {
		r := &b.reports[i]
		line = append(line, r.ID[:]...)
		line = binary.LittleEndian.AppendUint16(line, uint16(r.Context.Region))
		for n := range r.Segments {
			if region := r.Segments[n].Context.Region; region != r.Context.Region {
				line = append(line, 1, uint8(n))
				line = binary.LittleEndian.AppendUint16(line, uint16(region))
			}
		}
		line = append(line, 0)
		if len(line) > 1<<12 {
			_, _ = h.Write(line) // a hash takes everything
			line = line[:0]
		}
	}
	_, _ = h.Write(line)
	b.line = line[:0]
	return hex.EncodeToString(h.Sum(nil)[:16])
}
