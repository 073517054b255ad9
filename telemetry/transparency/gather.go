package transparency

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/response"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// Sources is where the facts come from.
type Sources struct {
	Since, Until time.Time // days in UTC; Until is the first day left out
	Now          time.Time // default: the present
	Program      string    // version of the program, for the report

	Warehouse *warehouse.Warehouse // required
	// MinCell and Retention are the settings in force, where the tables do not tell them. 0 means 50 and 90 days.
	MinCell   int
	Retention time.Duration

	// JetStream is asked for its streams; when it is nil, NoStreams says why. Purposes explains streams by name, besides
	// that of reports.
	JetStream jetstream.JetStream
	NoStreams string
	Purposes  map[string]string

	Policies Policies

	// Log is the text of the log of requests, nil for none; Trusted are the keys it must be signed with.
	Log     []byte
	Trusted []PublicKey
}

const (
	day              = 24 * time.Hour
	defaultMinCell   = 50
	defaultRetention = 90 * day
)

// Validate reports every fault.
func (s *Sources) Validate() error {
	var faults []error
	if s.Warehouse == nil {
		faults = append(faults, errors.New("no warehouse"))
	}
	for _, bound := range []time.Time{s.Since, s.Until} {
		if !bound.Equal(bound.UTC().Truncate(day)) {
			faults = append(faults, fmt.Errorf("%v is not the beginning of a day in UTC", bound))
		}
	}
	if !s.Since.Before(s.Until) {
		faults = append(faults, fmt.Errorf("the period from %s to %s is empty", DayOf(s.Since), DayOf(s.Until)))
	}
	if s.MinCell < 0 || s.Retention < 0 {
		faults = append(faults, errors.New("a smallest cell or a retention below zero"))
	}
	return errors.Join(faults...)
}

// Gather asks every source and writes down what it says. It changes nothing anywhere.
func Gather(ctx context.Context, s Sources) (*Report, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("transparency report: %w", err)
	}
	s.MinCell = cmp.Or(s.MinCell, defaultMinCell)
	s.Retention = cmp.Or(s.Retention, defaultRetention)
	if s.Now.IsZero() {
		s.Now = time.Now()
	}
	holdings, err := s.Warehouse.Holdings(ctx, s.Since, s.Until, s.MinCell)
	if err != nil {
		return nil, fmt.Errorf("transparency report: %w", err)
	}
	s.MinCell = cmp.Or(holdings.MinCell, s.MinCell)
	s.Retention = cmp.Or(holdings.Retention, s.Retention)
	registry, err := loadRegistry()
	if err != nil {
		return nil, fmt.Errorf("transparency report: %w", err)
	}
	r := &Report{
		Format: Format, Program: s.Program, Generated: s.Now.UTC().Truncate(time.Second),
		Since: DayOf(s.Since), Until: DayOf(s.Until),
		About:    about,
		Findings: []Finding{},
		Promises: Promises{MinCell: s.MinCell, RetentionDays: int(s.Retention / day)},
		Fields:   registry.fields(),
		Policies: s.Policies,
		Limits:   limits(),
	}
	r.Database = databaseOf(&holdings, registry)
	r.Held = heldOf(&holdings, s.Retention)
	r.Withheld = withheldOf(&holdings, &r.Held)
	r.Randomized = randomizedOf(&holdings, &r.Held)
	r.Requests = requestsOf(s.Log, s.Trusted, r.Since, r.Until)
	if r.Streams, err = streamsOf(ctx, &s); err != nil {
		return nil, fmt.Errorf("transparency report: %w", err)
	}
	for i := range r.Streams.List {
		if r.Streams.List[i].Name == telemetry.Stream {
			r.Held.Waiting = &r.Streams.List[i].Messages
		}
	}
	r.findings(&s)
	r.Orders = r.orders()
	r.Answer = r.answer()
	r.Checks = checks(&s, &holdings)
	return r, nil
}

func databaseOf(h *warehouse.Holdings, registry *fieldRegistry) Database {
	d := Database{Server: h.Server, Schema: h.Schema, OtherDatabases: orEmpty(h.OtherDatabases), ServerLogs: []ServerLog{}}
	for _, t := range h.Tables {
		table := Table{
			Name: t.Name, Engine: t.Engine, View: t.View, Known: t.Made, Rows: t.Rows, Bytes: t.Bytes,
			RemovedBytes: t.RemovedBytes, Partitions: t.Partitions, Columns: []Column{},
		}
		for _, c := range t.Columns {
			column := Column{Name: c.Name, Type: c.Type}
			switch {
			case t.View: // what it shows is worked out from the tables; it holds nothing
				column.Known = t.Made
			case warehouse.BaseTable(t.Name) == callsTable:
				column.Purpose, column.Known = registry.column(c.Name)
			default:
				column.Purpose, column.Known = warehouse.ColumnPurpose(t.Name, c.Name)
			}
			table.Columns = append(table.Columns, column)
		}
		d.Tables = append(d.Tables, table)
	}
	// What is stored comes first, the reports before all.
	slices.SortStableFunc(d.Tables, func(a, b Table) int { return cmp.Compare(rank(a), rank(b)) })
	for name, rows := range h.ServerLogs {
		d.ServerLogs = append(d.ServerLogs, ServerLog{name, rows})
	}
	slices.SortFunc(d.ServerLogs, func(a, b ServerLog) int { return cmp.Compare(a.Table, b.Table) })
	return d
}

