package warehouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

// migratedFor is migrated, with views that show groups of minCell reports.
func migratedFor(t testing.TB, minCell int) (*warehouse.Warehouse, driver.Conn) {
	t.Helper()
	dsn := warehousetest.Database(t)
	w, err := warehouse.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if err := w.MigrateWith(t.Context(), warehouse.Settings{MinCell: minCell}); err != nil {
		t.Fatal(err)
	}
	return w, warehousetest.Raw(t, dsn)
}

// list reads a column.
func list[T any](t testing.TB, conn driver.Conn, query string) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	var values []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		values = append(values, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return values
}

// Old servers lose columns of subqueries: every column of every view must also be readable alone.
func TestEveryColumnOfEveryView(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 1)
	rng := rand.New(rand.NewPCG(23, 24))
	for range 20 { // so many that a problem was asked about twice on one day and network
		r := calm(rng, 3)
		r.Hour, r.Context.Network, r.Stars, r.Problem = baseHour, model.NetworkWiFi, 4, 2
		insert(t, w, r)
	}
	if err := w.CountRejects(t.Context(), []warehouse.Reject{{Hour: baseHour, Reason: telemetry.RejectHour, Sequence: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, view := range warehouse.ViewNames() {
		columns := list[string](t, conn, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '"+view+"'")
		if len(columns) == 0 {
			t.Errorf("%s has no columns", view)
		}
		for _, column := range columns {
			if n := scalar[uint64](t, conn, "SELECT count() FROM (SELECT "+column+" FROM "+view+")"); n == 0 {
				t.Errorf("%s.%s gives no row", view, column)
			}
		}
	}
}

// crowd makes n reports of one cell and the same circumstances, each rated and with one segment in the same place.
func crowd(rng *rand.Rand, n int, network model.NetworkType, region string) []telemetry.Report {
	reports := flood(rng, n, network, region, 7)
	for i := range reports {
		r := &reports[i]
		r.Context.Metered, r.Context.Device, r.Context.TimeOfDay, r.Context.Reach = 1, 2, 3, 1
		r.Segments[0].Context = r.Context
		r.Segments[0].Policy, r.Segments[0].Experiment, r.Segments[0].Arm = 3, 0, 0
		r.Stars, r.Problem = uint8(1+i%5), uint8(1+i%2)
	}
	return reports
}

// No view tells anything about fewer than k reports, copies counted once; one more and it does.
func TestViewsSuppressSmallGroups(t *testing.T) {
	t.Parallel()
	const k = 20
	w, conn := migratedFor(t, k)
	rng := rand.New(rand.NewPCG(25, 26))
	small := crowd(rng, k, model.NetworkWiFi, "PT")
	large := slices.Concat(crowd(rng, k, model.Network4G, "DE"), crowd(rng, k-1, model.Network4G, "IS"), crowd(rng, 1, model.Network4G, "FR"))
	var rejects []warehouse.Reject
	for i := range uint64(k) {
		rejects = append(rejects, warehouse.Reject{Hour: baseHour, Reason: telemetry.RejectMalformed, Sequence: i})
	}
	insert(t, w, large...)
	insert(t, w, small[:k-1]...)
	insert(t, w, small[:k-1]...) // copies do not make a group larger
	for range 2 {
		if err := w.CountRejects(t.Context(), rejects[:k-1]); err != nil {
			t.Fatal(err)
		}
	}
	groups := map[string]string{ // what tells whether the small group is there
		"segments": "network = 'wifi'", "call_quality": "network = 'wifi'", "calls_daily": "network = 'wifi'",
		"cells_daily": "network = 'wifi'", "network_quality": "network = 'wifi'", "ratings_daily": "network = 'wifi'",
		"rejects_hourly": "1",
	}
	if got, want := len(groups), len(warehouse.ViewNames()); got != want {
		t.Fatalf("%d views are looked at, there are %d", got, want)
	}
	for view, condition := range groups {
		if n := scalar[uint64](t, conn, "SELECT count() FROM "+view+" WHERE "+condition); n != 0 {
			t.Errorf("%s shows %d rows about %d reports", view, n, k-1)
		}
		if n := scalar[uint64](t, conn, "SELECT count() FROM "+view); n == 0 && view != "rejects_hourly" {
			t.Errorf("%s shows nothing", view)
		}
	}
	regions := "SELECT DISTINCT region FROM %s WHERE network = '4g' ORDER BY region"
	for view, want := range map[string][]string{"segments": {"DE", "ZZ"}, "call_quality": {"DE", "ZZ"}, "cells_daily": {"DE"}} {
		if diff := cmp.Diff(want, list[string](t, conn, fmt.Sprintf(regions, view))); diff != "" {
			t.Errorf("%s: regions, one of them of %d reports: %s", view, k-1, diff)
		}
	}

	insert(t, w, small[k-1])
	if err := w.CountRejects(t.Context(), rejects[k-1:]); err != nil {
		t.Fatal(err)
	}
	for view, condition := range groups {
		if n := scalar[uint64](t, conn, "SELECT count() FROM "+view+" WHERE "+condition); n == 0 {
			t.Errorf("%s shows nothing about %d reports", view, k)
		}
	}
}

// The views follow k.
func TestViewsAreMadeAgainForAnotherK(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 1)
	insert(t, w, crowd(rand.New(rand.NewPCG(27, 28)), 30, model.NetworkWiFi, "PT")...)
	for _, step := range []struct{ k, want int }{{30, 30}, {31, 0}, {1, 30}} {
		if err := w.Loosen(t.Context(), warehouse.Settings{MinCell: step.k}); err != nil {
			t.Fatal(err)
		}
		if n := scalar[uint64](t, conn, "SELECT count() FROM segments"); n != uint64(step.want) {
			t.Errorf("k = %d: %d segments are shown, want %d", step.k, n, step.want)
		}
	}
}

// A segment may have met a smaller cell than its call began in. It is shown where enough calls made the same move, and
// without its region.
func TestSegmentsOfCallsThatMoved(t *testing.T) {
	t.Parallel()
	const k = 10
	w, conn := migratedFor(t, k)
	rng := rand.New(rand.NewPCG(29, 30))
	insert(t, w, crowd(rng, k, model.NetworkWiFi, "DE")...)
	moved := crowd(rng, k, model.NetworkWiFi, "DE")
	for i := range moved {
		there := moved[i].Segments[0]
		there.Context.Network, there.Context.Region = model.Network5G, model.Region(9)
		moved[i].Segments = append(moved[i].Segments, there, there)
	}
	insert(t, w, moved[:k-1]...)
	const shown = "SELECT concat(segment_network, ' ', region, ' ', metered) AS place FROM segments GROUP BY place ORDER BY place"
	if diff := cmp.Diff([]string{"wifi DE no"}, list[string](t, conn, shown)); diff != "" {
		t.Errorf("%d calls moved: %s", k-1, diff)
	}
	insert(t, w, moved[k-1])
	if diff := cmp.Diff([]string{"5g ZZ unknown", "wifi DE no"}, list[string](t, conn, shown)); diff != "" {
		t.Errorf("%d calls moved: %s", k, diff)
	}
}

// Every row of calls and segments says of who called from where what at least k reports say, all of it taken together;
// and no more is withheld than that takes.
func TestRowsAreShownInCompany(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, empty func(testing.TB) database) {
		const k, n = 12, 1500
		d := empty(t)
		w := d.open()
		if err := w.MigrateWith(t.Context(), warehouse.Settings{MinCell: k}); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(33, 34))
		few := func(n int) uint8 { return uint8(rng.IntN(1 + rng.IntN(n))) } // the low ones more often
		var reports []telemetry.Report
		for range n {
			r := randomReport(rng, 1)
			r.Hour, r.Origin = baseHour+24*uint32(few(3)), telemetry.Origin(1+few(3))
			r.Context = model.Context{
				Network: model.NetworkType(1 + few(4)), Metered: model.Metered(1 + few(2)), Region: model.Region(few(6)), Device: model.DeviceClass(1 + few(2)),
				TimeOfDay: model.TimeOfDay(1 + few(3)), Reach: model.ReachUDP,
			}
			r.Segments[0].Context = r.Context
			reports = append(reports, r)
		}
		insert(t, w, reports...)
		insert(t, w, reports[:n/2]...)
		for view, said := range map[string]string{
			"call_quality": "day, origin, network, region, metered",
			"segments":     "day, origin, network, segment_network, region, metered, device, time_of_day, reach",
		} {
			if least := scalar[uint64](t, d.conn, "SELECT min(n) FROM (SELECT count() AS n FROM "+view+" GROUP BY "+said+")"); least < k {
				t.Errorf("%s has rows that only %d reports share, want %d", view, least, k)
			}
			for what, condition := range map[string]string{"all": "metered != 'unknown'", "a region": "metered = 'unknown' AND region != 'ZZ'", "none": "region = 'ZZ'"} {
				if scalar[uint64](t, d.conn, "SELECT count() FROM "+view+" WHERE "+condition) == 0 {
					t.Errorf("%s has no row with %s: this shows little", view, what)
				}
			}
			if rows := scalar[uint64](t, d.conn, "SELECT count() FROM "+view); rows < n*4/5 || rows == n {
				t.Errorf("%s shows %d of %d reports, want most and not all", view, rows, n)
			}
		}
	})
}

