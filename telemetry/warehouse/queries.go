package warehouse

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"github.com/attune-calls/attune/telemetry"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// queryNames are the example queries in the order of docs/queries.md.
var queryNames = []string{
	"poor_networks", "worst_cells", "poor_by_week", "traffic", "before_after", "explored_actions", "overlap",
	"ratings_by_network", "problems_by_network", "rejects_by_reason",
}

// Query is an example of what a data team may ask the views: a starting point to copy and change.
type Query struct {
	Name  string // of its file, without .sql
	Title string
	About string // what the answer means, in a few sentences
	SQL   string
}

// Queries lists the examples.
func Queries() []Query {
	var list []Query
	for _, name := range queryNames {
		text, err := queryFiles.ReadFile("queries/" + name + ".sql")
		if err != nil {
			panic(err) // it is compiled in
		}
		list = append(list, parseQuery(name, string(text)))
	}
	return list
}

// Of is the query asked of calls of another origin than real ones.
func (q Query) Of(o telemetry.Origin) Query {
	q.SQL = strings.ReplaceAll(q.SQL, realCalls, "origin = '"+o.String()+"'")
	return q
}

// realCalls is the condition in every query of the origin that people mean when they ask about calls.
const realCalls = "origin = 'call'"

// parseQuery reads a file of queries: comment lines, of which the first is the title, and then the SQL.
func parseQuery(name, text string) Query {
	q := Query{Name: name}
	var about []string
	for {
		line, rest, _ := strings.Cut(text, "\n")
		comment, ok := strings.CutPrefix(line, "-- ")
		if !ok {
			break
		}
		about, text = append(about, comment), rest
	}
	if len(about) > 0 {
		q.Title, q.About = about[0], strings.Join(about[1:], " ")
	}
	q.SQL = strings.TrimSpace(text)
	return q
}

// Ask answers an example query. Tables of a newer program give a NewerSchemaError.
func (w *Warehouse) Ask(ctx context.Context, q Query) (Table, error) {
	var t Table
	if err := w.refuseNewer(ctx); err != nil {
		return t, err
	}
	err := w.eachRow(ctx, q.SQL,
		func(columns []Column) error { t.Columns = columns; return nil },
		func(values []any) error { t.Rows = append(t.Rows, append([]any(nil), values...)); return nil })
	if err != nil {
		return Table{}, fmt.Errorf("ask %s of %s: %w%s", q.Name, w.where, err, tableHint(err))
	}
	return t, nil
}

// String is the table as text: names, a line, and the rows; numbers to the right.
func (t Table) String() string {
	lines := make([][]string, 0, len(t.Rows)+1)
	widths := make([]int, len(t.Columns))
	header := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		header[i] = c.Name
	}
	lines = append(lines, header)
	for _, row := range t.Rows {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = t.Columns[i].Text(v)
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for i, text := range line {
			widths[i] = max(widths[i], len(text))
		}
	}
	var b strings.Builder
	for n, line := range lines {
		for i, text := range line {
			if i > 0 {
				b.WriteString("  ")
			}
			switch pad := strings.Repeat(" ", widths[i]-len(text)); {
			case t.Columns[i].numeric():
				b.WriteString(pad + text)
			case i == len(line)-1:
				b.WriteString(text)
			default:
				b.WriteString(text + pad)
			}
		}
		b.WriteByte('\n')
		if n == 0 {
			for i, width := range widths {
				if i > 0 {
					b.WriteString("  ")
				}
				b.WriteString(strings.Repeat("-", width))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// numeric reports whether the column holds numbers.
func (c Column) numeric() bool {
	base := c.base()
	return strings.HasPrefix(base, "UInt") || strings.HasPrefix(base, "Int") || strings.HasPrefix(base, "Float")
}