// callsTable is the table of reports.
const callsTable = "calls"

func rank(t Table) int {
	switch {
	case warehouse.BaseTable(t.Name) == callsTable && !t.View:
		return 0
	case !t.View:
		return 1
	default:
		return 2
	}
}

func heldOf(h *warehouse.Holdings, retention time.Duration) Held {
	held := Held{
		Reports: h.Calls.Reports, Refused: h.Rejected.Rows, RefusedOldest: dayOrNone(h.Rejected.Oldest),
		Oldest: dayOrNone(h.Calls.Oldest), Newest: dayOrNone(h.Calls.Newest),
		Reasons: []ReasonCount{}, Days: []DayCount{}, Weeks: []DayCount{},
	}
	if held.Reports > 0 {
		end := warehouse.RetentionEnd(h.Calls.Oldest, retention)
		held.Deletion = &end
	}
	for _, t := range h.Tables {
		held.Bytes += t.Bytes + t.RemovedBytes
	}
	days, weeks := make(map[Day]*DayCount), make(map[Day]*DayCount)
	count := func(at time.Time, c DayCount) {
		monday := warehouse.RetentionEnd(at, 0)
		for _, bin := range []struct {
			of map[Day]*DayCount
			at Day
		}{{days, DayOf(at)}, {weeks, DayOf(monday)}} {
			if bin.of[bin.at] == nil {
				bin.of[bin.at] = &DayCount{Day: bin.at}
			}
			bin.of[bin.at].add(c)
		}
		held.Total.add(c)
	}
	for _, d := range h.Calls.Days {
		count(d.Day, DayCount{Reports: d.Reports, Withheld: d.Withheld, NotGiven: d.NotGiven, Shown: d.Shown, Rated: d.Rated})
	}
	reasons := make(map[telemetry.RejectReason]uint64)
	for _, d := range h.Rejected.Days {
		count(d.Day, DayCount{Refused: d.Reports})
		reasons[d.Reason] += d.Reports
	}
	held.Days, held.Weeks = inOrder(days), inOrder(weeks)
	for reason := range telemetry.RejectReason(telemetry.RejectReasonCount) {
		if n := reasons[reason]; n > 0 {
			held.Reasons = append(held.Reasons, ReasonCount{reason.String(), n})
		}
	}
	return held
}

func inOrder(bins map[Day]*DayCount) []DayCount {
	list := make([]DayCount, 0, len(bins))
	for _, c := range bins {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b DayCount) int { return cmp.Compare(a.Day, b.Day) })
	return list
}

func withheldOf(h *warehouse.Holdings, held *Held) Withheld {
	return Withheld{
		Reports: held.Total.Withheld, NotGiven: held.Total.NotGiven, Shown: held.Total.Shown,
		Cells: h.Calls.Cells, SmallestCell: h.Calls.SmallestCell,
		Groups: h.Calls.Groups, HiddenGroups: h.Calls.HiddenGroups, HiddenReports: h.Calls.HiddenReports,
	}
}

func randomizedOf(h *warehouse.Holdings, held *Held) Randomized {
	stars, flag := math.Exp(response.EpsilonStars), math.Exp(response.EpsilonProblem)
	return Randomized{
		Rated: h.Calls.Rated, RatedPeriod: held.Total.Rated,
		StarsEpsilon: response.EpsilonStars, StarsFactor: rounded(stars), StarsTruth: rounded(response.StarsTruth),
		FlagEpsilon: response.EpsilonProblem, FlagFactor: rounded(flag), FlagTruth: rounded(response.ProblemTruth), Flags: response.Flags,
		Proves: fmt.Sprintf("Nothing about one person. The device threw dice before anything was stored: it keeps the stars the user gave with a "+
			"chance of %.0f %%, and otherwise stores one of the other four at random; of the %d things that can be wrong with a call it drew one by lot and "+
			"told the truth about it with a chance of %.0f %%. Whatever is stored, each possible true rating could have led to it: reading it makes one "+
			"rating at most %.1f times as likely against another as it was before, and one yes against a no likewise (epsilon = %.0f for each, %.0f for both). "+
			"Whoever rates many calls is protected for each of them, not for all of them together; but reports of one person cannot be brought together. "+
			"That a call was rated at all is not hidden.",
			100*response.StarsTruth, response.Flags, 100*response.ProblemTruth, stars, response.EpsilonStars, response.Epsilon),
	}
}

func rounded(v float64) float64 { return math.Round(1000*v) / 1000 }

func dayOrNone(t time.Time) Day {
	if t.IsZero() {
		return ""
	}
	return DayOf(t)
}

// orEmpty keeps a list without entries from being null in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
