package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry/internal/registry"
)

// added is a field without a fault but the one in question: it has a purpose, a reason to be wide, dates, and is new.
func added(name string, f registry.Field) registry.Field {
	f.Name, f.Since = name, 2
	f.Says, f.Purpose, f.NotStored = "something new", "it would be good to know", "it is only passed on"
	f.Review, f.Expires = registry.Date{Time: time.Date(2027, 11, 30, 0, 0, 0, 0, time.UTC)}, registry.Date{Time: time.Date(2028, 5, 31, 0, 0, 0, 0, time.UTC)}
	if f.Type == registry.TypeCounter && f.Max-f.Min >= 128 {
		f.Wide = "it is really needed that wide"
	}
	return f
}

func counter(low, high uint64, unit string) registry.Field {
	return registry.Field{Type: registry.TypeCounter, Min: low, Max: high, Unit: unit}
}

// additions would each let in what no field may hold, with the one sentence that must keep it out.
var additions = map[string]struct {
	message string
	fields  []registry.Field
	told    string
}{
	"raw bytes": {"Report", []registry.Field{added("extra", registry.Field{
		Type: registry.TypeCounter, Repeated: true, Max: 255, Unit: "policies",
	})}, "Report.extra: is a list of values, which could hold text or raw bytes"},
	"text of letters": {"Report", []registry.Field{added("extra", registry.Field{
		Type: registry.TypeEnum, List: "Region", Repeated: true,
	})}, "Report.extra: is a list of values, which could hold text or raw bytes"},
	"a list in a table": {"Situation", []registry.Field{added("extra", registry.Field{
		Type: registry.TypeFlag, Repeated: true,
	})}, "Situation.extra: is a list of values"},
	"counts by a list": {"Report", []registry.Field{added("extra", registry.Field{
		Type: registry.TypeCounter, Repeated: true, Each: "Stage", Max: 255, Unit: "policies",
	})}, "message Report: can hold 203.4 bits of information, its budget is 156"},
	"a byte for each segment": {"Segments", []registry.Field{added("extra", registry.Field{
		Type: registry.TypeCounter, Repeated: true, Max: 120, Unit: "s",
	})}, "message Segments: can hold"},
	"an id in three parts": {"Report", []registry.Field{
		added("part_a", counter(0, 1<<20-1, "version")), added("part_b", counter(0, 1<<20-1, "version")), added("part_c", counter(0, 1<<20-1, "version")),
	}, "message Report: can hold 215.4 bits of information, its budget is 156"},
	"the same by name": {"Report", []registry.Field{added("install_a", counter(0, 1<<20-1, "version"))}, "named like something that points at a person"},
	"an id in flags": {"Report", []registry.Field{
		added("part_a", registry.Field{Type: registry.TypeFlags, List: "ProblemFlag"}), added("part_b", registry.Field{Type: registry.TypeFlags, List: "ProblemFlag"}),
	}, "message Report: can hold 171.4 bits"},
	"the minute":             {"Report", []registry.Field{added("minute", counter(0, 59, "min"))}, "tells no time finer than the hour"},
	"the second":             {"Report", []registry.Field{added("second", counter(0, 59, "s"))}, "tells no time finer than the hour"},
	"the minute in disguise": {"Report", []registry.Field{added("offset", counter(0, 59, "segments"))}, "message Report: can hold 161.3 bits"},
	"the minute of segments": {"Segments", []registry.Field{added("minute", registry.Field{
		Type: registry.TypeCounter, Repeated: true, Max: 59, Unit: "min",
	})}, "tells no time finer than the hour"},
	"the latitude":             {"Situation", []registry.Field{added("lat", counter(0, 1<<20-1, "version"))}, "\"version\", which is not one of the units of Situation"},
	"the latitude by name":     {"Situation", []registry.Field{added("lat", counter(0, 1<<20-1, "version"))}, "named like something that points at a person"},
	"the latitude by budget":   {"Situation", []registry.Field{added("north", counter(0, 1<<20-1, "version"))}, "message Situation: can hold 38.9 bits"},
	"a subscriber":             {"Situation", []registry.Field{added("subscriber", counter(0, 1<<20-1, "version"))}, "named like something that points at a person"},
	"a city":                   {"Situation", []registry.Field{added("part", registry.Field{Type: registry.TypeEnum, List: "Region"})}, "Situation.part: can have 250 values, more than 128"},
	"a second table":           {"Report", []registry.Field{added("extra", registry.Field{Type: registry.TypeTable, Of: "Action", Max: 512})}, "is a second table of Action"},
	"a table without end":      {"Report", []registry.Field{added("extra", registry.Field{Type: registry.TypeTable, Of: "Action", Max: 513})}, "a table has at most 512"},
	"a report in a report":     {"Report", []registry.Field{added("extra", registry.Field{Type: registry.TypeTable, Of: "Pack", Max: 1})}, "only Report has tables, of what its segments point at"},
	"a table in a pack":        {"Pack", []registry.Field{added("extra", registry.Field{Type: registry.TypeTable, Of: "Decider", Max: 9})}, "only Report has tables"},
	"a message in a situation": {"Situation", []registry.Field{added("extra", registry.Field{Type: registry.TypeMessage, Of: "Segments"})}, "only Report holds one, Segments"},
	"an index of a report":     {"Report", []registry.Field{added("extra", registry.Field{Type: registry.TypeIndex, Of: "Action", Max: 511})}, "is an index outside Segments"},
	"a flag more":              {"Report", []registry.Field{added("extra", registry.Field{Type: registry.TypeFlag})}, "message Report: can hold 156.4 bits"},
}

