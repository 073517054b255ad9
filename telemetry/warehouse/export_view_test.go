package warehouse_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

// stored is a warehouse with something in every view.
func stored(t *testing.T, minCell int) *warehouse.Warehouse {
	t.Helper()
	w, _ := migratedFor(t, minCell)
	rng := rand.New(rand.NewPCG(71, 72))
	reports := crowd(rng, 60, model.NetworkWiFi, "DE")
	for i := range reports {
		reports[i].Hour += uint32(24 * (i % 3))
		reports[i].Segments[0].Outcome.MOS = model.Bucket(i % 2 * 30) // a half have none
	}
	insert(t, w, reports...)
	insert(t, w, reports[:10]...)
	if err := w.CountRejects(t.Context(), []warehouse.Reject{{Hour: baseHour, Reason: telemetry.RejectHour, Sequence: 1}}); err != nil {
		t.Fatal(err)
	}
	return w
}

func export(t *testing.T, w *warehouse.Warehouse, e warehouse.Export) ([]byte, uint64) {
	t.Helper()
	var out bytes.Buffer
	rows, err := w.Export(t.Context(), e, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), rows
}

// parquetText is a file as the text that CSV has of it.
func parquetText(t *testing.T, data []byte, times map[string]string) (lines [][]string, file *parquet.File) {
	t.Helper()
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range file.Schema().Fields() {
		names = append(names, f.Name())
	}
	lines = append(lines, names)
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		buffer := make([]parquet.Row, 100)
		for {
			n, err := rows.ReadRows(buffer)
			for _, row := range buffer[:n] {
				line := make([]string, len(names))
				for _, v := range row {
					name := names[v.Column()]
					switch {
					case v.IsNull():
					case times[name] == "Date":
						line[v.Column()] = time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)
					case times[name] == "DateTime":
						line[v.Column()] = time.UnixMilli(v.Int64()).UTC().Format(time.RFC3339)
					case v.Kind() == parquet.Double:
						line[v.Column()] = warehouse.Column{Type: "Float64"}.Text(v.Double())
					default:
						line[v.Column()] = v.String()
					}
				}
				lines = append(lines, line)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return lines, file
}

// Both formats hold the same rows, columns in the order of the view.
func TestExportEveryView(t *testing.T) {
	t.Parallel()
	w := stored(t, 1)
	sorted := func(lines [][]string) [][]string {
		slices.SortFunc(lines[1:], slices.Compare)
		return lines
	}
	for _, view := range warehouse.ViewNames() {
		text, n := export(t, w, warehouse.Export{View: view, Format: warehouse.FormatCSV})
		table, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		binary, m := export(t, w, warehouse.Export{View: view, Format: warehouse.FormatParquet})
		lines, file := parquetText(t, binary, map[string]string{"day": "Date", "hour": "DateTime"})
		if diff := cmp.Diff(sorted(table), sorted(lines)); diff != "" {
			t.Errorf("%s: CSV and Parquet differ: %s", view, diff)
		}
		if n == 0 || n != m || int(n) != len(table)-1 || file.NumRows() != int64(n) {
			t.Errorf("%s: %d and %d rows told, %d and %d written", view, n, m, len(table)-1, file.NumRows())
		}
	}
}

// Columns have their types, and names a dictionary.
func TestParquetTypes(t *testing.T) {
	t.Parallel()
	w := stored(t, 1)
	data, _ := export(t, w, warehouse.Export{View: "segments", Format: warehouse.FormatParquet})
	_, file := parquetText(t, data, nil)
	want := map[string]string{
		"day": "DATE", "network": "STRING", "seconds": "INT(8,false)",
		"policy": "INT(32,false)", "propensity": "DOUBLE", "mos": "DOUBLE", "region": "STRING",
	}
	for _, f := range file.Schema().Fields() {
		if got, ok := want[f.Name()]; ok {
			delete(want, f.Name())
			if f.Type().String() != got {
				t.Errorf("%s is %s, want %s", f.Name(), f.Type(), got)
			}
		}
		if f.Optional() != (f.Name() == "mos" || strings.HasPrefix(f.Name(), "seen_") || f.Name() == "randomized_stars" ||
			f.Name() == "call_seconds" || slices.Contains([]string{"loss_before", "loss_after", "concealed", "round_trip_ms", "jitter_buffer_ms", "kbps"}, f.Name())) {
			t.Errorf("%s: optional is %v", f.Name(), f.Optional())
		}
	}
	if len(want) > 0 {
		t.Errorf("no columns %v", want)
	}
	data, _ = export(t, w, warehouse.Export{View: "rejects_hourly", Format: warehouse.FormatParquet})
	_, rejects := parquetText(t, data, map[string]string{"day": "Date", "hour": "DateTime"})
	for _, f := range rejects.Schema().Fields() {
		if want := "TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS)"; f.Name() == "hour" && f.Type().String() != want {
			t.Errorf("hour is %s, want %s", f.Type(), want)
		}
	}
	for i, c := range file.Metadata().RowGroups[0].Columns {
		if name := file.Schema().Fields()[i].Name(); name == "network" && c.MetaData.DictionaryPageOffset == 0 {
			t.Errorf("%s has no dictionary", name)
		}
	}
}

// A large answer is written in several row groups.
func TestParquetRowGroups(t *testing.T) {
	w := stored(t, 1)
	defer warehouse.SmallRowGroups(25)()
	data, n := export(t, w, warehouse.Export{View: "call_quality", Format: warehouse.FormatParquet})
	_, file := parquetText(t, data, nil)
	if got := len(file.RowGroups()); n != 60 || got != 3 {
		t.Errorf("%d rows in %d row groups, want 60 in 3", n, got)
	}
}

func TestExportOfDays(t *testing.T) {
	t.Parallel()
	w := stored(t, 1)
	day := time.Unix(baseHour*3600, 0).UTC()
	for _, tc := range []struct {
		name         string
		since, until time.Time
		want         uint64
	}{
		{"since", day.AddDate(0, 0, 1), time.Time{}, 40},
		{"until", time.Time{}, day.AddDate(0, 0, 1), 20},
		{"both", day.AddDate(0, 0, 1), day.AddDate(0, 0, 2), 20},
		{"none", day.AddDate(0, 0, 9), time.Time{}, 0},
	} {
		for _, format := range []warehouse.Format{warehouse.FormatCSV, warehouse.FormatParquet} {
			e := warehouse.Export{View: "call_quality", Since: tc.since, Until: tc.until, Format: format}
			if _, n := export(t, w, e); n != tc.want {
				t.Errorf("%s, %s: %d rows, want %d", tc.name, format, n, tc.want)
			}
		}
	}
}

// What a view does not show is not exported.
func TestExportSuppressesSmallGroups(t *testing.T) {
	t.Parallel()
	w := stored(t, 21) // 20 a day
	for _, view := range warehouse.ViewNames() {
		if view == "network_quality" {
			continue // all days together are enough
		}
		if text, n := export(t, w, warehouse.Export{View: view, Format: warehouse.FormatCSV}); n != 0 || bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s: %d rows", view, n)
		}
	}
}

