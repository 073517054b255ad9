package transparency_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry/transparency"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// goldenLog is a log that was signed once: its hashes must not depend on the day of the test.
const goldenLog = "testdata/requests.jsonl"

// wholeReport is a report from every kind of source.
func wholeReport(t testing.TB) *transparency.Report {
	t.Helper()
	w, _ := newWarehouse(t)
	fill(t, w, seeded)
	refuse(t, w)
	s := sources(t, w)
	s.JetStream = newStreams(t)
	s.Policies = transparency.Policies{Known: true, InForce: 2, Threshold: 2, Keys: 3, List: []transparency.Policy{
		{Version: 1, Created: since, Expires: until, Arms: 1, Bytes: 4000, SHA256: strings.Repeat("ab", 32)},
		{Version: 2, Created: since.Add(100 * time.Hour), Expires: until, Experiment: 7, Arms: 2, Bytes: 4100, SHA256: strings.Repeat("cd", 32)},
	}}
	key, err := transparency.LoadPublicKey("testdata/requests.public")
	if err != nil {
		t.Fatal(err)
	}
	if s.Log, err = os.ReadFile(goldenLog); err != nil {
		t.Fatal(err)
	}
	s.Trusted = []transparency.PublicKey{key}
	return gather(t, s)
}

// settle puts constants where a figure depends on the server or the day of the test, and leaves a few fields and columns
// for the golden files: that all of them are there is tested on its own.
func settle(r *transparency.Report) {
	r.Held.Bytes = 123_456
	r.Database.Server = "18.16.1"
	r.Database.Tables = slices.DeleteFunc(r.Database.Tables, func(t transparency.Table) bool {
		return t.Name != "calls" && t.Name != "rejects" && t.Name != "calls_daily"
	})
	for i := range r.Database.Tables {
		t := &r.Database.Tables[i]
		t.Bytes, t.RemovedBytes = uint64(1000*(i+1)), 0
		t.Columns = t.Columns[:min(4, len(t.Columns))]
	}
	for i := range r.Streams.List {
		stream := &r.Streams.List[i]
		stream.Bytes = 100
		if stream.Oldest != nil {
			at := since.Add(9 * time.Hour)
			stream.Oldest = &at
		}
	}
	r.Fields = r.Fields[:4]
	for i := range r.Orders {
		for j, why := range r.Orders[i].Why {
			if _, rest, found := strings.Cut(why, " that store anything"); found && strings.HasPrefix(why, "All ") {
				r.Orders[i].Why[j] = "All columns of the tables that store anything" + rest
			}
			if before, _, found := strings.Cut(why, " refused: "); found {
				r.Orders[i].Why[j] = before + " refused: 123.4 KiB on disk."
			}
		}
	}
	for i := range r.Checks { // the texts of the queries are those of the warehouse
		if name, _, found := strings.Cut(r.Checks[i].Command, " --query"); found {
			r.Checks[i].Command = name + " --query ..."
		}
	}
}

func TestGoldenFiles(t *testing.T) {
	r := wholeReport(t)
	settle(r)
	for name, render := range map[string]func() ([]byte, error){"report.md": r.Markdown, "report.json": r.JSON} {
		got, err := render()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not as before (go test -update writes it anew):\n%s", name, diff)
		}
	}
}

func TestJSONIsTheWholeReport(t *testing.T) {
	r := wholeReport(t)
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var again transparency.Report
	if err := decoder.Decode(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &again); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(string(text), ": null") {
		t.Error("a list is null: readers of JSON want an empty one")
	}
}

