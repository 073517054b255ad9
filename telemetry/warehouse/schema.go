package warehouse

import (
	"fmt"
	"strings"

	"github.com/attune-calls/attune/telemetry"
)

// The SQL below is what ClickHouse 18.16 and current servers share; dialect.go has what only newer servers take.
// Enumerations of a call are Enum8 made from the names in package model; inside the nested segments they are UInt8,
// which the views turn into names.

// The values of the column region_state, the version by which the table engine chooses among copies of a report: one
// that shows its region replaces one that does not.
const (
	regionWithheld = 0 // by ingest: too few reports had the same region and network that day
	regionNotGiven = 1 // by the client
	regionShown    = 2
)

// callsTable makes the table of reports. The sorting key begins with the day, so that reading a stretch of time reads
// little, and ends with the id, by which ReplacingMergeTree drops copies: of copies the one with the greatest
// region_state stays, the last one of equals. Partitions are weeks: retention drops a partition at once, and a batch of
// spooled reports, which spans many days, costs a set of files for each.
func callsTable(f tableForm) string {
	var columns []string
	for _, c := range callColumns() {
		columns = append(columns, fmt.Sprintf("    %s %s%s", c[0], c[1], f.codec(c[0])))
	}
	if f.codecs { // a codec belongs to a column, so the nested ones are written out
		for i := range segmentColumns {
			c := &segmentColumns[i]
			columns = append(columns, fmt.Sprintf("    `segment.%s` Array(%s)%s", c.name, c.sqlType(), f.codec("segment")))
		}
	} else {
		var nested []string
		for i := range segmentColumns {
			nested = append(nested, fmt.Sprintf("        %s %s", segmentColumns[i].name, segmentColumns[i].sqlType()))
		}
		columns = append(columns, "    segment Nested(\n"+strings.Join(nested, ",\n")+"\n    )")
	}
	return f.create(strings.Join(columns, ",\n"), "region_state", "day, network, id")
}

// rejectsTable makes the table of refused reports: the hour one arrived, the reason, and its place in the stream, which
// makes one that is delivered twice count once. Nothing else of it is kept.
func rejectsTable(f tableForm) string {
	columns := "    day Date,\n    hour DateTime('UTC'),\n    reason " + rejectReasons() + ",\n" +
		"    sequence UInt64,\n    position UInt16"
	return f.create(columns, "", "day, hour, reason, sequence, position")
}

// enum8 is the type of an enumeration whose values are 0, 1, 2 and so on.
func enum8(names []string) string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = fmt.Sprintf("'%s' = %d", name, i)
	}
	return "Enum8(" + strings.Join(values, ", ") + ")"
}

// rejectReasons is the type of the column reason.
func rejectReasons() string { return enum8(telemetry.RejectReasons()) }
