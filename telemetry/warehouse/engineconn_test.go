package warehouse_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// engineConn is a connection to the current engine that a Warehouse takes for one to a server. It carries blocks in the
// format Native, which is what a server and its client speak, and reads them with the same client library.
type engineConn struct {
	driver.Conn // what is not overridden here is not used, and would panic
	engine      *engine
	database    string
	dir         string // for the blocks of inserts
	settings    string // of the next inserts, as SQL
}

func (c *engineConn) Close() error               { return nil }
func (c *engineConn) Ping(context.Context) error { return nil }

func (c *engineConn) Exec(ctx context.Context, query string, args ...any) error {
	if len(args) > 0 {
		return errors.New("the engine takes no arguments")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := c.engine.run(c.database, query)
	return err
}

func (c *engineConn) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	if len(args) > 0 {
		return nil, errors.New("the engine takes no arguments")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	native, err := c.engine.run(c.database, query)
	if err != nil {
		return nil, err
	}
	blocks, err := readNative(native)
	if err != nil {
		return nil, err
	}
	return &engineRows{blocks: blocks, row: -1}, nil
}

func (c *engineConn) QueryRow(ctx context.Context, query string, args ...any) driver.Row {
	rows, err := c.Query(ctx, query, args...)
	return engineRow{rows, err}
}

// PrepareBatch asks for the types of the columns, as clickhouse-go does.
func (c *engineConn) PrepareBatch(ctx context.Context, query string, _ ...driver.PrepareBatchOption) (driver.Batch, error) {
	m := regexp.MustCompile(`^INSERT INTO (\w+) \((.*)\)$`).FindStringSubmatch(query)
	if m == nil {
		return nil, fmt.Errorf("not an insert of columns: %.100q", query)
	}
	rows, err := c.Query(ctx, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '"+m[1]+"'")
	if err != nil {
		return nil, err
	}
	types := make(map[string]string)
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, err
		}
		types[name] = kind
	}
	b := &engineBatch{conn: c, table: m[1], names: strings.Split(m[2], ", ")}
	for _, name := range b.names {
		col, err := column.Type(types[name]).Column(name, &column.ServerContext{Timezone: time.UTC})
		if err != nil {
			return nil, fmt.Errorf("column %s of type %q: %w", name, types[name], err)
		}
		b.columns = append(b.columns, col)
	}
	return b, nil
}

var engineBlocks atomic.Int64

type engineBatch struct {
	driver.Batch
	conn    *engineConn
	table   string
	names   []string
	columns []column.Interface
}

func (b *engineBatch) Columns() []column.Interface     { return b.columns }
func (b *engineBatch) Column(i int) driver.BatchColumn { return engineColumn{b.columns[i]} }
func (b *engineBatch) Close() error                    { return nil }

type engineColumn struct{ column column.Interface }

func (c engineColumn) Append(v any) error {
	_, err := c.column.Append(v)
	return err
}
func (c engineColumn) AppendRow(v any) error { return c.column.AppendRow(v) }

// Send writes the block to a file, which the engine inserts as a server does with a block from the network.
func (b *engineBatch) Send() error {
	var out proto.Buffer
	out.PutUVarInt(uint64(len(b.columns)))
	out.PutUVarInt(uint64(b.columns[0].Rows()))
	for i, c := range b.columns {
		out.PutString(b.names[i])
		out.PutString(string(c.Type()))
		c.Encode(&out)
	}
	path := filepath.Join(b.conn.dir, fmt.Sprintf("%d.native", engineBlocks.Add(1)))
	if err := os.WriteFile(path, out.Buf, 0o600); err != nil {
		return err
	}
	quoted := make([]string, len(b.names))
	for i, name := range b.names {
		quoted[i] = "`" + name + "`"
	}
	_, err := b.conn.engine.run(b.conn.database, "INSERT INTO "+b.table+" ("+strings.Join(quoted, ", ")+") FROM INFILE '"+path+"'"+
		b.conn.settings+" FORMAT Native")
	return err
}

// readNative reads blocks: the numbers of columns and rows, and for each column its name, its type and its values.
func readNative(native []byte) ([][]column.Interface, error) {
	var blocks [][]column.Interface
	r := proto.NewReader(bytes.NewReader(native))
	for {
		columns, err := r.UVarInt()
		if errors.Is(err, io.EOF) {
			return blocks, nil
		}
		if err != nil {
			return nil, err
		}
		rows, err := r.Int()
		if err != nil {
			return nil, err
		}
		var block []column.Interface
		for range columns {
			name, err := r.Str()
			if err != nil {
				return nil, err
			}
			kind, err := r.Str()
			if err != nil {
				return nil, err
			}
			c, err := column.Type(kind).Column(name, &column.ServerContext{Timezone: time.UTC})
			if err != nil {
				return nil, err
			}
			if s, ok := c.(column.CustomSerialization); ok {
				if err := s.ReadStatePrefix(r); err != nil {
					return nil, err
				}
			}
			if err := c.Decode(r, rows); err != nil {
				return nil, fmt.Errorf("column %s of type %s: %w", name, kind, err)
			}
			block = append(block, c)
		}
		blocks = append(blocks, block)
	}
}

type engineRows struct {
	driver.Rows
	blocks [][]column.Interface
	block  int
	row    int
}

func (r *engineRows) Next() bool {
	r.row++
	for r.block < len(r.blocks) && r.row >= r.blocks[r.block][0].Rows() {
		r.block++
		r.row = 0
	}
	return r.block < len(r.blocks)
}

func (r *engineRows) Scan(dest ...any) error {
	columns := r.blocks[r.block]
	if len(dest) != len(columns) {
		return fmt.Errorf("%d columns into %d values", len(columns), len(dest))
	}
	for i, c := range columns {
		if err := c.ScanRow(dest[i], r.row); err != nil {
			return fmt.Errorf("column %s: %w", c.Name(), err)
		}
	}
	return nil
}

func (r *engineRows) Err() error   { return nil }
func (r *engineRows) Close() error { return nil }

func (r *engineRows) Columns() []string {
	var names []string
	for _, c := range r.ColumnTypes() {
		names = append(names, c.Name())
	}
	return names
}

func (r *engineRows) ColumnTypes() []driver.ColumnType {
	if len(r.blocks) == 0 {
		return nil
	}
	var types []driver.ColumnType
	for _, c := range r.blocks[min(r.block, len(r.blocks)-1)] {
		types = append(types, engineColumnType{c})
	}
	return types
}

type engineColumnType struct{ column column.Interface }

func (c engineColumnType) Name() string             { return c.column.Name() }
func (c engineColumnType) DatabaseTypeName() string { return string(c.column.Type()) }
func (c engineColumnType) ScanType() reflect.Type   { return c.column.ScanType() }
func (c engineColumnType) Nullable() bool {
	return strings.HasPrefix(string(c.column.Type()), "Nullable")
}

type engineRow struct {
	rows driver.Rows
	err  error
}

func (r engineRow) Err() error { return r.err }

func (r engineRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		return sql.ErrNoRows
	}
	return r.rows.Scan(dest...)
}

func (engineRow) ScanStruct(any) error { return errors.New("not used") }
