package warehouse_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// statements are those of a file of testdata.
func statements(t testing.TB, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(strings.TrimSuffix(strings.TrimSpace(string(text)), ";"), ";\n\n")
	if len(list) < 3 {
		t.Fatalf("%s has %d statements", name, len(list))
	}
	return list
}

func execute(t testing.TB, conn driver.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%.200s: %v", s, err)
		}
	}
}

// rowsOf reads a query as text: one line per row.
func rowsOf(t testing.TB, conn driver.Conn, query string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%.200s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		values := make([]any, len(rows.ColumnTypes()))
		for i, c := range rows.ColumnTypes() {
			values[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatalf("%.200s: %v", query, err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprint(reflect.ValueOf(v).Elem().Interface())
		}
		list = append(list, strings.Join(texts, " | "))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%.200s: %v", query, err)
	}
	return list
}

// cellReports are reports of two days in which some cells of region and network have many reports, some few.
func cellReports(rng *rand.Rand, n int) []telemetry.Report {
	regions := []model.Region{0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8}
	reports := randomReports(rng, n, 3)
	for i := range reports {
		r := &reports[i]
		r.Hour = baseHour + rng.Uint32N(48)
		r.Context.Network, r.Context.Region = 1+draw[model.NetworkType](rng, 2), regions[rng.IntN(len(regions))]
		for j := range r.Segments {
			c := &r.Segments[j].Context
			c.Network, c.Region = r.Context.Network, r.Context.Region
			if rng.IntN(4) == 0 { // the call moved
				c.Network = 1 + draw[model.NetworkType](rng, 3)
			}
		}
	}
	return reports
}

const testCell = 8 // k in the tests of migrations

// versionOne is a database as version 1 of this program leaves it, with the reports, some stored twice.
func versionOne(t testing.TB, empty func(testing.TB) database, source string, withVersion bool) database {
	t.Helper()
	d := empty(t)
	conn := d.conn
	execute(t, conn, statements(t, "schema_1.sql")...)
	execute(t, conn, "CREATE TABLE schema_version (version UInt32, about String, applied DateTime('UTC')) ENGINE = MergeTree ORDER BY version")
	if withVersion {
		execute(t, conn, "INSERT INTO schema_version (version, about, applied) SELECT 1, 'calls, rejects and their views', now()")
	}
	var columns, values []string
	for _, name := range rowsOf(t, conn, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'calls'") {
		columns = append(columns, name)
		switch name {
		case "rating":
			name = "4"
		case "problems":
			name = "255"
		case "origin":
			name = "toString(origin)"
		}
		values = append(values, name)
	}
	copyRows := "INSERT INTO calls (" + strings.Join(columns, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM " + source + ".calls"
	execute(t, conn, copyRows, copyRows+" WHERE hour % 7200 = 0")
	refuse := "INSERT INTO rejects (day, hour, reason, sequence) SELECT toDate('2026-11-01') + number % 2, toDateTime('2026-11-01 00:00:00') + number % 2 * 86400, " +
		"if(number % 3 = 0, 'hour', 'malformed'), number FROM numbers(20)"
	execute(t, conn, refuse, refuse)
	return d
}

// sourceOfVersionOne is a database with reports that version 1 could have stored, and those reports.
func sourceOfVersionOne(t testing.TB, empty func(testing.TB) database) (string, []telemetry.Report) {
	t.Helper()
	d := empty(t)
	w, conn := d.open(), d.conn
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	reports := cellReports(rand.New(rand.NewPCG(101, 102)), 160)
	for i := range reports {
		reports[i].Origin = telemetry.OriginCall
	}
	insert(t, w, reports...)
	return scalar[string](t, conn, "SELECT currentDatabase()"), reports
}

// contents is all that readers can see.
func contents(t testing.TB, conn driver.Conn) []string {
	t.Helper()
	list := rowsOf(t, conn, "SELECT * FROM calls FINAL ORDER BY day, network, id")
	list = append(list, rowsOf(t, conn, "SELECT * FROM rejects FINAL ORDER BY day, hour, reason, sequence, position")...)
	list = append(list, rowsOf(t, conn, "SELECT max(version) FROM schema_version")...)
	list = append(list, rowsOf(t, conn, "SELECT min_cell, retention_seconds, digest FROM schema_settings")...)
	list = append(list, rowsOf(t, conn, "SELECT count() FROM segments")...)
	return append(list, rowsOf(t, conn, "SELECT name, engine, partition_key, sorting_key FROM system.tables "+
		"WHERE database = currentDatabase() AND name NOT LIKE 'migration%' ORDER BY name")...)
}

// Every row of version 1 is there after the migration, once; ratings are gone; a region is shown where its day has
// enough reports of the same region and network.
func TestMigrateFromVersion1(t *testing.T) {
	t.Parallel()
	onBoth(t, testMigrateFromVersion1)
}

func testMigrateFromVersion1(t *testing.T, empty func(testing.TB) database) {
	source, reports := sourceOfVersionOne(t, empty)
	d := versionOne(t, empty, source, true)
	w, conn := d.open(), d.conn
	if err := w.MigrateWith(t.Context(), warehouse.Settings{MinCell: testCell}); err != nil {
		t.Fatal(err)
	}
	type cell struct {
		day     uint32
		region  model.Region
		network model.NetworkType
	}
	count := make(map[cell]int)
	for i := range reports {
		r := &reports[i]
		count[cell{r.Hour / 24, r.Context.Region, r.Context.Network}]++
	}
	want := make(map[string]string)
	states := make(map[uint8]int)
	for i := range reports {
		r := &reports[i]
		shown := func(c *model.Context) model.Region {
			if count[cell{r.Hour / 24, c.Region, c.Network}] >= testCell {
				return c.Region
			}
			return 0
		}
		region, state := shown(&r.Context), uint8(2)
		switch {
		case r.Context.Region == 0:
			state = 1
		case region == 0:
			state = 0
		}
		states[state]++
		var segments []uint16
		for j := range r.Segments {
			segments = append(segments, uint16(shown(&r.Segments[j].Context)))
		}
		want[r.ID.String()] = fmt.Sprint(region, " | ", state, " | ", r.Duration, " | 0 | 0 | ", segments)
	}
	if len(states) != 3 {
		t.Fatalf("the reports have states %v, want all three", states)
	}
	got := make(map[string]string)
	for _, row := range rowsOf(t, conn, "SELECT lower(hex(UUIDStringToNum(toString(id)))), region, region_state, duration, stars, problem, segment.region FROM calls FINAL") {
		id, rest, _ := strings.Cut(row, " | ")
		got[id] = rest
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if left := rowsOf(t, conn, "SHOW TABLES"); slices.ContainsFunc(left, func(name string) bool {
		return strings.Contains(name, "version_") || strings.Contains(name, "lock")
	}) {
		t.Errorf("left behind: %v", left)
	}
	counts, err := w.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if counts.Reports != uint64(len(reports)) || counts.Rejected[telemetry.RejectHour] != 7 {
		t.Errorf("%+v", counts)
	}
	insert(t, w, randomReports(rand.New(rand.NewPCG(1, 1)), 3, 3)...)
}

// Migrations are killed one after the other, each after the first statement that none before it has executed, on the
// same tables; or in the middle of it, where it copies. In the end all is as if nothing had been killed.
func TestMigrateInterrupted(t *testing.T) {
	t.Parallel()
	onBoth(t, testMigrateInterrupted)
}

func testMigrateInterrupted(t *testing.T, empty func(testing.TB) database) {
	source, _ := sourceOfVersionOne(t, empty)
	settings := warehouse.Settings{MinCell: testCell}
	whole := versionOne(t, empty, source, true)
	if err := whole.open().MigrateWith(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	want := contents(t, whole.conn)
	for _, partly := range []bool{false, true} {
		d := versionOne(t, empty, source, partly)
		for n := 1; n < 4; n++ { // around taking the lock
			w := d.open()
			w.LockTimes(time.Hour, -1)
			died := w.DieAfter(n)
			if err := w.MigrateWith(t.Context(), settings); err == nil || !died() {
				t.Fatalf("not killed after %d statements: %v", n, err)
			}
		}
		done := make(map[string]bool)
		for {
			w := d.open()
			w.LockTimes(time.Hour, -1)
			died := w.DieAfterNew(done, partly)
			err := w.MigrateWith(t.Context(), settings)
			if err != nil && !died() {
				t.Fatalf("after %d deaths: %v", len(done), err)
			}
			if !died() {
				break
			}
		}
		copies := 0
		for statement := range done {
			if strings.HasPrefix(statement, "INSERT INTO calls_version_2") {
				copies++
			}
		}
		least := 20
		if partly { // without those of views
			least = 10
		}
		if len(done) < least || copies != 2 {
			t.Errorf("%d processes died, of which %d were copying reports", len(done), copies)
		}
		if diff := cmp.Diff(want, contents(t, d.conn)); diff != "" {
			t.Errorf("partly %v: %s", partly, diff)
		}
	}
}

// Several processes, of which some are killed, migrate the same tables while a program of version 1 still inserts.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	onBoth(t, testMigrateTogether)
}

func testMigrateTogether(t *testing.T, empty func(testing.TB) database) {
	source, reports := sourceOfVersionOne(t, empty)
	d := versionOne(t, empty, source, true)
	settings := warehouse.Settings{MinCell: testCell}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	older := 0
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			err := d.conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO calls (id, day, hour, rating) SELECT "+
				"toUUID('00000000-0000-4000-8000-0000000%05d'), toDate('2026-11-20'), toDateTime('2026-11-20 00:00:00'), 5", i))
			if err != nil {
				return
			}
			older++
		}
	})
	time.Sleep(20 * time.Millisecond)
	var migrating sync.WaitGroup
	for i := range 5 {
		w := d.open()
		w.LockTimes(100*time.Millisecond, 2*time.Second)
		migrating.Go(func() {
			if i < 2 {
				w.DieAfter(6 + 3*i)
			}
			if err := w.MigrateWith(t.Context(), settings); err != nil && i >= 2 {
				t.Error(err)
			}
		})
	}
	migrating.Wait()
	close(stop)
	wg.Wait()
	counts, err := d.open().Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if counts.Reports != uint64(len(reports)+older) {
		t.Errorf("%d reports, want %d and the %d of the older program", counts.Reports, len(reports), older)
	}
	if older == 0 {
		t.Error("the older program stored nothing")
	}
}

