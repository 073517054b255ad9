package warehouse_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/internal/synthetic"
)

var updateQueries = flag.Bool("update-queries", false, "write docs/queries.md")

const queriesPage = "../../docs/queries.md"

// The page shows what the queries answer, on the server and on a current engine.
func TestQueriesPage(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, empty func(testing.TB) database) {
		w := empty(t).open()
		// A current engine deletes by itself what is past its time, and time passes.
		if err := w.MigrateWith(t.Context(), warehouse.Settings{Retention: 50 * 365 * 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		got := page(t, w)
		if *updateQueries {
			if err := os.WriteFile(queriesPage, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(queriesPage)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("docs/queries.md is out of date; run this test with -update-queries:\n%s", diff)
		}
	})
}

// page fills a warehouse with the synthetic data and writes docs/queries.md from its answers.
func page(t *testing.T, w *warehouse.Warehouse) string {
	t.Helper()
	reports := synthetic.Calls(1)
	insert(t, w, reports...)
	insert(t, w, reports[:5000]...) // copies change nothing
	if err := w.CountRejects(t.Context(), synthetic.Rejects()); err != nil {
		t.Fatal(err)
	}
	intro, err := os.ReadFile("testdata/queries_intro.md")
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString(strings.ReplaceAll(string(intro), "CALLS", strconv.Itoa(len(reports))))
	for _, q := range warehouse.Queries() {
		answer, err := w.Ask(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Rows) == 0 {
			t.Errorf("%s has no answer", q.Name)
		}
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n`attune warehouse query %s`\n\n```sql\n%s\n```\n\n```text\n%s```\n", q.Title, q.About, q.Name, q.SQL, answer)
	}
	return page.String()
}

// Every file of queries is listed, explained, and reads views only.
func TestQueriesAreListed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("queries/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, q := range warehouse.Queries() {
		names = append(names, q.Name)
		if q.Title == "" || q.About == "" || q.SQL == "" {
			t.Errorf("%s lacks a title, an explanation or its SQL: %+v", q.Name, q)
		}
		if other := q.Of(telemetry.OriginSimulation).SQL; strings.Contains(q.SQL, "rejects") != (other == q.SQL) || strings.Contains(other, "'call'") {
			t.Errorf("%s does not say whose calls it asks about, or not everywhere:\n%s", q.Name, other)
		}
		allowed := append(warehouse.ViewNames(), "schema_settings", "(")
		words := strings.Fields(q.SQL)
		for i, word := range words[:len(words)-1] {
			if next := strings.TrimRight(words[i+1], ",)"); strings.EqualFold(word, "from") && !slices.Contains(allowed, next) {
				t.Errorf("%s reads %s, which is not a view for people", q.Name, next)
			}
		}
	}
	if len(files) != len(names) {
		t.Errorf("%d files and %d queries", len(files), len(names))
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(files) {
		t.Error("a query is listed twice")
	}
}

// The synthetic data are the same in every run, valid, and their ids differ.
func TestSyntheticData(t *testing.T) {
	t.Parallel()
	reports, again := synthetic.Calls(7), synthetic.Calls(7)
	if !reflect.DeepEqual(reports, again) || reports[0].ID == synthetic.Calls(8)[0].ID { // cmp.Equal takes long under the race detector
		t.Error("the data do not follow from the seed")
	}
	ids := make(map[[16]byte]bool)
	for i := range reports {
		ids[reports[i].ID] = true
		if err := reports[i].Validate(); err != nil {
			t.Fatalf("report %d: %v", i, err)
		}
	}
	if len(ids) != synthetic.Days*synthetic.CallsPerDay {
		t.Errorf("%d ids of %d reports", len(ids), len(reports))
	}
}