func TestExportErrors(t *testing.T) {
	t.Parallel()
	w := stored(t, 1)
	day := time.Unix(baseHour*3600, 0).UTC()
	full := errors.New("disk full")
	for _, tc := range []struct {
		name   string
		export warehouse.Export
		out    io.Writer
		want   string
	}{
		{"table", warehouse.Export{View: "calls", Format: warehouse.FormatCSV}, io.Discard, `no view "calls"`},
		{"injection", warehouse.Export{View: "segments; DROP TABLE calls", Format: warehouse.FormatCSV}, io.Discard, "no view"},
		{"format", warehouse.Export{View: "segments", Format: "xlsx"}, io.Discard, `no format "xlsx"`},
		{"days", warehouse.Export{View: "network_quality", Since: day, Format: warehouse.FormatCSV}, io.Discard, "sums up all days"},
		{"csv", warehouse.Export{View: "segments", Format: warehouse.FormatCSV}, failing{full}, "disk full"},
		{"parquet", warehouse.Export{View: "segments", Format: warehouse.FormatParquet}, failing{full}, "disk full"},
	} {
		if _, err := w.Export(t.Context(), tc.export, tc.out); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	empty := open(t, warehousetest.Database(t))
	if _, err := empty.Export(t.Context(), warehouse.Export{View: "segments", Format: warehouse.FormatCSV}, io.Discard); err == nil || !strings.Contains(err.Error(), "they make the tables") {
		t.Errorf("without tables: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Another reader of Parquet, that of a current ClickHouse, finds in a file what the view says.
func TestParquetReadByAnotherProgram(t *testing.T) {
	t.Parallel()
	engine := onEngine(t)
	w, conn := migratedFor(t, 1)
	rng := rand.New(rand.NewPCG(73, 74))
	insert(t, w, randomReports(rng, 200, 6)...)
	for view, columns := range map[string]string{
		"segments": "count(), countIf(isNull(mos)), sum(propensity_millionths), uniqExact(network, region, codec, transport), " +
			"toString(min(day)), max(weight), sum(ifNull(randomized_stars, 0)), max(policy)",
		"cells_daily": "count(), sum(reports), uniqExact(day, origin, region, network), toString(max(day)), countIf(isNaN(median_quality))",
	} {
		data, _ := export(t, w, warehouse.Export{View: view, Format: warehouse.FormatParquet})
		path := filepath.Join(t.TempDir(), view+".parquet")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		want := rowsOf(t, conn, "SELECT "+columns+" FROM "+view)
		got := rowsOf(t, engine.conn, "SELECT "+columns+" FROM file('"+path+"', Parquet)")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", view, diff)
		}
	}
}