// Simulated and imported calls are no company for real ones, in any view.
func TestCallsOfOneOriginAreCountedAlone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, empty func(testing.TB) database) {
		const k = 20
		d := empty(t)
		w := d.open()
		if err := w.MigrateWith(t.Context(), warehouse.Settings{MinCell: k}); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(35, 36))
		reports := crowd(rng, 5*k, model.NetworkWiFi, "DE")
		for i := range reports {
			reports[i].Origin, reports[i].Problem = telemetry.OriginSimulation, 1
		}
		real := crowd(rng, k, model.NetworkWiFi, "DE")
		for i := range real {
			real[i].Problem = 1
		}
		insert(t, w, reports...)
		insert(t, w, real[:k-1]...)
		count := func(view, origin string) uint64 {
			return scalar[uint64](t, d.conn, "SELECT count() FROM "+view+" WHERE origin = '"+origin+"'")
		}
		for _, view := range warehouse.ViewNames() {
			if view == "rejects_hourly" {
				continue
			}
			if n := count(view, "call"); n != 0 || count(view, "simulation") == 0 {
				t.Errorf("%s has %d rows of %d real calls among simulated ones", view, n, k-1)
			}
		}
		insert(t, w, real[k-1])
		for _, view := range warehouse.ViewNames() {
			if view != "rejects_hourly" && count(view, "call") == 0 {
				t.Errorf("%s shows nothing of %d real calls", view, k)
			}
		}
	})
}

