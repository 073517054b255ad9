package transparency

import (
	"testing"

	"github.com/attune-calls/attune/telemetry/warehouse"
)

// The tables of the servers of a cluster are explained like those of one server.
func TestTablesOfAClusterAreExplained(t *testing.T) {
	registry, err := loadRegistry()
	if err != nil {
		t.Fatal(err)
	}
	d := databaseOf(&warehouse.Holdings{Cluster: "west", Tables: []warehouse.TableHoldings{
		{Name: "calls", Engine: "Distributed", View: true, Made: true, Columns: []warehouse.ColumnHoldings{{Name: "id"}}},
		{Name: "rejects_local", Engine: "ReplicatedReplacingMergeTree", Made: true, Columns: []warehouse.ColumnHoldings{{Name: "day"}, {Name: "bytes"}}},
		{Name: "calls_local", Engine: "ReplicatedReplacingMergeTree", Made: true, Columns: []warehouse.ColumnHoldings{{Name: "id"}, {Name: "caller"}}},
	}}, registry)
	known := make(map[string]bool)
	for _, table := range d.Tables {
		for _, c := range table.Columns {
			known[table.Name+"."+c.Name] = c.Known
		}
	}
	for column, want := range map[string]bool{
		"calls.id": true, "calls_local.id": true, "calls_local.caller": false, "rejects_local.day": true, "rejects_local.bytes": false,
	} {
		if got, listed := known[column]; got != want || !listed {
			t.Errorf("%s: known is %v, want %v", column, got, want)
		}
	}
	if first := d.Tables[0].Name; first != "calls_local" {
		t.Errorf("%s comes first, want what stores the reports", first)
	}
}
