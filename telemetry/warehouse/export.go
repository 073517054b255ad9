package warehouse

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// Format is how an export is written.
type Format string

// The formats of Export.
const (
	FormatParquet Format = "parquet"
	FormatCSV     Format = "csv"
)

// Export says what to write.
type Export struct {
	View  string    // one of ViewNames
	Since time.Time // first day; zero = from the beginning
	Until time.Time // first day left out; zero = to the end
	// Origins selects calls by where they took place; none = all. Refused reports have no origin.
	Origins []telemetry.Origin
	Format  Format
}

// viewsWithoutDay sum up all days, viewsWithoutOrigin are not of calls.
var (
	viewsWithoutDay    = []string{"network_quality"}
	viewsWithoutOrigin = []string{"rejects_hourly"}
)

// Validate reports a view or format that there is not, and days for a view that has none.
func (e Export) Validate() error {
	if e.Format != FormatParquet && e.Format != FormatCSV {
		return fmt.Errorf("export: no format %q, want %s or %s", e.Format, FormatParquet, FormatCSV)
	}
	_, err := e.query()
	return err
}

// query is the SQL of what is written. Views with a row per call or segment are read as the server has them: sorting
// would take its memory.
func (e Export) query() (string, error) {
	views := ViewNames()
	if !slices.Contains(views, e.View) {
		return "", fmt.Errorf("export: no view %q, want one of %s", e.View, strings.Join(views, ", "))
	}
	query := "SELECT * FROM " + e.View
	var conditions []string
	for _, bound := range []struct {
		day        time.Time
		comparison string
	}{{e.Since, ">="}, {e.Until, "<"}} {
		if !bound.day.IsZero() {
			conditions = append(conditions, fmt.Sprintf("day %s %s", bound.comparison, sqlDate(bound.day)))
		}
	}
	if len(conditions) > 0 && slices.Contains(viewsWithoutDay, e.View) {
		return "", fmt.Errorf("export: %s sums up all days: leave out the first and the last day", e.View)
	}
	if len(e.Origins) > 0 && !slices.Contains(viewsWithoutOrigin, e.View) {
		conditions = append(conditions, Filter{Origins: e.Origins}.origins())
	}
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	if key, ok := viewOrder[e.View]; ok {
		query += " ORDER BY " + key
	}
	return query, nil
}

// viewOrder has the key of each view of groups.
var viewOrder = map[string]string{
	"calls_daily": "day, origin, network", "cells_daily": "day, origin, region, network",
	"network_quality": "origin, network, policy, experiment, arm", "ratings_daily": "day, origin, network, measure",
	"rejects_hourly": "day, hour, reason",
}

// rowWriter writes an answer in some format.
type rowWriter interface {
	start(columns []Column) error
	row(values []any) error
	close() error
}

// Export writes a view to out and returns the number of rows. It holds a bounded part of the answer in memory: a block
// of the server and, for Parquet, one row group. What the views do not show is not exported either. After an error out
// holds a part of the file, which no reader of Parquet takes for a whole one. Tables of a newer program give a
// NewerSchemaError.
func (w *Warehouse) Export(ctx context.Context, e Export, out io.Writer) (rows uint64, err error) {
	if err := e.Validate(); err != nil {
		return 0, err
	}
	query, err := e.query()
	if err != nil {
		return 0, err
	}
	if err := w.refuseNewer(ctx); err != nil {
		return 0, err
	}
	var writer rowWriter = &parquetWriter{out: out}
	if e.Format == FormatCSV {
		writer = &csvWriter{csv: csv.NewWriter(out)}
	}
	err = w.eachRow(ctx, query, writer.start, func(values []any) error {
		rows++
		return writer.row(values)
	})
	if err == nil {
		err = writer.close()
	}
	if err != nil {
		return rows, fmt.Errorf("export %s of %s: %w%s", e.View, w.where, err, tableHint(err))
	}
	return rows, nil
}

// csvWriter writes RFC 4180 with a line of names first. NULL is an empty field.
type csvWriter struct {
	csv     *csv.Writer
	columns []Column
	fields  []string
}

func (c *csvWriter) start(columns []Column) error {
	c.columns, c.fields = columns, make([]string, len(columns))
	for i := range columns {
		c.fields[i] = columns[i].Name
	}
	return c.csv.Write(c.fields)
}

func (c *csvWriter) row(values []any) error {
	for i, v := range values {
		c.fields[i] = c.columns[i].Text(v)
	}
	return c.csv.Write(c.fields)
}

func (c *csvWriter) close() error {
	c.csv.Flush()
	return c.csv.Error()
}
