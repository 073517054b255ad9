package telemetry

import (
	"slices"
	"sync"

	"github.com/attune-calls/attune/model"
)

// Bounds of the tables. Every segment may bring one situation, one decider and two actions.
const (
	maxSituations = MaxSegments + 1
	maxActions    = 2 * MaxSegments
	maxDeciders   = MaxSegments
)

// decider is what made a decision.
type decider struct {
	policy     uint32
	experiment uint32
	arm        uint8
}

func deciderOf(s *model.Segment) decider { return decider{s.Policy, s.Experiment, s.Arm} }

// sheet holds the segments of one report turned sideways: one list per field, and tables of the values that repeat.
// Sheets are large and pooled; begin makes one ready.
type sheet struct {
	columns [columnEnd][MaxSegments]uint32
	length  [columnEnd]int
	octets  [columnEnd][MaxSegments]byte // instead of columns, for what is a byte in a segment, when writing

	situations []situation
	actions    []model.Action
	deciders   []decider

	// What the tables are kept in: they never grow past it.
	situationSpace [maxSituations]situation
	actionSpace    [maxActions]model.Action
	deciderSpace   [maxDeciders]decider
}

var sheets = sync.Pool{New: func() any { return new(sheet) }}

func (s *sheet) begin() {
	clear(s.length[:])
	s.situations, s.actions, s.deciders = s.situationSpace[:0], s.actionSpace[:0], s.deciderSpace[:0]
}

// position finds v in a table, or appends it. Calls repeat what they used last, so the search starts at the end.
func position[T comparable](table *[]T, v T) uint32 {
	for i, entry := range slices.Backward(*table) {
		if entry == v {
			return uint32(i)
		}
	}
	*table = append(*table, v)
	return uint32(len(*table) - 1)
}
