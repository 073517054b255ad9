package ingest

import (
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// arena is where the segments of one block are decoded to, one report behind the other. Its memory is used again for
// the next block and never grows past its bound, whatever the reports look like.
type arena struct {
	chunks [][]model.Segment
	place  mark
}

// mark is a place in an arena.
type mark struct{ chunk, offset int }

const (
	chunkSegments = 1 << 13
	// maxChunks bounds the segments of one block to 262,144: 16 MB decoded and about as much in columns. The segments of
	// one pack always fit: each takes at least one byte of it.
	maxChunks = 32
)

// next is the memory for the segments of one report, and false when the arena is full.
func (a *arena) next() ([]model.Segment, bool) {
	if a.place.offset+telemetry.MaxSegments > chunkSegments {
		if a.place.chunk == maxChunks-1 {
			return nil, false
		}
		a.place = mark{a.place.chunk + 1, 0}
	}
	if a.place.chunk == len(a.chunks) {
		a.chunks = append(a.chunks, make([]model.Segment, chunkSegments))
	}
	from := a.place.offset
	return a.chunks[a.place.chunk][from : from : from+telemetry.MaxSegments], true
}

// keep says that the report just decoded stays, with n segments.
func (a *arena) keep(n int) { a.place.offset += n }

// reset makes everything after m free again.
func (a *arena) reset(m mark) { a.place = m }