// TestNothingPersonalCanBeAdded adds fields that keep every rule of form, and would hold what none may.
func TestNothingPersonalCanBeAdded(t *testing.T) {
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, a := range additions {
		t.Run(name, func(t *testing.T) {
			r := load(t)
			m := r.MessageOf(a.message)
			for i, f := range a.fields {
				f.Number = int32(100 + i)
				m.Fields = append(m.Fields, f)
			}
			if err := r.Check(day); err == nil || !strings.Contains(err.Error(), a.told) {
				t.Errorf("told %v, want %q", err, a.told)
			}
		})
	}
}

// A list with a member for each letter, and a message for them, are of no use either.
func TestNoMessageCanBeAdded(t *testing.T) {
	r := load(t)
	letter := registry.Message{Name: "Letter", About: "one letter", Fields: []registry.Field{added("value", counter(0, 127, "frames"))}}
	letter.Fields[0].Number = 1
	r.Messages = append(r.Messages, letter)
	m := r.MessageOf("Report")
	table := added("letters", registry.Field{Number: 100, Type: registry.TypeTable, Of: "Letter", Max: 200})
	m.Fields = append(m.Fields, table)
	err := r.Check(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	for _, told := range []string{
		"message Letter: has no budget of information", "Report.letters: is a table that no segment points into", "\"frames\", which is not one of the units of Letter",
	} {
		if err == nil || !strings.Contains(err.Error(), told) {
			t.Errorf("told %v, want %q", err, told)
		}
	}
	for i := range 5 { // columns of another message
		columns := registry.Message{Name: fmt.Sprint("More", i), Columns: true, Fields: []registry.Field{added("value", registry.Field{Number: 1, Type: registry.TypeFlag, Repeated: true})}}
		r.Messages = append(r.Messages, columns)
	}
	if err := r.Check(time.Now()); err == nil || !strings.Contains(err.Error(), "More4.value: is in columns: only Segments has them") {
		t.Errorf("other columns: told %v", err)
	}
}

// TestBudgetsAreFull holds the budgets to what the fields need: less than a bit is left over in each message.
func TestBudgetsAreFull(t *testing.T) {
	r := load(t)
	for message, want := range map[string]float64{"Report": 155.4, "Situation": 18.9, "Action": 32.8, "Decider": 48, "Segments": 126.3, "Pack": 0} {
		if bits := r.Bits(r.MessageOf(message)); bits < want-0.1 || bits > want+0.1 {
			t.Errorf("%s can hold %.2f bits, want %.1f", message, bits, want)
		}
	}
}
