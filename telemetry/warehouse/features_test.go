package warehouse_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/await"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// tokenConn is a connection whose inserts have the settings that a current server is given for a token.
func tokenConn(d database, token string) *warehouse.Warehouse {
	c := *d.conn.(*engineConn)
	var settings []string
	for name, value := range warehouse.InsertSettings(engineMajor, engineMinor, token) {
		if text, ok := value.(string); ok {
			value = "'" + text + "'"
		}
		settings = append(settings, fmt.Sprintf("%s = %v", name, value))
	}
	slices.Sort(settings)
	c.settings = " SETTINGS " + strings.Join(settings, ", ")
	return warehouse.OnConn(&c, c.database, engineMajor, engineMinor)
}

// A current server stores a block once that comes twice under one token, whatever lies between.
func TestTokens(t *testing.T) {
	t.Parallel()
	d := onEngine(t)
	if err := d.open().Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, d.conn, "SYSTEM STOP MERGES calls") // which would remove copies as well
	rng := rand.New(rand.NewPCG(71, 72))
	first, second := randomReports(rng, 50, 2), randomReports(rng, 50, 2)
	for i := range first { // several weeks
		first[i].Hour += uint32(i%5) * 7 * 24
	}
	for n, step := range []struct {
		reports []telemetry.Report
		token   string
		rows    uint64
	}{
		{first, "CALLS 1..50", 50},
		{first, "CALLS 1..50", 50},
		{second, "CALLS 51..100", 100},
		{first, "CALLS 1..50", 100},
		{second, "CALLS 51..100", 100},
		{first, "another", 150}, // the token decides, not the rows
		{first, "", 200},
	} {
		w := tokenConn(d, step.token)
		if !w.Deduplicates() {
			t.Fatal("a current server is taken to know no tokens")
		}
		if err := w.InsertBlock(t.Context(), warehouse.Block{Reports: step.reports, Token: step.token}); err != nil {
			t.Fatal(err)
		}
		if rows := scalar[uint64](t, d.conn, "SELECT count() FROM calls"); rows != step.rows {
			t.Errorf("step %d: %d rows, want %d", n, rows, step.rows)
		}
	}
	if counts, err := d.open().Counts(t.Context()); err != nil || counts.Reports != 100 {
		t.Errorf("%+v, %v: queries count a report once", counts, err)
	}
}

// A current server deletes by itself what is past its time.
func TestTTL(t *testing.T) {
	t.Parallel()
	d := onEngine(t)
	w := d.open()
	const day, retention = 24 * time.Hour, 30 * 24 * time.Hour
	if err := w.MigrateWith(t.Context(), warehouse.Settings{Retention: retention}); err != nil {
		t.Fatal(err)
	}
	reports := randomReports(rand.New(rand.NewPCG(73, 74)), 60, 1)
	now := time.Now()
	for i := range reports {
		reports[i].Hour = telemetry.HourOf(now.Add(-time.Duration(i) * day))
	}
	insert(t, w, reports...)
	execute(t, d.conn, "OPTIMIZE TABLE calls FINAL")
	await.Eventually(t, "what is past its time is gone", func() bool {
		days := storedDays(t, d.conn, "calls")
		for i := range reports {
			start := now.Add(-time.Duration(i) * day).UTC().Truncate(day)
			age := now.Sub(start)
			if age < retention-8*day && !days[start] {
				t.Fatalf("%v is gone, %v old", start, age)
			}
			if age >= retention+day && days[start] {
				return false
			}
		}
		return true
	})
}

// Tables that an older server has made learn what a newer one can do, and another retention, and keep their rows.
func TestMigrateAfterAnUpgradeOfTheServer(t *testing.T) {
	t.Parallel()
	d := onEngine(t)
	older := warehouse.OnConn(d.conn, scalar[string](t, d.conn, "SELECT currentDatabase()"), 18, 16)
	if err := older.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(t, older, randomReports(rand.New(rand.NewPCG(75, 76)), 20, 2)...)
	engine := func() string {
		return strings.Join(rowsOf(t, d.conn, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name IN ('calls', 'rejects')"), "\n")
	}
	if got := engine(); strings.Contains(got, "TTL") {
		t.Fatalf("tables for an old server are %s", got)
	}
	for _, retention := range []time.Duration{90 * 24 * time.Hour, 100 * 24 * time.Hour} {
		w := d.open()
		if err := w.Loosen(t.Context(), warehouse.Settings{Retention: retention}); err != nil {
			t.Fatal(err)
		}
		got := engine()
		for _, want := range []string{
			fmt.Sprintf("TTL toDateTime(toMonday(day), 'UTC') + toIntervalSecond(%d) ", int64(retention.Seconds())),
			"fsync_after_insert = 1", "fsync_part_directory = 1", "ttl_only_drop_parts = 1", "non_replicated_deduplication_window = 10000",
		} {
			if strings.Count(got, want) != 2 {
				t.Errorf("not in both tables: %q in\n%s", want, got)
			}
		}
		if counts, err := w.Counts(t.Context()); err != nil || counts.Reports != 20 {
			t.Errorf("%+v, %v", counts, err)
		}
	}
}

// Where the server knows majorities, inserts wait for one; TestTokens inserts with that setting.
func TestQuorum(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, empty func(testing.TB) database) {
		w := empty(t).open()
		if got, err := w.Quorum(t.Context()); err != nil || got != w.Deduplicates() { // 18.16 knows neither, a current server both
			t.Errorf("%v, %v", got, err)
		}
	})
	if got := warehouse.InsertSettings(engineMajor, engineMinor, "")["insert_quorum"]; got != "auto" {
		t.Errorf("a current server is asked for a quorum of %v", got)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	onBoth(t, testStatus)
}

func testStatus(t *testing.T, empty func(testing.TB) database) {
	d := empty(t)
	w := d.open()
	s, err := w.Status(t.Context())
	if err != nil || s.Found != 0 || s.Known != warehouse.SchemaVersionForTest || len(s.Tables) != 0 {
		t.Errorf("an empty database: %+v, %v", s, err)
	}
	if err := w.MigrateWith(t.Context(), warehouse.Settings{MinCell: 12}); err != nil {
		t.Fatal(err)
	}
	report := randomReport(rand.New(rand.NewPCG(77, 78)), 1)
	report.Hour = telemetry.HourOf(time.Now())
	insert(t, w, report)
	if s, err = w.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Found != s.Known || s.MinCell != 12 || s.RetentionSeconds != 90*24*3600 || len(s.Tables) != 2 ||
		s.Tables[0].Rows != 1 || s.Tables[0].Engine != "ReplacingMergeTree" || telemetry.HourOf(s.Tables[0].Oldest)/24 != report.Hour/24 || !s.Tables[1].Oldest.IsZero() {
		t.Errorf("%+v", s)
	}
	for _, f := range s.Features {
		if f.Has != w.Deduplicates() { // 18.16 has none, a current server all
			t.Errorf("%+v on %s", f, s.Server)
		}
	}
	execute(t, d.conn, "INSERT INTO schema_version (version, about, applied) SELECT 99, 'tomorrow', now()")
	if _, err := w.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "upgrade this program") {
		t.Errorf("a newer schema: %v", err)
	}
}