// TestFigures counts what was put in, without the golden files.
func TestFigures(t *testing.T) {
	r := wholeReport(t)
	if r.Held.Reports != 185 || r.Held.Oldest != "2025-12-30" || r.Held.Newest != "2026-02-02" {
		t.Errorf("held %d from %s to %s", r.Held.Reports, r.Held.Oldest, r.Held.Newest)
	}
	want := []transparency.DayCount{
		{Day: "2026-01-05", Reports: 70, Withheld: 10, Shown: 60, Rated: 60},
		{Day: "2026-01-06", Refused: 2},
		{Day: "2026-01-07", Refused: 1},
		{Day: "2026-01-14", Reports: 105, NotGiven: 55, Shown: 50},
	}
	if diff := cmp.Diff(want, r.Held.Days); diff != "" {
		t.Error(diff)
	}
	week := want[0]
	week.Refused = 3
	if diff := cmp.Diff([]transparency.DayCount{week, {Day: "2026-01-12", Reports: 105, NotGiven: 55, Shown: 50}}, r.Held.Weeks); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]transparency.ReasonCount{{Reason: "malformed", Reports: 1}, {Reason: "action", Reports: 2}}, r.Held.Reasons); diff != "" {
		t.Error(diff)
	}
	// 2025-12-30 is a Tuesday; its week is that of Monday the 29th.
	if end := time.Date(2025, 12, 29, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 90); !r.Held.Deletion.Equal(end) {
		t.Errorf("the oldest goes at %v, want %v", r.Held.Deletion, end)
	}
	withheld := transparency.Withheld{
		Reports: 10, NotGiven: 55, Shown: 110, Cells: 2, SmallestCell: 50, Groups: 3, HiddenGroups: 1, HiddenReports: 10,
	}
	if diff := cmp.Diff(withheld, r.Withheld); diff != "" {
		t.Error(diff)
	}
	if r.Held.Waiting == nil || *r.Held.Waiting != 1 {
		t.Errorf("waiting: %v, want 1", r.Held.Waiting)
	}
	if r.Randomized.Rated != 60 || r.Randomized.StarsTruth != 0.649 || r.Randomized.FlagTruth != 0.881 {
		t.Errorf("%+v", r.Randomized)
	}
	kinds := []transparency.KindCount{
		{Kind: "court-order", Period: 1, Ever: 1}, {Kind: "subpoena", Period: 1, Ever: 1}, {Kind: "user", Ever: 1, Open: 1}, {Kind: "regulator"},
	}
	if diff := cmp.Diff(kinds, r.Requests.Kinds); diff != "" || r.Requests.State != transparency.LogVerified || len(r.Requests.List) != 2 {
		t.Errorf("%+v\n%s", r.Requests, diff)
	}
	if serious := r.Serious(); len(serious) != 0 {
		t.Errorf("%+v", serious)
	}
	if len(r.Findings) != 1 || r.Findings[0].Where != "stream OTHER" {
		t.Errorf("%+v, want a note about the stream of somebody else", r.Findings)
	}
}

// TestNothingIsForgotten looks for every table and column of the database, asked of the database, in each rendering.
func TestNothingIsForgotten(t *testing.T) {
	w, conn := newWarehouse(t)
	r := gather(t, sources(t, w))
	markdown, err := r.Markdown()
	if err != nil {
		t.Fatal(err)
	}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), "SELECT table, name FROM system.columns WHERE database = currentDatabase()")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns := 0
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		columns++
		for name, text := range map[string][]byte{"Markdown": markdown, "HTML": page} {
			if !bytes.Contains(text, []byte(table)) || !bytes.Contains(text, []byte(column)) {
				t.Errorf("%s lacks %s.%s", name, table, column)
			}
		}
	}
	if columns < 60 {
		t.Errorf("only %d columns: the test proves nothing", columns)
	}
	for _, f := range r.Fields {
		if f.Name == "" || f.Says == "" || f.Values == "" || f.Purpose == "" || f.Retired == "" && (f.Review == "" || f.Expires == "") {
			t.Errorf("field %+v is not explained", f)
		}
		if !bytes.Contains(page, []byte(f.Name)) || !bytes.Contains(markdown, []byte(f.Name)) {
			t.Errorf("field %s is missing", f.Name)
		}
	}
	if len(r.Fields) < 50 {
		t.Errorf("only %d fields", len(r.Fields))
	}
	for _, table := range r.Database.Tables {
		if !table.Known {
			t.Errorf("table %s, made by Migrate, is not known", table.Name)
		}
		for _, c := range table.Columns {
			if !c.Known || !table.View && c.Purpose == "" {
				t.Errorf("column %s.%s, made by Migrate, is not explained", table.Name, c.Name)
			}
		}
	}
}

