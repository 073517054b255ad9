package warehouse_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// withheld are copies of reports without their regions.
func withheld(reports []telemetry.Report) warehouse.Block {
	b := warehouse.Block{}
	for _, r := range reports {
		r.Context.Region = model.RegionWithheld
		segments := make([]model.Segment, len(r.Segments))
		copy(segments, r.Segments)
		for i := range segments {
			segments[i].Context.Region = model.RegionWithheld
		}
		r.Segments = segments
		b.Reports, b.Withheld = append(b.Reports, r), append(b.Withheld, true)
	}
	return b
}

// Of the copies of a report one that shows its region counts, whatever the order in which they came, before and after
// the server merges.
func TestTheCopyThatShowsItsRegionWins(t *testing.T) {
	t.Parallel()
	onBoth(t, testTheCopyThatShowsItsRegionWins)
}

func testTheCopyThatShowsItsRegionWins(t *testing.T, empty func(testing.TB) database) {
	d := empty(t)
	w, conn := d.open(), d.conn
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	reports := randomReports(rand.New(rand.NewPCG(31, 32)), 60, 2)
	for i := range reports {
		reports[i].Context.Region = model.Region(i % 5) // 0 is not given
		for j := range reports[i].Segments {
			reports[i].Segments[j].Context.Region = reports[i].Context.Region
		}
	}
	blocks := []warehouse.Block{{Reports: reports}, withheld(reports[:40]), withheld(reports[20:])}
	orders := [][]int{{0, 1, 2}, {1, 0, 2}, {2, 1, 0}}
	for n, order := range orders {
		part := func(b warehouse.Block) warehouse.Block { // a third of the reports for each order
			var p warehouse.Block
			for i := range b.Reports {
				if int(b.Reports[i].ID[0])%len(orders) == n {
					p.Reports = append(p.Reports, b.Reports[i])
					if b.Withheld != nil {
						p.Withheld = append(p.Withheld, b.Withheld[i])
					}
				}
			}
			return p
		}
		for _, i := range order {
			if err := w.InsertBlock(t.Context(), part(blocks[i])); err != nil {
				t.Fatal(err)
			}
		}
	}
	hidden := withheld(randomReports(rand.New(rand.NewPCG(33, 34)), 5, 1))
	if err := w.InsertBlock(t.Context(), hidden); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		shown := make(map[string]string)
		for i := range reports {
			state, region := 2, reports[i].Context.Region
			if region == 0 {
				state = 1
			}
			shown[reports[i].ID.String()] = fmt.Sprintf("%v | %d | [%d %d]", region, state, uint16(region), uint16(region))
		}
		for i := range hidden.Reports {
			shown[hidden.Reports[i].ID.String()] = "ZZ | 0 | [0]"
		}
		rows := rowsOf(t, conn, "SELECT lower(hex(UUIDStringToNum(toString(id)))), region, region_state, segment.region FROM calls FINAL")
		if len(rows) != len(shown) {
			t.Errorf("%d rows, want %d", len(rows), len(shown))
		}
		for _, row := range rows {
			id, got, _ := strings.Cut(row, " | ")
			if got != shown[id] {
				t.Errorf("report %s is %s, want %s", id, got, shown[id])
			}
		}
		counts, err := w.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if counts.Reports != uint64(len(shown)) || counts.Segments != uint64(2*len(reports)+len(hidden.Reports)) {
			t.Errorf("%+v", counts)
		}
	}
	check()
	execute(t, conn, "OPTIMIZE TABLE calls FINAL")
	check()
	if err := w.InsertBlock(t.Context(), withheld(reports)); err != nil { // a late redelivery
		t.Fatal(err)
	}
	check()
}

func TestInsertBlockErrors(t *testing.T) {
	t.Parallel()
	w, conn := migrated(t)
	reports := randomReports(rand.New(rand.NewPCG(35, 36)), 2, 1)
	reports[0].Context.Region, reports[1].Context.Region = 0, 7
	for _, tc := range []struct {
		block warehouse.Block
		want  string
	}{
		{warehouse.Block{Reports: reports, Withheld: []bool{true}}, "2 reports and 1 marks"},
		{warehouse.Block{Reports: reports, Withheld: []bool{true, true}}, "report 1 is withheld and has a region"},
	} {
		if err := w.InsertBlock(t.Context(), tc.block); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
	if err := w.InsertBlock(t.Context(), warehouse.Block{}); err != nil {
		t.Errorf("an empty block: %v", err)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM calls"); n != 0 {
		t.Errorf("%d rows of refused blocks", n)
	}
	// A server that knows no tokens takes them.
	if w.Deduplicates() {
		t.Fatalf("server %s is taken to know tokens", w.ServerVersion())
	}
	if err := w.InsertBlock(t.Context(), warehouse.Block{Reports: reports, Token: "first"}); err != nil {
		t.Error(err)
	}
}

// A refused report is one place in the stream: message and index in it.
func TestRejectsOfOnePack(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	var rejects []warehouse.Reject
	for i := range 6 {
		rejects = append(rejects, warehouse.Reject{
			Hour: baseHour, Reason: telemetry.RejectHour, Sequence: uint64(40 + i/3), Position: uint16(i % 3),
		})
	}
	for range 2 {
		if err := w.CountRejects(t.Context(), rejects); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := w.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if counts.Rejected[telemetry.RejectHour] != 6 {
		t.Errorf("%+v", counts)
	}
}
