package ingest

import (
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// reportOf is report n of a cell, with one segment in it.
func reportOf(n int, day uint32, region model.Region) telemetry.Report {
	r := telemetry.Report{Schema: telemetry.SchemaVersion, Hour: 24 * day}
	r.ID[0], r.ID[1], r.ID[2] = uint8(n), uint8(n>>8), 1
	r.Context.Region, r.Context.Network = region, model.NetworkWiFi
	r.Segments = []model.Segment{{Context: r.Context}}
	return r
}

// pass takes reports through one block and returns it, and what cells decided.
func pass(c *cells, reports ...telemetry.Report) ([]telemetry.Report, *admission) {
	a := new(admission)
	c.admit(reports, a)
	reports = c.reveal(a, reports)
	c.commit(a)
	return reports, a
}

func shown(reports []telemetry.Report) (n int) {
	for i := range reports {
		if reports[i].Context.Region != 0 {
			n++
		}
	}
	return n
}

func TestCellOpensWithTheKth(t *testing.T) {
	const day = 20_000
	c := newCells(3)
	for n := range 2 {
		if block, a := pass(c, reportOf(n, day, 5)); shown(block) != 0 || !a.withheld[0] || block[0].Segments[0].Context.Region != 0 {
			t.Fatalf("report %d of 3 shows its region", n)
		}
	}
	pass(c, reportOf(0, day, 5)) // again
	pass(c, reportOf(7, day+1, 5), reportOf(8, day, 6))
	block, _ := pass(c, reportOf(2, day, 5))
	if len(block) != 3 || shown(block) != 3 {
		t.Fatalf("the third brought %d reports, %d with their region, want 3", len(block), shown(block))
	}
	for i := range block {
		if block[i].Segments[0].Context.Region != 5 || block[i].Hour != 24*day {
			t.Errorf("%+v", block[i])
		}
	}
	if block, _ := pass(c, reportOf(3, day, 5)); len(block) != 1 || shown(block) != 1 {
		t.Error("the fourth does not show its region")
	}
	if block, _ := pass(c, reportOf(10, day, 9), reportOf(11, day, 9), reportOf(12, day, 9)); len(block) != 3 || shown(block) != 3 {
		t.Error("three reports of one block do not open their cell")
	}
	left := c.days[day+1][place{0, 5, model.NetworkWiFi}].size + c.days[day][place{0, 6, model.NetworkWiFi}].size
	if c.size != left || left == 0 {
		t.Errorf("%d bytes are pending, want the %d of two reports", c.size, left)
	}
}

// Simulated and imported reports give a real one no company, and real ones none to them.
func TestCellIsOfOneOrigin(t *testing.T) {
	const day = 20_000
	c := newCells(3)
	from := func(n int, origin telemetry.Origin) telemetry.Report {
		r := reportOf(n, day, 5)
		r.Origin = origin
		return r
	}
	for n := range 49 {
		pass(c, from(n, telemetry.OriginSimulation))
	}
	for n := range 2 {
		if block, a := pass(c, from(100+n, telemetry.OriginCall)); shown(block) != 0 || !a.withheld[0] {
			t.Fatalf("call %d of 3 shows its region among 49 simulated ones", n)
		}
	}
	if block, _ := pass(c, from(200, telemetry.OriginImport)); shown(block) != 0 {
		t.Error("an imported call shows its region among others")
	}
	if block, _ := pass(c, from(102, telemetry.OriginCall)); len(block) != 3 || shown(block) != 3 {
		t.Errorf("the third call brought %d reports, %d with their region, want 3", len(block), shown(block))
	}
}

// The local time of day goes with the region and comes back with it: beside the hour in UTC it tells the time zone.
func TestTimeOfDayGoesWithTheRegion(t *testing.T) {
	const day = 20_000
	c := newCells(2)
	from := func(n int) telemetry.Report {
		r := reportOf(n, day, 5)
		r.Context.TimeOfDay, r.Segments[0].Context.TimeOfDay = 3, 3
		return r
	}
	if block, _ := pass(c, from(0)); block[0].Context.TimeOfDay != 0 || block[0].Segments[0].Context.TimeOfDay != 0 {
		t.Errorf("%+v tells its time zone", block[0])
	}
	moved := from(1)
	moved.Segments = append(moved.Segments, moved.Segments[0])
	moved.Segments[1].Context.Network = model.Network4G // a cell that is not open
	block, _ := pass(c, moved)
	if len(block) != 2 {
		t.Fatalf("%d reports are stored, want 2", len(block))
	}
	for i := range block {
		if block[i].Context.TimeOfDay != 3 || block[i].Segments[0].Context.TimeOfDay != 3 {
			t.Errorf("%+v shows its region and not its time of day", block[i])
		}
	}
	if g := block[0].Segments[1].Context; g.Region != 0 || g.TimeOfDay != 0 {
		t.Errorf("a segment in a small cell tells where it was: %+v", g)
	}
	given := from(2)
	given.Context.Region, given.Segments[0].Context.Region = 0, 0 // by the client, which told its time of day all the same
	if block, _ := pass(c, given); block[0].Context.TimeOfDay != 3 {
		t.Error("what a client gave without a region is gone")
	}
}

// One block may be on its way to open a cell: others must not build on it before it is stored.
func TestOpeningIsNotOpen(t *testing.T) {
	const day = 20_000
	c := newCells(2)
	pass(c, reportOf(0, day, 5))
	first, second := new(admission), new(admission)
	one := []telemetry.Report{reportOf(1, day, 5)}
	c.admit(one, first)
	two := []telemetry.Report{reportOf(2, day, 5), reportOf(3, day, 5)}
	c.admit(two, second)
	if shown(one) != 1 || shown(two) != 0 {
		t.Fatalf("%d of the first and %d of the second show their region, want 1 and 0", shown(one), shown(two))
	}
	c.commit(second)
	c.abort(first) // and nobody knows whether it is stored
	block, _ := pass(c)
	if len(block) != 3 || shown(block) != 3 { // reports 0, 2 and 3; report 1 goes back to the stream
		t.Errorf("%d reports are stored again, %d with their region", len(block), shown(block))
	}
	if c.waiting() || c.size != 0 {
		t.Errorf("%d bytes are still pending", c.size)
	}
}

// The memory for pending reports is bounded. The earliest days make room, and never a region is shown too early.
func TestPendingIsBounded(t *testing.T) {
	const k = 10
	c := newCells(k)
	c.maxBytes, c.maxCells, c.maxRevealed = 8_000, 50, 1000
	table := make(map[uint32]map[model.Region]map[telemetry.ReportID]bool)
	for n := range 20_000 {
		// Days pass; regions from 1 to 30, the low ones much more often.
		day := 20_000 + uint32(n/2000) - uint32(n%3)
		block, _ := pass(c, reportOf(n, day, model.Region(1+(n*n%31)*(n%7)/6)))
		seen := make(map[model.Region]map[uint32]int)
		for i := range block {
			r := &block[i]
			region, day := r.Context.Region, dayOf(r.Hour)
			if region == 0 {
				continue
			}
			if table[day] == nil {
				table[day] = make(map[model.Region]map[telemetry.ReportID]bool)
			}
			if table[day][region] == nil {
				table[day][region] = make(map[telemetry.ReportID]bool)
			}
			table[day][region][r.ID] = true
			if seen[region] == nil {
				seen[region] = make(map[uint32]int)
			}
			seen[region][day]++
		}
		for region, days := range seen {
			for day := range days {
				if shown := len(table[day][region]); shown < k {
					t.Fatalf("after report %d, %d of day %d show region %d", n, shown, day, region)
				}
			}
		}
		if c.size > c.maxBytes || c.number > c.maxCells || c.size < 0 {
			t.Fatalf("%d bytes in %d cells are pending", c.size, c.number)
		}
	}
	if len(table) < 10 {
		t.Errorf("regions of %d days were shown, want at least 10", len(table))
	}
	c.expire(30_000)
	if c.size != 0 || c.number != 0 || len(c.days) != 0 {
		t.Errorf("%d bytes in %d cells are left of days that are gone", c.size, c.number)
	}
}
