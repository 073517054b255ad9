package telemetry

import (
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/model"
)

// The field numbers of schema/report.proto. A test holds them to the generated code.
const (
	fieldSchema       protowire.Number = 1
	fieldIDHigh       protowire.Number = 2
	fieldIDLow        protowire.Number = 3
	fieldHour         protowire.Number = 4
	fieldOrigin       protowire.Number = 5
	fieldStack        protowire.Number = 6
	fieldStage        protowire.Number = 7
	fieldDropped      protowire.Number = 8
	fieldDuration     protowire.Number = 9
	fieldRating       protowire.Number = 10 // version 1 only
	fieldProblems     protowire.Number = 11 // version 1 only
	fieldRefusals     protowire.Number = 12
	fieldSituations   protowire.Number = 13
	fieldActions      protowire.Number = 14
	fieldDeciders     protowire.Number = 15
	fieldSegments     protowire.Number = 16
	fieldLostSegments protowire.Number = 17
	fieldLostReports  protowire.Number = 18
	fieldStars        protowire.Number = 19
	fieldProblem      protowire.Number = 20
)

// The columns of the message Segments, by field number.
const (
	columnPropensity = 1 + iota
	columnCause
	columnExplored
	columnSituation
	columnDecider
	columnAction
	columnPrevious
	columnSeconds
	columnContextRoundTripTime
	columnContextJitter
	columnContextLoss
	columnContextBurst
	columnContextBandwidth
	columnMOS
	columnLossBefore
	columnLossAfter
	columnConcealed
	columnRoundTripTime
	columnJitterBufferDelay
	columnRate

	columnEnd // one past the last
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
