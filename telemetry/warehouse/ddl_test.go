package warehouse_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry/warehouse"
)

func ddl(t *testing.T, server, cluster string, s warehouse.Settings) []string {
	t.Helper()
	list, err := warehouse.DDL(server, cluster, s)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What DDL prints makes what Migrate makes, on an old server and on a current engine.
func TestDDLIsWhatMigrateMakes(t *testing.T) {
	t.Parallel()
	onBoth(t, testDDLIsWhatMigrateMakes)
}

func testDDLIsWhatMigrateMakes(t *testing.T, empty func(testing.TB) database) {
	printed, migrated := empty(t), empty(t)
	w := migrated.open()
	settings := warehouse.Settings{MinCell: 9, Retention: 30 * 24 * time.Hour}
	if err := w.MigrateWith(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	execute(t, printed.conn, ddl(t, w.ServerVersion(), "", settings)...)
	var tables [][]string
	for _, d := range []database{printed, migrated} {
		name := scalar[string](t, d.conn, "SELECT currentDatabase()")
		tables = append(tables, rowsOf(t, d.conn, "SELECT name, replaceAll(create_table_query, '"+name+".', '') FROM system.tables "+
			"WHERE database = currentDatabase() ORDER BY name"))
	}
	if len(tables[0]) < 10 {
		t.Errorf("only %d tables and views", len(tables[0]))
	}
	if diff := cmp.Diff(tables[0], tables[1]); diff != "" {
		t.Error(diff)
	}
	// And Migrate has nothing to do there.
	if err := printed.open().MigrateWith(t.Context(), settings); err != nil {
		t.Error(err)
	}
	if n := scalar[uint64](t, printed.conn, "SELECT count() FROM schema_version"); n != 1 {
		t.Errorf("version recorded %d times", n)
	}
}

// A current engine parses every statement of the form for clusters, and sees what it is meant to be.
func TestClusterDDLParses(t *testing.T) {
	t.Parallel()
	conn := onEngine(t).conn
	list := ddl(t, warehouse.CurrentServer, "eu west", warehouse.Settings{})
	counts := make(map[string]int)
	for _, statement := range list {
		ast := strings.Join(rowsOf(t, conn, "EXPLAIN AST "+statement), "\n")
		if ast == "" {
			t.Errorf("no tree of %.100s", statement)
		}
		if formatted := rowsOf(t, conn, "SELECT formatQuery('"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(statement)+"')"); len(formatted) != 1 {
			t.Errorf("not formatted: %.100s", statement)
		}
		for _, engine := range []string{"Function ReplicatedReplacingMergeTree", "Function Distributed", "Function ReplicatedMergeTree"} {
			counts[engine] += strings.Count(ast, engine)
		}
		if !strings.HasPrefix(statement, "INSERT") {
			if !strings.Contains(statement, "ON CLUSTER `eu west`") {
				t.Errorf("not on the cluster: %.100s", statement)
			}
			counts["on cluster"]++
		}
	}
	want := map[string]int{
		"Function ReplicatedReplacingMergeTree": 2, "Function Distributed": 2, "Function ReplicatedMergeTree": 2,
		"on cluster": len(list) - 2,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
	if err := conn.Exec(t.Context(), "EXPLAIN AST CREATE TABLE x ON CLUSTER ("); err == nil {
		t.Error("the parser takes anything")
	}
}

func TestDDLErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ server, cluster, want string }{
		{"new", "", `server version "new"`},
		{"26", "", "want one like 26.7"},
		{"18.16", "c", "22.3 or newer"},
	} {
		if _, err := warehouse.DDL(tc.server, tc.cluster, warehouse.Settings{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v", tc, err)
		}
	}
	if _, err := warehouse.DDL("26.7", "", warehouse.Settings{MinCell: -1}); err == nil {
		t.Error("impossible settings were accepted")
	}
}

// The tables of a cluster are left to its operator.
func TestMigrateLeavesAClusterAlone(t *testing.T) {
	t.Parallel()
	d := onEngine(t)
	execute(t, d.conn, "CREATE TABLE calls_local (id UUID, day Date) ENGINE = MergeTree ORDER BY id",
		"CREATE TABLE calls AS calls_local ENGINE = Distributed('one', currentDatabase(), 'calls_local', sipHash64(id))")
	w := d.open()
	err := w.Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "attune warehouse ddl --cluster one") {
		t.Errorf("got %v", err)
	}
	// What is past its time is looked for on its servers, of which none answers here, and dropped there.
	if _, err := w.DropExpired(t.Context(), time.Now(), 30*24*time.Hour); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
	drop := warehouse.DropPartition("eu west", "attune", "calls_local", "20261130")
	if ast := strings.Join(rowsOf(t, d.conn, "EXPLAIN AST "+drop), "\n"); !strings.Contains(ast, "20261130") {
		t.Errorf("%s is %s", drop, ast)
	}
}
