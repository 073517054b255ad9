package transparency

import (
	"fmt"
	"strings"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// findings compares what exists with what is promised.
func (r *Report) findings(s *Sources) {
	serious := func(where, what, action string) { r.Findings = append(r.Findings, Finding{true, where, what, action}) }
	note := func(where, what, action string) { r.Findings = append(r.Findings, Finding{false, where, what, action}) }

	for _, t := range r.Database.Tables {
		switch {
		case t.View && !t.Known:
			note("view "+t.Name, "This program did not make it. It stores nothing itself.", "Find out who made it and what it shows.")
		case !t.View && !t.Known:
			serious("table "+t.Name, fmt.Sprintf("This program did not make it, and cannot say what it holds: %d rows, columns %s.",
				t.Rows, strings.Join(columnNames(t.Columns), ", ")), "Find out who made it, and drop it or explain it to those it is about.")
		case !t.View:
			for _, c := range t.Columns {
				if !c.Known {
					serious("column "+t.Name+"."+c.Name, fmt.Sprintf("The registry of fields does not know it. Its type is %s.", c.Type),
						"Find out what writes it. Drop it, or declare it in the registry with a purpose.")
				}
			}
		}
	}
	if r.Held.Deletion != nil && r.Generated.After(r.Held.Deletion.Add(grace)) {
		serious("table "+callsTable, fmt.Sprintf("Its oldest report, of %s, should have been deleted by %s.", r.Held.Oldest, stamp(*r.Held.Deletion)),
			"Start \"attune ingest\" or \"attune up\": they delete what is past its time.")
	}
	if oldest, err := time.Parse(time.DateOnly, string(r.Held.RefusedOldest)); err == nil { // there are any
		if end := warehouse.RetentionEnd(oldest, s.Retention); r.Generated.After(end.Add(grace)) {
			serious("table rejects", fmt.Sprintf("What it counts of %s should have been deleted by %s.", r.Held.RefusedOldest, stamp(end)),
				"Start \"attune ingest\" or \"attune up\": they delete what is past its time.")
		}
	}
	if w := r.Withheld; w.Cells > 0 && w.SmallestCell < uint64(r.Promises.MinCell) {
		serious("table "+callsTable, fmt.Sprintf("A region is stored for a cell of %d reports, fewer than k = %d.", w.SmallestCell, r.Promises.MinCell),
			"Was k lower when they were stored, or stored by a version that counted simulated and real calls together? They are deleted with their week.")
	}
	for _, f := range r.Fields {
		if f.Expires != "" && f.Expires <= DayOf(s.Now) {
			serious("field "+f.Name, "It expired on "+string(f.Expires)+" and is still collected.", "Decide whether its purpose still holds, or retire it.")
		} else if f.Review != "" && f.Review <= DayOf(s.Now) {
			note("field "+f.Name, "Its review was due on "+string(f.Review)+".", "Look whether its purpose still holds.")
		}
	}
	switch r.Requests.State {
	case LogAltered:
		serious("log of requests", "It is not what was signed: "+r.Requests.Fault+".", "Restore it from a copy whose last hash was published.")
	case LogUnanchored:
		note("log of requests", "No public key was given, so the log shows that it is whole, not who signed it.", "Give the public key with --key.")
	}
	for _, stream := range r.Streams.List {
		if stream.Purpose == "" {
			note("stream "+stream.Name, "This program did not make it and cannot say what it holds.", "Find out who did, and what is in it.")
		}
		if stream.Name == telemetry.Stream && stream.MaxAge == 0 {
			serious("stream "+stream.Name, "It has no limit of age: a report that nobody takes would wait for ever.", "Start \"attune ingest\": it sets the limit.")
		}
	}
	for _, log := range r.Database.ServerLogs {
		note("table system."+log.Table, fmt.Sprintf("ClickHouse keeps a log of its own work with %d rows: queries, and the addresses of the programs that asked. "+
			"No call client is among them.", log.Rows), "Switch it off, or bound its age, in the server's configuration.")
	}
}

// grace is how long after its time a week may still be there: ingest looks for it every so often.
const grace = day

func columnNames(columns []Column) []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	return names
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
