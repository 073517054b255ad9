package warehouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// honest are good calls of one day and network, in the company of each other.
func honest(rng *rand.Rand, n int) []telemetry.Report {
	reports := crowd(rng, n, model.NetworkWiFi, "DE")
	for i := range reports {
		r, s := &reports[i], &reports[i].Segments[0]
		r.Dropped, r.Stage, r.LostReports, r.Stars, r.Problem = false, model.StageEnded, 0, 5, 1
		s.Action, s.Propensity, s.Seconds = model.DefaultAction(), 900_000, 60
		s.Outcome = model.Outcome{MOS: model.ScaleMOS.Bucket(4.1 + 0.2*rng.Float64()), LossAfter: 1, Rate: model.ScaleRate.Bucket(40)}
	}
	return reports
}

// forged is a valid report that says the worst of everything, as much of it as a report holds, and that its decisions
// were next to impossible.
func forged(rng *rand.Rand, like telemetry.Report) telemetry.Report {
	r := like
	r.ID = randomReport(rng, 0).ID
	r.LostReports, r.LostSegments, r.Stars, r.Problem = telemetry.MaxLostReports, telemetry.MaxLostSegments, 1, 2
	s := like.Segments[0]
	s.Propensity, s.Seconds = 1, model.MaxSegmentSeconds
	s.Outcome = model.Outcome{MOS: 1, LossAfter: model.Bucket(model.ScaleOutcomeLoss.Buckets()), Rate: model.Bucket(model.ScaleRate.Buckets())}
	r.Segments = slices.Repeat([]model.Segment{s}, telemetry.MaxSegments)
	return r
}

// One false report among 400 true ones moves no figure that people read by more than its share; in particular not as far
// as its small propensities, long times and large counts would.
func TestOneFalseReportMovesNoView(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, empty func(testing.TB) database) {
		const n = 400
		d := empty(t)
		w := d.open()
		if err := w.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(65, 66))
		reports := honest(rng, n)
		insert(t, w, reports...)
		// How far each figure may go: a mean of a scale of 4 by 4 / 400; a median of the honest by next to nothing.
		figures := map[string]float64{
			"calls_daily: median_quality": 0.01, "calls_daily: trimmed_mean_quality": 0.01, "calls_daily: mean_quality": 4. / n,
			"calls_daily: poor_share": 1. / n, "calls_daily: seconds": 2 * 3600, "calls_daily: lost_reports": 100, "calls_daily: died_calls": 0,
			"cells_daily: median_quality": 0.01, "cells_daily: p10_quality": 0.02, "cells_daily: p90_quality": 0.02,
			"cells_daily: trimmed_mean_quality": 0.01, "cells_daily: poor_share": 1. / n, "cells_daily: median_kbps": 0.5, "cells_daily: trimmed_mean_kbps": 1,
			"network_quality: median_quality": 0.01, "network_quality: trimmed_mean_quality": 0.01, "network_quality: mean_quality": 4. / n,
			"network_quality: median_kbps": 0.5, "network_quality: median_loss_after": 0.001, "network_quality: poor_share": 1. / n,
			"call_quality: quantileExact(0.5)(quality)": 0.01, "call_quality: toFloat64(count())": 1,
			"segments: quantileExactWeighted(0.5)(assumeNotNull(mos), toUInt64(1000 * weight))": 0.05,
			"segments: sum(weight)": 100, "segments: max(weight)": 50,
			"ratings_daily: sumIf(estimate, measure = 'mean stars')": 4 / 0.56 / n, // randomized stars tell 0.56 of what was meant
		}
		read := func() map[string]float64 {
			values := make(map[string]float64)
			for figure := range figures {
				view, column, _ := strings.Cut(figure, ": ")
				values[figure] = scalar[float64](t, d.conn, "SELECT toFloat64("+column+") FROM "+view)
			}
			return values
		}
		for _, view := range warehouse.ViewNames() {
			if _, told := slices.BinarySearch([]string{"call_quality", "calls_daily", "cells_daily", "network_quality", "ratings_daily", "segments"}, view); !told && view != "rejects_hourly" {
				t.Errorf("no figure of %s is attacked", view) // rejects_hourly counts, and is moved by one
			}
		}
		before := read()
		insert(t, w, forged(rng, reports[0]))
		for figure, value := range read() {
			if moved := math.Abs(value - before[figure]); !(moved <= figures[figure]+1e-9) {
				t.Errorf("%s went from %v to %v, want at most %v away", figure, before[figure], value, figures[figure])
			}
		}
	})
}