// A figure that fewer than k reports have a share in is not shown, though their group is.
func TestFiguresOfFewAreNotShown(t *testing.T) {
	t.Parallel()
	const k = 20
	w, conn := migratedFor(t, k)
	reports := crowd(rand.New(rand.NewPCG(37, 38)), 3*k, model.NetworkWiFi, "DE")
	for i := range reports {
		r := &reports[i]
		r.Dropped, r.Stage, r.Problem = false, model.StageEnded, uint8(1+2*(i%3)) // each problem asked k times
		if i >= k-1 {
			r.Segments[0].Outcome = model.Outcome{}
		} else {
			r.Segments[0].Outcome = model.Outcome{MOS: 9, Rate: 9, LossAfter: 3}
		}
	}
	insert(t, w, reports[:3*k-1]...)
	figures := map[string]string{
		"cells_daily":     "median_quality, p10_quality, p90_quality, trimmed_mean_quality, poor_share, median_kbps, trimmed_mean_kbps",
		"calls_daily":     "mean_quality, median_quality, trimmed_mean_quality, poor_share",
		"network_quality": "mean_quality, median_quality, trimmed_mean_quality, mean_kbps, median_kbps, mean_loss_after, median_loss_after, poor_share",
	}
	for view, columns := range figures {
		for column := range strings.SplitSeq(columns, ", ") {
			if v := scalar[float64](t, conn, "SELECT "+column+" FROM "+view); !math.IsNaN(v) {
				t.Errorf("%s.%s is %v of %d reports", view, column, v, k-1)
			}
		}
	}
	problems := "SELECT count() FROM ratings_daily WHERE measure LIKE 'problem%'"
	if n := scalar[uint64](t, conn, problems); n != 2 {
		t.Errorf("%d problems are told of, want the two that %d reports were asked about", n, k)
	}
	more := reports[3*k-1]
	more.Segments[0].Outcome = model.Outcome{MOS: 9, Rate: 9, LossAfter: 3}
	insert(t, w, more)
	for view, columns := range figures {
		for column := range strings.SplitSeq(columns, ", ") {
			if v := scalar[float64](t, conn, "SELECT "+column+" FROM "+view); math.IsNaN(v) {
				t.Errorf("%s.%s is not told of %d reports", view, column, k)
			}
		}
	}
	if n := scalar[uint64](t, conn, problems); n != 3 {
		t.Errorf("%d problems are told of, want 3", n)
	}
}

// A report stored without its region and later with it counts once, with it, whichever copy came first.
func TestViewsPreferTheCopyWithARegion(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 5)
	reports := crowd(rand.New(rand.NewPCG(31, 32)), 8, model.NetworkWiFi, "DE")
	hidden := slices.Clone(reports)
	for i := range hidden {
		hidden[i].Context.Region = model.RegionWithheld
	}
	withheld := slices.Repeat([]bool{true}, 4)
	for _, step := range []func() error{
		func() error {
			return w.InsertBlock(t.Context(), warehouse.Block{Reports: hidden[:4], Withheld: withheld})
		},
		func() error { return w.Insert(t.Context(), reports) },
		func() error {
			return w.InsertBlock(t.Context(), warehouse.Block{Reports: hidden[4:], Withheld: withheld})
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]uint64{
		"SELECT sum(reports) FROM cells_daily":                     8,
		"SELECT sum(reports) FROM cells_daily WHERE region = 'DE'": 8,
		"SELECT count() FROM call_quality WHERE region = 'DE'":     8,
		"SELECT count() FROM call_quality":                         8,
		"SELECT count() FROM segments":                             8,
		"SELECT sum(calls) FROM calls_daily":                       8,
		"SELECT max(rated) FROM ratings_daily":                     8,
		"SELECT toUInt64(sum(calls)) FROM network_quality":         8,
		"SELECT count() FROM cells_daily WHERE region = 'ZZ'":      0,
		"SELECT count() FROM segments WHERE propensity > 1":        0,
		"SELECT count() FROM system.columns WHERE name = 'id' AND table = 'segments' AND database = currentDatabase()": 0,
	} {
		if got := scalar[uint64](t, conn, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}
