package warehouse_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// readers are the methods of a Warehouse that read: each is called on the server and on the current engine, which hold
// the same rows, and must give the same.
var readers = map[string]func(t *testing.T, w *warehouse.Warehouse) any{
	"Counts": func(t *testing.T, w *warehouse.Warehouse) any {
		c, err := w.Counts(t.Context())
		c.Rows, c.Duplicates = 0, 0 // when copies are merged is the server's affair
		return must(t, c, err)
	},
	"Now": func(t *testing.T, w *warehouse.Warehouse) any {
		now, err := w.Now(t.Context())
		return time.Since(must(t, now, err)).Abs() < time.Minute
	},
	"CallQualities": func(t *testing.T, w *warehouse.Warehouse) any {
		var all [][]warehouse.CallQuality
		for _, f := range filters {
			list, err := w.CallQualities(t.Context(), f)
			all = append(all, must(t, list, err))
		}
		return all
	},
	"NetworkQuality": func(t *testing.T, w *warehouse.Warehouse) any {
		var all [][]warehouse.NetworkQuality
		for _, f := range filters {
			list, err := w.NetworkQuality(t.Context(), f)
			all = append(all, must(t, list, err))
		}
		return all
	},
	"EachSegment": func(t *testing.T, w *warehouse.Warehouse) any {
		var all [][]warehouse.SegmentRow
		for _, f := range filters {
			all = append(all, readSegments(t, w, f))
		}
		return all
	},
	"Ask": func(t *testing.T, w *warehouse.Warehouse) any {
		answers := make(map[string][][]any)
		for _, q := range warehouse.Queries() {
			answer, err := w.Ask(t.Context(), q)
			answers[q.Name] = must(t, answer, err).Rows
		}
		return answers
	},
	"Export": func(t *testing.T, w *warehouse.Warehouse) any {
		type file struct {
			Rows   int64
			Schema string
		}
		files := make(map[string]file)
		for _, view := range warehouse.ViewNames() {
			data, rows := export(t, w, warehouse.Export{View: view, Format: warehouse.FormatParquet})
			lines, f := parquetText(t, data, nil)
			if len(lines) != int(rows)+1 {
				t.Errorf("%s: %d rows were told, %d written", view, rows, len(lines)-1)
			}
			files[view] = file{f.NumRows(), f.Schema().String()}
		}
		return files
	},
	"Holdings": func(t *testing.T, w *warehouse.Warehouse) any {
		day := time.Unix(baseHour*3600, 0).UTC()
		h, err := w.Holdings(t.Context(), day, day.AddDate(0, 0, 3), 5)
		h = must(t, h, err)
		var tables []string
		for _, table := range h.Tables {
			tables = append(tables, fmt.Sprint(table.Name, table.View, table.Made, table.Columns))
		}
		return []any{tables, h.Schema, h.MinCell, h.Retention, h.Calls, h.Rejected} // the rest tells of the server
	},
	"Status": func(t *testing.T, w *warehouse.Warehouse) any {
		s, err := w.Status(t.Context())
		s = must(t, s, err)
		for i := range s.Tables {
			s.Tables[i].Rows = 0 // when copies are merged is the server's affair
			s.Tables[i].Oldest = s.Tables[i].Oldest.UTC()
		}
		return []any{s.Found, s.Known, s.MinCell, s.RetentionSeconds, s.Tables}
	},
	"SchemaVersion": func(t *testing.T, w *warehouse.Warehouse) any {
		v, err := w.SchemaVersion(t.Context())
		return must(t, v, err)
	},
}

// otherMethods are those that do not read reports, with what else runs them on the current engine.
var otherMethods = map[string]string{
	"Close":         "sends nothing",
	"Ping":          "sends nothing",
	"ServerVersion": "sends nothing",
	"Deduplicates":  "sends nothing",
	"Insert":        "TestReadersAgree",
	"InsertBlock":   "TestReadersAgree",
	"CountRejects":  "TestReadersAgree",
	"Migrate":       "TestReadersAgree",
	"MigrateWith":   "TestMigrateFromVersion1",
	"Loosen":        "TestMigrateWithOtherSettings",
	"Check":         "TestMigrateWithOtherSettings",
	"DropExpired":   "TestDropExpired",
}

