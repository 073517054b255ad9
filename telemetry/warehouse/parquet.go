package warehouse

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// rowGroup is how many rows a row group of a Parquet file has: what is held in memory, a few tens of megabytes for the
// widest view.
var rowGroup int64 = 1 << 16 // a variable, so that tests need few rows

// parquetWriter writes Apache Parquet: the columns in the order of the view, integers of their width, days as DATE, hours
// as TIMESTAMP in UTC, names from a dictionary, NULL where the view has it.
type parquetWriter struct {
	out     io.Writer
	file    *parquet.GenericWriter[any]
	columns []parquetColumn
	pending []parquet.Row // of the columns' values, reused
	rows    int           // of pending
}

// parquetColumn says how values of a column are written.
type parquetColumn struct {
	Column
	node     parquet.Node
	optional bool
}

// batchRows is how many rows go to the writer at once.
const batchRows = 1024

func (p *parquetWriter) start(columns []Column) error {
	root := orderedGroup{Group: parquet.Group{}, order: make(map[string]int)}
	for i, c := range columns {
		node, err := parquetNode(c)
		if err != nil {
			return err
		}
		column := parquetColumn{Column: c, node: node, optional: c.nullable()}
		if column.optional {
			column.node = parquet.Optional(node)
		}
		p.columns = append(p.columns, column)
		root.Group[c.Name], root.order[c.Name] = column.node, i
	}
	p.file = parquet.NewGenericWriter[any](p.out, parquet.NewSchema("attune", root), parquet.MaxRowsPerRowGroup(rowGroup),
		parquet.Compression(&parquet.Snappy), parquet.CreatedBy("attune", "", ""))
	p.pending = make([]parquet.Row, batchRows)
	return nil
}

// orderedGroup is a group whose fields keep the order of the view; parquet.Group sorts them by name.
type orderedGroup struct {
	parquet.Group
	order map[string]int
}

func (g orderedGroup) Fields() []parquet.Field {
	fields := g.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int { return cmp.Compare(g.order[a.Name()], g.order[b.Name()]) })
	return fields
}

// parquetNode is the type of a column.
func parquetNode(c Column) (parquet.Node, error) {
	switch base := c.base(); base {
	case "Bool":
		return parquet.Leaf(parquet.BooleanType), nil
	case "UInt8":
		return parquet.Uint(8), nil
	case "UInt16":
		return parquet.Uint(16), nil
	case "UInt32":
		return parquet.Uint(32), nil
	case "UInt64":
		return parquet.Uint(64), nil
	case "Int8":
		return parquet.Int(8), nil
	case "Int16":
		return parquet.Int(16), nil
	case "Int32":
		return parquet.Int(32), nil
	case "Int64":
		return parquet.Int(64), nil
	case "Float32", "Float64":
		return parquet.Leaf(parquet.DoubleType), nil
	case "Date":
		return parquet.Date(), nil
	case "DateTime":
		return parquet.Timestamp(parquet.Millisecond), nil
	case "String", "FixedString", "Enum8", "Enum16":
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary), nil
	default:
		return nil, fmt.Errorf("column %s: no Parquet type for %s", c.Name, c.Type)
	}
}

func (p *parquetWriter) row(values []any) error {
	row := p.pending[p.rows][:0]
	for i := range p.columns {
		row = append(row, p.columns[i].value(values[i], i))
	}
	p.pending[p.rows] = row
	p.rows++
	if p.rows == batchRows {
		return p.flush()
	}
	return nil
}

// value gives v the levels of column i: definition level 1 says that an optional value is there.
func (c *parquetColumn) value(v any, i int) parquet.Value {
	if v == nil {
		return parquet.NullValue().Level(0, 0, i)
	}
	level := 0
	if c.optional {
		level = 1
	}
	return c.plainValue(v).Level(0, level, i)
}

func (c *parquetColumn) plainValue(v any) parquet.Value {
	switch v := v.(type) {
	case string:
		return parquet.ByteArrayValue([]byte(v))
	case bool:
		return parquet.BooleanValue(v)
	case float64:
		return parquet.DoubleValue(v)
	case time.Time:
		if c.base() == "Date" {
			return parquet.Int32Value(int32(v.Unix() / 86400))
		}
		return parquet.Int64Value(v.UnixMilli())
	}
	number := reflect.ValueOf(v) // an integer, as plain promises; Parquet stores unsigned ones by their bits
	var bits int64
	if number.CanUint() {
		bits = int64(number.Uint())
	} else {
		bits = number.Int()
	}
	if number.Type().Size() == 8 {
		return parquet.Int64Value(bits)
	}
	return parquet.Int32Value(int32(bits))
}

func (p *parquetWriter) flush() error {
	_, err := p.file.WriteRows(p.pending[:p.rows])
	p.rows = 0
	return err
}

func (p *parquetWriter) close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.file.Close()
}