// Who holds the lock and stops writing is taken for dead, and stops when it comes back.
func TestMigrationLockIsTaken(t *testing.T) {
	t.Parallel()
	onBoth(t, testMigrationLockIsTaken)
}

func testMigrationLockIsTaken(t *testing.T, empty func(testing.TB) database) {
	d := empty(t)
	first, second := d.open(), d.open()
	first.LockTimes(time.Hour, time.Hour)
	second.LockTimes(time.Hour, time.Second)
	check, release, err := first.LockMigration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	if err := second.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := check(); !errors.Is(err, warehouse.ErrLockLost) {
		t.Errorf("the lock is gone, got %v", err)
	}
	release()
	if left := scalar[uint64](t, d.conn, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE 'migration%'"); left != 0 {
		t.Errorf("%d locks left", left)
	}
}

// Other settings make the views again; the same do nothing.
func TestMigrateWithOtherSettings(t *testing.T) {
	t.Parallel()
	onBoth(t, testMigrateWithOtherSettings)
}

func testMigrateWithOtherSettings(t *testing.T, empty func(testing.TB) database) {
	d := empty(t)
	w, conn := d.open(), d.conn
	if err := w.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "has no tables of reports") {
		t.Errorf("an empty database: %v", err)
	}
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(t.Context()); err != nil {
		t.Error(err)
	}
	made := func() string {
		return rowsOf(t, conn, "SELECT min_cell, retention_seconds, digest FROM schema_settings")[0]
	}
	first := made()
	if err := w.Migrate(t.Context()); err != nil || made() != first {
		t.Errorf("%v, %s", err, made())
	}
	// Whoever asks for less than people were promised must say so.
	for _, looser := range []warehouse.Settings{{MinCell: 49}, {Retention: 91 * 24 * time.Hour}, {MinCell: 7, Retention: 30 * 24 * time.Hour}} {
		var fault *warehouse.LooserSettingsError
		err := w.MigrateWith(t.Context(), looser)
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), "attune warehouse migrate --loosen") || made() != first {
			t.Errorf("%+v: %v, and the tables are made for %s", looser, err, made())
		}
	}
	if err := w.MigrateWith(t.Context(), warehouse.Settings{MinCell: 60, Retention: 40 * 24 * time.Hour}); err != nil {
		t.Errorf("more than was promised: %v", err)
	}
	if err := w.Loosen(t.Context(), warehouse.Settings{MinCell: 7, Retention: 30 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := made(); !strings.HasPrefix(got, "7 | 2592000 | ") {
		t.Error(got)
	}
	for _, wrong := range []warehouse.Settings{{MinCell: -1}, {Retention: time.Hour}} {
		if err := w.MigrateWith(t.Context(), wrong); err == nil {
			t.Errorf("%+v was accepted", wrong)
		}
	}
}
