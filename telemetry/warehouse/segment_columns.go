package warehouse

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/attune-calls/attune/model"
)

// segmentColumn is one column of the nested segments: its name and type in the table, where it is in a model.Segment,
// and how people read it. The table, the insert, the read for training and the view of segments all come from one
// list, so they cannot disagree.
type segmentColumn struct {
	name  string
	u8    func(*model.Segment) *uint8 // exactly one of u8, flag, u16 and u32 is set
	flag  func(*model.Segment) *bool
	u16   func(*model.Segment) *uint16
	u32   func(*model.Segment) *uint32
	names []string     // of an enumeration
	scale *model.Scale // of a bucket
}

// sqlType is the type of one value.
func (c *segmentColumn) sqlType() string {
	switch {
	case c.u32 != nil:
		return "UInt32"
	case c.u16 != nil:
		return "UInt16"
	default:
		return "UInt8"
	}
}

// target is where a value of the column goes in s, as a type clickhouse-go scans into.
func (c *segmentColumn) target(s *model.Segment) any {
	switch {
	case c.u8 != nil:
		return c.u8(s)
	case c.flag != nil:
		return c.flag(s)
	case c.u16 != nil:
		return c.u16(s)
	default:
		return c.u32(s)
	}
}

// readable is the SQL that turns the stored value into what people read: the name of an enumeration's value, or the
// middle of a bucket in the unit of its scale, NULL where nothing was measured.
func (c *segmentColumn) readable(stored string) string {
	switch {
	case c.names != nil:
		return nameOf(c.names, stored)
	case c.scale != nil:
		return valueOf(c.scale, stored)
	default:
		return stored
	}
}

// nameOf is SQL for the name of the value an expression stands for.
func nameOf(names []string, stored string) string {
	return fmt.Sprintf("['%s'][%s + 1]", strings.Join(names, "', '"), stored)
}

// valueOf is SQL for the middle of a bucket, NULL for bucket 0.
func valueOf(scale *model.Scale, stored string) string {
	return fmt.Sprintf("if(%s = 0, NULL, %s[%s])", stored, middles(scale), stored)
}

// middles is an SQL array of the middles of a scale's buckets 1 and up.
func middles(scale *model.Scale) string {
	values := make([]string, scale.Buckets())
	for i := range values {
		values[i] = sqlFloat(scale.Value(model.Bucket(i + 1)))
	}
	return "[" + strings.Join(values, ", ") + "]"
}

// sqlFloat writes a number so that it reads back as the same Float64, and never as an integer type.
func sqlFloat(v float64) string {
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
