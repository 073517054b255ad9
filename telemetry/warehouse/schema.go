package warehouse

import (
	"fmt"
	"strings"

	"github.com/attune-calls/attune/telemetry"
)

// The SQL below is what ClickHouse 18.16 and current servers share: no TTL, CODEC, LowCardinality or Bool. Enumerations
// of a call are Enum8 made from the names in package model; inside the nested segments they are UInt8, which the views
// turn into names.

// callColumns are the columns of calls that come before the segments.
func callColumns() [][2]string {
	return [][2]string{
		{"id", "UUID"}, // random, for this report only: a report delivered twice counts once
		{"day", "Date"},
		{"hour", "DateTime('UTC')"}, // in which the call began
		{"schema", "UInt16"},
		{"stack", "UInt8"},
		{"origin", enum8(originNames[:telemetry.OriginImport])}, // version 1 of the tables knows no imports
		{"network", enum8(networkNames)},                        // where the call began, like the next five
		{"metered", enum8(meteredNames)},
		{"region", "FixedString(2)"},
		{"device", enum8(deviceNames)},
		{"time_of_day", enum8(timeOfDayNames)},
		{"reach", enum8(reachNames)},
		{"stage", enum8(stageNames)},
		{"dropped", "UInt8"},
		{"duration", "UInt8"},  // bucket of telemetry.ScaleDuration
		{"rating", "UInt8"},    // Report.Stars
		{"problems", "UInt16"}, // Report.Problem
		{"refusals", "Array(UInt8)"},
		{"lost_segments", "UInt32"},
		{"lost_reports", "UInt32"},
	}
}

// callsTable makes the table of reports. The sorting key begins with the day, so that reading a stretch of time reads
// little, and ends with the id, by which ReplacingMergeTree drops copies. Partitions are months: a batch of spooled
// reports spans many days, and each partition of a batch costs a file set.
func callsTable(settings string) string {
	var columns []string
	for _, c := range callColumns() {
		columns = append(columns, fmt.Sprintf("    %s %s", c[0], c[1]))
	}
	var nested []string
	for i := range segmentColumns {
		nested = append(nested, fmt.Sprintf("        %s %s", segmentColumns[i].name, segmentColumns[i].sqlType()))
	}
	return "CREATE TABLE IF NOT EXISTS calls (\n" + strings.Join(columns, ",\n") + ",\n    segment Nested(\n" +
		strings.Join(nested, ",\n") + "\n    )\n" +
		") ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, network, id)" + settings
}

// rejectsTable makes the table of refused reports: the hour one arrived, the reason, and its number in the stream,
// which makes one that is delivered twice count once. Nothing else of it is kept.
func rejectsTable(settings string) string {
	return "CREATE TABLE IF NOT EXISTS rejects (\n" +
		"    day Date,\n    hour DateTime('UTC'),\n    reason " + enum8(telemetry.RejectReasons()) + ",\n    sequence UInt64\n" +
		") ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(day) ORDER BY (day, hour, reason, sequence)" + settings
}

// enum8 is the type of an enumeration whose values are 0, 1, 2 and so on.
func enum8(names []string) string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = fmt.Sprintf("'%s' = %d", name, i)
	}
	return "Enum8(" + strings.Join(values, ", ") + ")"
}
