package warehouse

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/attune-calls/attune/telemetry"
)

// RawInsert encodes reports once and returns a function that sends the ready block: what the wire and the server cost,
// without anything Insert does to get there.
func (w *Warehouse) RawInsert(ctx context.Context, reports []telemetry.Report) (send func() error, err error) {
	var block proto.Buffer
	err = w.insert(ctx, insertCalls, "", func(batch driver.Batch) error {
		if err := appendReports(batch, Block{Reports: reports}.sorted()); err != nil {
			return err
		}
		for _, c := range batch.Columns() {
			c.Encode(&block)
		}
		return nil
	})
	return func() error {
		return w.insert(ctx, insertCalls, "", func(batch driver.Batch) error {
			r := proto.NewReader(bytes.NewReader(block.Buf))
			for _, c := range batch.Columns() {
				if err := c.Decode(r, len(reports)); err != nil {
					return err
				}
			}
			return nil
		})
	}, err
}

// Tables is every statement that makes the tables of the newest schema on a server of a version.
func Tables(major, minor uint64) []string {
	return dialect{features: featuresOf(major, minor), retention: Settings{}.withDefaults().Retention}.tables()
}

const SchemaVersionForTest = schemaVersion

// SmallQueries makes EachSegment split days into parts of n legs and batches of m rows.
func SmallQueries(n uint64, m int) (restore func()) {
	oldLegs, oldRows := legsPerQuery, segmentBatchRows
	legsPerQuery, segmentBatchRows = n, m
	return func() { legsPerQuery, segmentBatchRows = oldLegs, oldRows }
}

// LockTimes sets how often the owner of a migration shows that it lives, and when it counts as dead.
func (w *Warehouse) LockTimes(beat, stale time.Duration) { w.lockBeat, w.lockStale = beat, stale }

// DieAfter makes everything fail after n more statements, as if the process were killed: the last of them is executed,
// but its answer never comes.
func (w *Warehouse) DieAfter(n int) (died func() bool) {
	c := &dyingConn{Conn: w.conn}
	w.conn = c
	c.counts = func(string) bool { n--; return n == 0 }
	return c.dead.Load
}

// DieAfterNew is DieAfter for the first statement that is not in done, and adds it. Those of the lock do not count. With
// partly, a statement that copies rows copies only some, and those of views do not count: they are the same without.
func (w *Warehouse) DieAfterNew(done map[string]bool, partly bool) (died func() bool) {
	c := &dyingConn{Conn: w.conn, partly: partly}
	w.conn = c
	c.counts = func(query string) bool {
		if done[query] || strings.Contains(query, lockPrefix) || partly && strings.Contains(query, " VIEW ") {
			return false
		}
		done[query] = true
		return true
	}
	return c.dead.Load
}

var errKilled = errors.New("killed")

type dyingConn struct {
	driver.Conn
	mu     sync.Mutex
	counts func(query string) bool // the last one
	dead   atomic.Bool
	partly bool
}

func (c *dyingConn) Exec(ctx context.Context, query string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		return errKilled
	}
	last := c.counts(query)
	if last && c.partly && strings.HasPrefix(query, "INSERT INTO") && strings.Contains(query, "_version_1 FINAL") {
		query += " LIMIT 3"
	}
	err := c.Conn.Exec(ctx, query, args...)
	if last {
		c.dead.Store(true)
		return errKilled
	}
	return err
}

func (c *dyingConn) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	if c.dead.Load() {
		return nil, errKilled
	}
	return c.Conn.Query(ctx, query, args...)
}

func (c *dyingConn) QueryRow(ctx context.Context, query string, args ...any) driver.Row {
	if c.dead.Load() {
		return killedRow{}
	}
	return c.Conn.QueryRow(ctx, query, args...)
}

type killedRow struct{}

func (killedRow) Err() error           { return errKilled }
func (killedRow) Scan(...any) error    { return errKilled }
func (killedRow) ScanStruct(any) error { return errKilled }

// LockMigration takes the lock of a migration.
func (w *Warehouse) LockMigration(ctx context.Context) (check func() error, release func(), err error) {
	l, err := w.lockMigration(ctx)
	if err != nil {
		return nil, nil, err
	}
	return func() error { return l.check(ctx) }, l.release, nil
}

// ErrLockLost is what a migration ends with that was taken for dead.
var ErrLockLost = errLockLost

// OnConn is a warehouse on a connection of the test's own, to a server of the given version.
func OnConn(conn driver.Conn, database string, major, minor uint64) *Warehouse {
	w := &Warehouse{conn: conn, database: database, where: "database " + database, lockBeat: lockBeat, lockStale: lockStale}
	w.version.Version.Major, w.version.Version.Minor = major, minor
	return w
}

// Quorum is whether inserts wait for most replicas.
func (w *Warehouse) Quorum(ctx context.Context) (bool, error) {
	err := w.askQuorum(ctx)
	return w.quorum, err
}

// InsertSettings are the settings an insert has on a server of a version.
func InsertSettings(major, minor uint64, token string) map[string]any {
	return featuresOf(major, minor).insertSettings(token, featuresOf(major, minor).quorum)
}

// MethodsForTests are the methods of a Warehouse that this file adds.
var MethodsForTests = []string{"RawInsert", "LockTimes", "DieAfter", "DieAfterNew", "LockMigration", "Quorum"}

// SmallRowGroups makes Parquet files of row groups of n rows.
func SmallRowGroups(n int64) (restore func()) {
	old := rowGroup
	rowGroup = n
	return func() { rowGroup = old }
}

// DropPartition is the statement that drops a week of a table of a cluster.
func DropPartition(cluster, database, table, id string) string {
	return distributedTable{cluster, database, table}.dropPartition(id)
}
