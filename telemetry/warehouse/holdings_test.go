package warehouse_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

func holdings(t *testing.T, w *warehouse.Warehouse) warehouse.Holdings {
	t.Helper()
	h, err := w.Holdings(t.Context(), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), 20)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHoldingsListWhatTheDatabaseHas(t *testing.T) {
	w, conn := migrated(t)
	h := holdings(t, w)
	if h.Schema == 0 || h.MinCell != 50 || h.Retention != 90*24*time.Hour {
		t.Errorf("schema %d, k %d, retention %v: want what the tables were made for", h.Schema, h.MinCell, h.Retention)
	}
	names, columns := make(map[string]bool), uint64(0)
	for _, table := range h.Tables {
		names[table.Name] = true
		columns += uint64(len(table.Columns))
		if !table.Made {
			t.Errorf("%s is not known", table.Name)
		}
		for _, c := range table.Columns {
			if _, ok := warehouse.ColumnPurpose(table.Name, c.Name); !ok && !table.View && table.Name != "calls" {
				t.Errorf("column %s.%s has no purpose", table.Name, c.Name)
			}
		}
	}
	if !names["calls"] || !names["rejects"] || !names["segments"] {
		t.Errorf("tables %v", names)
	}
	if want := scalar[uint64](t, conn, "SELECT count() FROM system.columns WHERE database = currentDatabase()"); columns != want {
		t.Errorf("%d columns, the database has %d", columns, want)
	}
	if h.Calls.Reports != 0 || !h.Calls.Oldest.IsZero() || h.Calls.Days != nil || h.Calls.SmallestCell != 0 {
		t.Errorf("an empty table holds %+v", h.Calls)
	}
}

func TestHoldingsCountCopiesOnce(t *testing.T) {
	w, _ := migrated(t)
	reports := randomReports(rand.New(rand.NewPCG(1, 2)), 40, 2)
	withheld := make([]bool, len(reports))
	for i := range reports {
		reports[i].Hour = baseHour + uint32(i%2)*24
		reports[i].Stars = uint8(i % 2)
		reports[i].Context.Region, withheld[i] = 0, i%4 == 0
	}
	for range 3 {
		if err := w.InsertBlock(t.Context(), warehouse.Block{Reports: reports, Withheld: withheld}); err != nil {
			t.Fatal(err)
		}
	}
	reject := warehouse.Reject{Hour: baseHour, Reason: telemetry.RejectSegment, Sequence: 4}
	for range 2 {
		if err := w.CountRejects(t.Context(), []warehouse.Reject{reject}); err != nil {
			t.Fatal(err)
		}
	}
	h := holdings(t, w)
	first := time.Unix(baseHour*3600, 0).UTC() // a Monday
	second := first.AddDate(0, 0, 1)
	want := []warehouse.DayHoldings{
		{Day: first, Reports: 20, Withheld: 10, NotGiven: 10},
		{Day: second, Reports: 20, NotGiven: 20, Rated: 20},
	}
	if diff := cmp.Diff(want, h.Calls.Days); diff != "" {
		t.Error(diff)
	}
	if h.Calls.Reports != 40 || h.Calls.Rated != 20 || !h.Calls.Oldest.Equal(first) || !h.Calls.Newest.Equal(second) {
		t.Errorf("%+v", h.Calls)
	}
	if h.Calls.HiddenReports != 40 || h.Calls.HiddenGroups != h.Calls.Groups || h.Calls.Cells != 0 {
		t.Errorf("groups %+v", h.Calls)
	}
	if diff := cmp.Diff([]warehouse.RejectedDay{{Day: first, Reason: telemetry.RejectSegment, Reports: 1}}, h.Rejected.Days); diff != "" || h.Rejected.Rows != 1 {
		t.Error(h.Rejected, diff)
	}
	for _, table := range h.Tables {
		if table.Name == "calls" && (table.Rows < 40 || table.Bytes == 0 || table.Partitions != 1) {
			t.Errorf("%+v", table)
		}
	}
}

// The tables of a cluster are known, and every server is asked for its own. The engine is a cluster of one here, without a
// keeper: its tables are not replicated.
func TestHoldingsOfACluster(t *testing.T) {
	t.Parallel()
	d := onEngine(t)
	replicated := regexp.MustCompile(`Replicated(\w*MergeTree)\('[^']*', '[^']*'(, )?`)
	for _, statement := range ddl(t, warehouse.CurrentServer, "here", warehouse.Settings{}) {
		statement = strings.ReplaceAll(statement, " ON CLUSTER `here`", "")
		statement = strings.ReplaceAll(statement, "replicated_deduplication_window", "non_replicated_deduplication_window")
		execute(t, d.conn, replicated.ReplaceAllString(statement, "$1("))
	}
	w := d.open()
	reports := randomReports(rand.New(rand.NewPCG(3, 4)), 25, 2)
	for range 2 {
		insert(t, w, reports...)
	}
	if err := w.CountRejects(t.Context(), []warehouse.Reject{{Hour: baseHour, Reason: telemetry.RejectSegment, Sequence: 4}}); err != nil {
		t.Fatal(err)
	}
	h := holdings(t, w)
	if h.Cluster != "here" || h.Calls.Reports != 25 || h.Rejected.Rows != 1 {
		t.Errorf("of cluster %q: %d reports, %d refused", h.Cluster, h.Calls.Reports, h.Rejected.Rows)
	}
	rows := make(map[string]uint64)
	for _, table := range h.Tables {
		if _, twice := rows[table.Name]; twice {
			t.Errorf("%s is listed twice", table.Name)
		}
		rows[table.Name] = table.Rows
		if !table.Made || len(table.Columns) == 0 {
			t.Errorf("%+v is not known", table)
		}
		if stores := strings.HasSuffix(table.Engine, "MergeTree"); stores == table.View {
			t.Errorf("%s (%s): stores nothing is %v", table.Name, table.Engine, table.View)
		}
		for _, c := range table.Columns {
			if _, ok := warehouse.ColumnPurpose(table.Name, c.Name); !ok && !table.View && warehouse.BaseTable(table.Name) != "calls" {
				t.Errorf("column %s.%s has no purpose", table.Name, c.Name)
			}
		}
	}
	if rows["calls_local"] < 25 || rows["rejects_local"] != 1 || rows["calls"] != 0 {
		t.Errorf("rows %v", rows)
	}
	execute(t, d.conn, "CREATE TABLE callers_local (name String) ENGINE = MergeTree ORDER BY name")
	for _, table := range holdings(t, w).Tables {
		if table.Name == "callers_local" && table.Made {
			t.Error("a table of somebody else is taken for one of ours")
		}
	}
}
