package warehouse

import (
	"fmt"
	"strings"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// Filter selects calls and segments. The zero Filter selects everything.
type Filter struct {
	Since uint32 // first hour, in hours since 1970-01-01 00:00 UTC; 0 = from the beginning
	Until uint32 // first hour left out; 0 = to the end
	// Origins selects calls by where they took place; none = all. Who asks about people's calls wants OriginCall alone.
	Origins []telemetry.Origin
	// Policy and Experiment select the segments that a policy of this version, or an experiment of this number, decided.
	// Of a call that changed between policies only the matching segments are seen.
	Policy     *uint32
	Experiment *uint32
	// CellCap bounds how many reports of one day, origin, region and network type are read, to bound what a flood of false
	// ones can do; 0 = all. CellGrowth and CellFloor bound a cell further by what is usual for it: to CellGrowth times the
	// median of its earlier days, but not below CellFloor; 0 = not. See the sample in cap.go. None of them applies to what
	// people query.
	CellCap               uint64
	CellGrowth, CellFloor uint64
}

// calls is the condition on the columns of a call.
func (f Filter) calls() string {
	conditions := []string{"1"}
	if f.Since > 0 {
		conditions = append(conditions, fmt.Sprintf("day >= %s AND hour >= %s", sqlDay(f.Since), sqlHour(f.Since)))
	}
	if f.Until > 0 {
		conditions = append(conditions, fmt.Sprintf("day <= %s AND hour < %s", sqlDay(f.Until), sqlHour(f.Until)))
	}
	return strings.Join(append(conditions, f.origins()), " AND ")
}

// origins is the condition on the origin of a call.
func (f Filter) origins() string {
	if len(f.Origins) == 0 {
		return "1"
	}
	names := make([]string, len(f.Origins))
	for i, o := range f.Origins {
		names[i] = "'" + o.String() + "'"
	}
	return "origin IN (" + strings.Join(names, ", ") + ")"
}

// segments is the condition on a segment, given the SQL of its policy and experiment.
func (f Filter) segments(policy, experiment string) string {
	conditions := []string{"1"}
	if f.Policy != nil {
		conditions = append(conditions, fmt.Sprintf("%s = %d", policy, *f.Policy))
	}
	if f.Experiment != nil {
		conditions = append(conditions, fmt.Sprintf("%s = %d", experiment, *f.Experiment))
	}
	return strings.Join(conditions, " AND ")
}

// bySegment reports whether calls without a matching segment are left out.
func (f Filter) bySegment() bool { return f.Policy != nil || f.Experiment != nil }

func sqlDay(hour uint32) string { return sqlDate(hourTime(hour)) }

func sqlDate(day time.Time) string { return "toDate('" + day.Format("2006-01-02") + "')" }

func sqlHour(hour uint32) string {
	return "toDateTime('" + hourTime(hour).Format("2006-01-02 15:04:05") + "', 'UTC')"
}