func TestPageIsWellFormedAndSelfContained(t *testing.T) {
	r := wholeReport(t)
	r.About = `<script>alert("1")</script> & more` // nothing that is told may become mark-up
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(page))
	decoder.Entity = xml.HTMLEntity
	ids, links := map[string]bool{}, []string{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "script", "link", "img", "iframe", "object", "embed":
			t.Errorf("the page has a <%s>", start.Name.Local)
		}
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "id":
				ids[a.Value] = true
			case "href", "src":
				links = append(links, a.Value)
			}
		}
	}
	if len(links) < 5 {
		t.Errorf("links %v", links)
	}
	for _, link := range links {
		if target, inside := strings.CutPrefix(link, "#"); !inside || !ids[target] {
			t.Errorf("link to %q", link)
		}
	}
	if bytes.Contains(page, []byte("url(")) || bytes.Contains(page, []byte("@import")) {
		t.Error("the style refers to something outside")
	}
	if !bytes.Contains(page, []byte("prefers-color-scheme: dark")) || !bytes.Contains(page, []byte("@media print")) {
		t.Error("no style for the dark or for paper")
	}
}

func TestEmptyDatabase(t *testing.T) {
	w, _ := newWarehouse(t)
	r := gather(t, sources(t, w))
	if !strings.HasPrefix(r.Answer[0], "Nothing.") || r.Held.Deletion != nil || r.Held.Oldest != "" {
		t.Errorf("%v, %+v", r.Answer, r.Held)
	}
	if r.Requests.State != transparency.LogEmpty || len(r.Requests.Kinds) != 4 {
		t.Errorf("zero requests must be stated: %+v", r.Requests)
	}
	if _, err := r.HTML(); err != nil {
		t.Error(err)
	}
	text, err := r.Markdown()
	if err != nil || !bytes.Contains(text, []byte("| court-order | 0 | 0 | 0 | 0 |")) {
		t.Errorf("no zero for court orders (%v):\n%s", err, text)
	}
}

func TestSourcesThatAreNotFit(t *testing.T) {
	w, conn := newWarehouse(t)
	for name, change := range map[string]func(*transparency.Sources){
		"no warehouse":  func(s *transparency.Sources) { s.Warehouse = nil },
		"no period":     func(s *transparency.Sources) { s.Until = s.Since },
		"half a day":    func(s *transparency.Sources) { s.Since = s.Since.Add(time.Hour) },
		"negative cell": func(s *transparency.Sources) { s.MinCell = -1 },
	} {
		s := sources(t, w)
		change(&s)
		if r, err := transparency.Gather(t.Context(), s); err == nil || r != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, c := range []struct{ statement, want string }{
		{"INSERT INTO schema_version (version, about, applied) SELECT 99, 'later', now()", "upgrade this program"},
		{"DROP TABLE schema_version", "has no tables"},
		{"CREATE TABLE schema_version (version UInt32) ENGINE = Memory", "has no tables"},
	} {
		execute(t, conn, c.statement)
		if _, err := transparency.Gather(t.Context(), sources(t, w)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("after %q: %v", c.statement, err)
		}
	}
	execute(t, conn, "INSERT INTO schema_version (version) SELECT 1")
	if _, err := transparency.Gather(t.Context(), sources(t, w)); err == nil || !strings.Contains(err.Error(), "attune warehouse migrate") {
		t.Errorf("tables of version 1: %v", err)
	}
}

// TestChecksReproduceTheFigures runs what the report tells its readers to run.
func TestChecksReproduceTheFigures(t *testing.T) {
	w, conn := newWarehouse(t)
	fill(t, w, seeded)
	r := gather(t, sources(t, w))
	queries := warehouse.HoldingsQueries(since, until, 50, "", "")
	if len(queries) < 8 || len(r.Checks) <= len(queries) {
		t.Fatalf("%d queries, %d checks", len(queries), len(r.Checks))
	}
	for i, q := range queries {
		if !strings.Contains(r.Checks[i].Command, q.SQL) {
			t.Errorf("check %q is not the query it was made with: %s", q.Figure, r.Checks[i].Command)
		}
		rows, err := conn.Query(t.Context(), q.SQL)
		if err != nil {
			t.Errorf("%s: %v", q.Figure, err)
			continue
		}
		_ = rows.Close()
	}
}

func TestRetentionEnd(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-05": "2026-04-05", "2026-01-11": "2026-04-05", "2026-01-12": "2026-04-12", "2026-01-04": "2026-03-29",
	} {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := warehouse.RetentionEnd(at.Add(13*time.Hour), 90*24*time.Hour).Format(time.DateOnly); got != want {
			t.Errorf("a report of %s goes on %s, want %s", text, got, want)
		}
	}
}