// What the shipped queries print of 2,000 calls holds against two false reports, whatever policy and propensity they name.
func TestFalseReportsOverturnNoQuery(t *testing.T) {
	t.Parallel()
	w, _ := migratedFor(t, 50)
	rng := rand.New(rand.NewPCG(67, 68))
	reports := honest(rng, 2000)
	for i := range reports[:1000] {
		reports[i].Segments[0].Policy = 2
	}
	insert(t, w, reports...)
	ask := func(name string) map[string]any {
		t.Helper()
		for _, q := range warehouse.Queries() {
			if q.Name != name {
				continue
			}
			table, err := w.Ask(t.Context(), q)
			if err != nil || len(table.Rows) != 1 {
				t.Fatalf("%s: %v: %v", name, table, err)
			}
			row := make(map[string]any)
			for i, c := range table.Columns {
				row[c.Name] = table.Rows[0][i]
			}
			return row
		}
		t.Fatalf("no query %s", name)
		return nil
	}
	names := []string{"explored_actions", "overlap", "before_after", "traffic", "poor_networks", "poor_by_week", "worst_cells"}
	before := make(map[string]map[string]any)
	for _, name := range names {
		before[name] = ask(name)
	}
	lie := forged(rng, reports[0])
	for i := range lie.Segments {
		lie.Segments[i].Policy = model.MaxPolicyVersion
	}
	short := lie // with one segment of the greatest weight instead of many
	short.Segments = lie.Segments[:1]
	insert(t, w, short)
	one := ask("explored_actions")
	lie.ID[0]++
	limits := map[string]float64{
		"explored_actions.mean_quality": 0.25, "explored_actions.median_quality": 0.05, "explored_actions.median_kbps": 1,
		"overlap.median_propensity": 0, "before_after.poor_percent_after": 0.2, "before_after.calls_after": 2, "traffic.minutes": 240,
		"traffic.given_up": 200, "poor_networks.poor_percent": 0.2, "poor_networks.median_quality": 0.02, "poor_by_week.poor_percent": 0.2,
		"poor_by_week.median_quality": 0.02, "worst_cells.trimmed_mean": 0.02,
	}
	number := func(v any) float64 {
		var f float64
		if _, err := fmt.Sscan(fmt.Sprint(v), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	insert(t, w, lie)
	for figure, limit := range limits {
		name, column, _ := strings.Cut(figure, ".")
		a, b := number(before[name][column]), number(ask(name)[column])
		if moved := math.Abs(a - b); !(moved <= limit+1e-9) {
			t.Errorf("%s went from %v to %v, want at most %v away", figure, a, b, limit)
		}
	}
	shift := math.Abs(number(one["mean_quality"]) - number(before["explored_actions"]["mean_quality"]))
	if error95 := number(one["error95"]); error95 < shift {
		t.Errorf("one segment moved the estimate by %v, which claims an error of %v", shift, error95)
	}
	if e := number(one["effective"]); e >= 1500 {
		t.Errorf("%v effective segments of 2001, of which one counts as 50", e)
	}
}

// A cell may have a multiple of what is usual for it. A flood in a small cell is cut down although it stays below the
// cap of all cells; a cell without any history has the floor; and before there is a history nothing is cut.
func TestFloodIsHeldToWhatIsUsual(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, empty func(testing.TB) database) {
		w := empty(t).open()
		if err := w.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(69, 70))
		at := func(day uint32, reports []telemetry.Report) []telemetry.Report {
			for i := range reports {
				reports[i].Hour = baseHour + 24*day
			}
			return reports
		}
		usual := warehouse.Filter{CellCap: 100_000, CellGrowth: 4, CellFloor: 50}
		insert(t, w, at(0, flood(rng, 700, model.NetworkWiFi, "DE", 1))...) // the first day: a launch
		if got := taken(readSegments(t, w, usual)); got[1] != 700 {
			t.Errorf("%v of the 700 of the first day were read", got)
		}
		for day := range uint32(5) {
			insert(t, w, at(1+day, flood(rng, 30, model.NetworkWiFi, "DE", 2))...)
		}
		insert(t, w, at(6, flood(rng, 30, model.NetworkWiFi, "DE", 3))...)
		insert(t, w, at(6, flood(rng, 2000, model.NetworkWiFi, "DE", 9))...)
		insert(t, w, at(6, flood(rng, 300, model.Network5G, "TV", 8))...) // nobody calls from there
		simulated := at(6, flood(rng, 400, model.NetworkWiFi, "DE", 7))   // a first day of its own
		for i := range simulated {
			simulated[i].Origin = telemetry.OriginSimulation
		}
		insert(t, w, simulated...)
		got := taken(readSegments(t, w, usual))
		if got[3]+got[9] != 120 || got[8] != 50 || got[2] != 150 || got[1] != 700 || got[7] != 400 {
			t.Errorf("read %v: want 120 of the flooded cell, 4 times its median, and 50 of the one without history", got)
		}
		legs, err := w.CallQualities(t.Context(), usual)
		if err != nil || len(legs) != 700+150+120+50+400 {
			t.Errorf("%d call legs (%v)", len(legs), err)
		}
		// What is usual is asked of the days before those that are read, too.
		got = taken(readSegments(t, w, warehouse.Filter{Since: baseHour + 6*24, CellGrowth: 4, CellFloor: 50}))
		if got[3]+got[9] != 120 || got[8] != 50 {
			t.Errorf("read %v of the last day", got)
		}
	})
}
