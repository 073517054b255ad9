package telemetry

import (
	"slices"

	"github.com/attune-calls/attune/model"
)

// Field is one entry of the registry (schema/registry.yaml): one field a report can have. A report has no others.
type Field struct {
	Message string // of the schema: Report, Situation, Action, Decider, Segments or Pack
	Name    string
	Number  int32  // on the wire
	Type    string // enum, flags, bucket, counter, flag, index, id, table or message
	Of      string // message that a table or message holds, or that an index points into

	Repeated bool
	Names    []string     // of an enum's or flags' members; the position is the value, or the bit
	Each     []string     // names of the positions of a repeated counter
	Scale    *model.Scale // of a bucket
	Unit     string       // of a counter or a scale
	Min, Max uint64       // of the value on the wire; Max of a table is its entries
	Values   []uint64     // when only these

	Says           string // what it holds
	Purpose        string // why it is collected
	Since, Retired uint16 // versions of the schema; Retired 0 = still sent
	Review         string // the day, such as 2027-01-31, by which somebody decides anew
	Expires        string // the day after which it is no longer sent
	Epsilon        float64
	Columns        []string // of the warehouse that it is stored in, such as "calls.origin"

	scale string
}

// Fields lists every field a report can have, in the order of the registry, the retired ones included.
func Fields() []Field {
	fields := slices.Clone(fieldTable[:])
	for i := range fields {
		fields[i].Scale = scaleOf(fields[i].scale)
	}
	return fields
}