// filters take every branch of a Filter.
var filters = []warehouse.Filter{
	{},
	{Since: baseHour + 20, Until: baseHour + 50, Origins: []telemetry.Origin{telemetry.OriginCall}},
	{Policy: new(uint32(1)), Experiment: new(uint32(0)), CellCap: 5},
	{CellCap: 3},
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A new method must be in one of the lists, so that no query is left out.
func TestEveryMethodIsListed(t *testing.T) {
	t.Parallel()
	for m := range reflect.TypeFor[*warehouse.Warehouse]().Methods() {
		if !slices.Contains(warehouse.MethodsForTests, m.Name) && readers[m.Name] == nil && otherMethods[m.Name] == "" {
			t.Errorf("%s is tested on no current engine: add it to readers or to otherMethods", m.Name)
		}
	}
	for name := range readers {
		if _, found := reflect.TypeFor[*warehouse.Warehouse]().MethodByName(name); !found {
			t.Errorf("readers has %s, which is no method", name)
		}
	}
}

// The same reports, some of them stored twice or with their regions withheld first, read the same from an old server
// and from a current engine: through every method and through every view.
func TestReadersAgree(t *testing.T) {
	t.Parallel()
	oldDatabase, currentDatabase := onServer(t), onEngine(t)
	old, oldConn := oldDatabase.open(), oldDatabase.conn
	current, currentConn := currentDatabase.open(), currentDatabase.conn
	rng := rand.New(rand.NewPCG(61, 62))
	reports := cellReports(rng, 300)
	for i := range reports {
		for j := range reports[i].Segments {
			s := &reports[i].Segments[j]
			s.Policy, s.Experiment, s.Arm = uint32(rng.IntN(2)), uint32(rng.IntN(2)), uint8(rng.IntN(2))
		}
	}
	reports = append(reports, randomReport(rng, 0), randomReport(rng, telemetry.MaxSegments))
	rejects := []warehouse.Reject{{Hour: baseHour + 30, Reason: telemetry.RejectMalformed, Sequence: 2}}
	for i := range 12 { // of which ten are different: enough for a view of groups of at least five
		rejects = append(rejects, warehouse.Reject{Hour: baseHour, Reason: telemetry.RejectHour, Sequence: uint64(i % 10 / 2), Position: uint16(i % 2)})
	}
	for _, w := range []*warehouse.Warehouse{old, current} {
		if err := w.MigrateWith(t.Context(), warehouse.Settings{MinCell: 5}); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range []driver.Conn{oldConn, currentConn} { // the least salt counts: the same on both
		execute(t, conn, "INSERT INTO sample_salt (salt) SELECT '!'")
	}
	for _, w := range []*warehouse.Warehouse{old, current} {
		for _, b := range []warehouse.Block{withheld(reports[:200]), {Reports: reports}, {Reports: reports[100:], Token: "again"}} {
			if err := w.InsertBlock(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.CountRejects(t.Context(), rejects); err != nil {
			t.Fatal(err)
		}
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			agree(t, read(t, old), read(t, current))
		})
	}
	views := rowsOf(t, oldConn, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' ORDER BY name")
	if again := rowsOf(t, currentConn, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' ORDER BY name"); !slices.Equal(views, again) {
		t.Errorf("views %v and %v", views, again)
	}
	for _, view := range views {
		t.Run("view "+view, func(t *testing.T) {
			a, b := valuesOf(t, oldConn, view), valuesOf(t, currentConn, view)
			if view != "schema_settings" && len(a) == 0 {
				t.Error("the view is empty: the test compares nothing")
			}
			if view == "schema_settings" { // the digest covers what only the newer server is told
				for _, rows := range [][][]any{a, b} {
					rows[0] = rows[0][:2]
				}
			}
			agree(t, a, b)
		})
	}
}

// agree compares what two servers gave. Most of it is equal as it is, and cmp takes its time.
func agree(t *testing.T, a, b any) {
	t.Helper()
	if reflect.DeepEqual(a, b) {
		return
	}
	if diff := cmp.Diff(a, b, closeEnough); diff != "" {
		t.Error(diff)
	}
}

// valuesOf reads a view, one list of values per row, in an order of its own: that of the values that are not floating
// point numbers, which may differ in their last digits.
func valuesOf(t *testing.T, conn driver.Conn, view string) [][]any {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT * FROM "+view)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var list [][]any
	for rows.Next() {
		types := rows.ColumnTypes()
		values := make([]any, len(types))
		for i, c := range types {
			values[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for i := range values {
			values[i] = plain(reflect.ValueOf(values[i]).Elem())
		}
		list = append(list, values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	key := func(row []any) string {
		var exact, rough []string
		for _, v := range row {
			if f, ok := v.(float64); ok {
				rough = append(rough, fmt.Sprintf("%.6g", f))
			} else {
				exact = append(exact, fmt.Sprint(v))
			}
		}
		return strings.Join(exact, "|") + "|" + strings.Join(rough, "|")
	}
	slices.SortFunc(list, func(a, b []any) int { return strings.Compare(key(a), key(b)) })
	return list
}

// plain is a value without pointers, and a time without its zone.
func plain(v reflect.Value) any {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if at, ok := reflect.TypeAssert[time.Time](v); ok {
		return at.Unix()
	}
	return v.Interface()
}
