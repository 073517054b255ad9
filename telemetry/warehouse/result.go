package warehouse

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Column is a column of an answer.
type Column struct {
	Name string
	Type string // ClickHouse's name, such as UInt64 or Nullable(Float64)
}

// Table is a small answer. A value is a string, a bool, an integer, a float64, a time.Time (of a Date: midnight UTC), or
// nil for NULL.
type Table struct {
	Columns []Column
	Rows    [][]any
}

// answerBlock is how many reports the server takes at a time: what is made of them is a block of the answer, of which a
// few are in memory.
const answerBlock = 4096

// eachRow calls start with the columns of an answer, then row with each of its rows as it arrives: one block of the
// server is in memory, not the answer. The values are those of Table, valid during the call only.
func (w *Warehouse) eachRow(ctx context.Context, query string, start func([]Column) error, row func([]any) error) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_block_size": answerBlock}))
	rows, err := w.conn.Query(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var columns []Column
	var targets []any
	for _, c := range rows.ColumnTypes() {
		columns = append(columns, Column{c.Name(), c.DatabaseTypeName()})
		targets = append(targets, reflect.New(c.ScanType()).Interface())
	}
	if err := start(columns); err != nil {
		return err
	}
	values := make([]any, len(targets))
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i, target := range targets {
			if values[i], err = plain(reflect.ValueOf(target).Elem()); err != nil {
				return fmt.Errorf("column %s: %w", columns[i].Name, err)
			}
		}
		if err := row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// plain turns what clickhouse-go scans into one of the types that Table names.
func plain(v reflect.Value) (any, error) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case time.Time:
		return value.UTC(), nil
	case driver.Valuer:
		return value.Value()
	}
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Float64,
		reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return v.Interface(), nil
	case reflect.Float32:
		return v.Float(), nil
	default:
		return nil, fmt.Errorf("%v is not a type that a view has", v.Type())
	}
}

// Text is a value of the column for people and for CSV: no text for NULL, nan where nothing could be calculated.
func (c Column) Text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case time.Time:
		if c.base() == "Date" {
			return v.Format(time.DateOnly)
		}
		return v.Format(time.RFC3339)
	case float64:
		if math.IsNaN(v) {
			return "nan"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// base is the type without Nullable and LowCardinality, and without arguments.
func (c Column) base() string {
	t := c.Type
	for _, wrapper := range []string{"LowCardinality(", "Nullable("} {
		if inner, ok := strings.CutPrefix(t, wrapper); ok {
			t = strings.TrimSuffix(inner, ")")
		}
	}
	base, _, _ := strings.Cut(t, "(")
	return base
}

// nullable reports whether a value may be NULL.
func (c Column) nullable() bool { return strings.Contains(c.Type, "Nullable(") }
