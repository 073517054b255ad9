package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// benchSink measures Insert next to the same block sent ready-made: the columns are read back once as the server holds
// them, encoded once, and then only sent. What is left is the wire and the server.
func benchSink(ctx context.Context, dir string, r *report) (err error) {
	server, err := warehouse.StartManaged(ctx, warehouse.ManagedConfig{Dir: filepath.Join(dir, "clickhouse")})
	if err != nil {
		return err
	}
	defer func() { err = closing(err, server.Close) }()
	for _, size := range []struct{ reports, least, most int }{{10_000, 45, 45}, {20_000, 5, 15}} {
		s := &sink{server: server, reports: calls(uint64(size.most), size.reports, size.least, size.most)}
		if err := s.open(ctx); err != nil {
			return err
		}
		err := s.measure(ctx, fmt.Sprintf("%d segments", (size.least+size.most)/2), r)
		if err := closing(err, s.store.Close, s.conn.Close); err != nil {
			return err
		}
	}
	return nil
}

// sink is one block and two ways to insert it.
type sink struct {
	server  *warehouse.Managed
	store   *warehouse.Warehouse
	conn    driver.Conn
	reports []telemetry.Report
	query   string
	block   []byte
}

func (s *sink) open(ctx context.Context) (err error) {
	if s.store, err = warehouse.Open(ctx, s.server.DSN()); err != nil {
		return err
	}
	if s.conn, err = connect(s.server.DSN()); err != nil {
		return err
	}
	if err := s.store.Migrate(ctx); err != nil {
		return err
	}
	return s.prepare(ctx)
}

func connect(dsn string) (driver.Conn, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("address of the benchmark's own ClickHouse: %w", err)
	}
	return clickhouse.Open(options)
}

// prepare stores the reports, reads them back in the order of the table, which spares the server a sort, and encodes the
// block. The reports for Insert are shuffled, as they arrive.
func (s *sink) prepare(ctx context.Context) error {
	if err := s.conn.Exec(ctx, "TRUNCATE TABLE calls"); err != nil {
		return err
	}
	if err := s.store.Insert(ctx, s.reports); err != nil {
		return err
	}
	var names []string
	rows, err := s.conn.Query(ctx, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'calls'")
	if err != nil {
		return err
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := closing(rows.Err(), rows.Close); err != nil {
		return err
	}
	list := strings.Join(names, ", ")
	s.query = "INSERT INTO calls (" + list + ")"
	batch, err := s.conn.PrepareBatch(ctx, s.query)
	if err != nil {
		return err
	}
	defer func() { _ = batch.Abort() }()
	rows, err = s.conn.Query(ctx, "SELECT "+list+" FROM calls ORDER BY day, network, id")
	if err != nil {
		return err
	}
	byID := make(map[telemetry.ReportID]telemetry.Report, len(s.reports))
	for i := range s.reports {
		byID[s.reports[i].ID] = s.reports[i]
	}
	s.reports = s.reports[:0]
	for rows.Next() {
		row := make([]any, len(names))
		for i, t := range rows.ColumnTypes() {
			row[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(row...); err != nil {
			return err
		}
		for i := range row {
			row[i] = reflect.ValueOf(row[i]).Elem().Interface()
			if id, ok := row[i].(uuid.UUID); ok {
				s.reports = append(s.reports, byID[telemetry.ReportID(id)])
			}
		}
		if err := batch.Append(row...); err != nil {
			return err
		}
	}
	if err := closing(rows.Err(), rows.Close); err != nil {
		return err
	}
	if len(s.reports) != len(byID) {
		return fmt.Errorf("%d reports read back of %d", len(s.reports), len(byID))
	}
	var buffer proto.Buffer
	for _, c := range batch.Columns() {
		c.Encode(&buffer)
	}
	s.block = buffer.Buf
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(s.reports), func(i, j int) { // as they arrive
		s.reports[i], s.reports[j] = s.reports[j], s.reports[i]
	})
	return nil
}

// raw sends the ready block.
func (s *sink) raw(ctx context.Context) error {
	batch, err := s.conn.PrepareBatch(ctx, s.query)
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }()
	reader := proto.NewReader(bytes.NewReader(s.block))
	for _, c := range batch.Columns() {
		if err := c.Decode(reader, len(s.reports)); err != nil {
			return err
		}
	}
	return batch.Send()
}

// measure inserts in turns, the order of a turn changing each time.
func (s *sink) measure(ctx context.Context, what string, r *report) error {
	const turns = 12
	ways := []func() error{
		func() error { return s.store.Insert(ctx, s.reports) },
		func() error { return s.raw(ctx) },
	}
	wall, own := make([]time.Duration, len(ways)), make([]time.Duration, len(ways))
	meter, err := startMeter(map[string]int{"clickhouse": s.server.PID()})
	if err != nil {
		return err
	}
	for turn := range turns + 1 {
		for i := range ways {
			way := (i + turn) % len(ways)
			began, cpu := time.Now(), ownCPU()
			if err := ways[way](); err != nil {
				return err
			}
			if turn > 0 { // the first warms up
				wall[way] += time.Since(began)
				own[way] += ownCPU() - cpu
			}
		}
	}
	cpu, _, err := meter.read()
	if err != nil {
		return err
	}
	rate := func(way int) float64 { return float64(turns*len(s.reports)) / wall[way].Seconds() }
	f := least("sink: Insert against a raw native insert, "+what, rate(0)/rate(1), "of its rows/s", 0.5)
	f.CPUSeconds = cpu
	f.Note = fmt.Sprintf("Insert %.0f rows/s, raw %.0f rows/s; blocks of %d reports; processor time on our side %.1f us a report, raw %.1f us",
		rate(0), rate(1), len(s.reports),
		own[0].Seconds()*1e6/float64(turns*len(s.reports)), own[1].Seconds()*1e6/float64(turns*len(s.reports)))
	f = f.limitedBy("our side works %.1f us a report more than a raw insert, which is %.0f %% of the time it takes", (own[0]-own[1]).Seconds()*1e6/float64(turns*len(s.reports)),
		100*(own[0]-own[1]).Seconds()/wall[0].Seconds())
	r.add(f)
	return nil
}

// closing closes things and keeps the first error.
func closing(err error, closers ...func() error) error {
	for _, c := range closers {
		if fault := c(); err == nil {
			err = fault
		}
	}
	return err
}
