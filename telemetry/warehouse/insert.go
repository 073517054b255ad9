package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/attune-calls/attune/telemetry"
)

// Reject is one report that was refused.
type Reject struct {
	Hour     uint32 // it arrived, in hours since 1970-01-01 00:00 UTC
	Reason   telemetry.RejectReason
	Sequence uint64 // its number in the stream: a second delivery counts once
}

var (
	insertCalls   = "INSERT INTO calls (" + strings.Join(insertColumns(), ", ") + ")"
	insertRejects = "INSERT INTO rejects (day, hour, reason, sequence)"
)

func insertColumns() []string {
	var list []string
	for _, c := range callColumns() {
		list = append(list, c[0])
	}
	for i := range segmentColumns {
		list = append(list, "segment."+segmentColumns[i].name)
	}
	return list
}

// Insert stores reports as one block: after a nil error all of them are in the table. After an error they may be in the
// table or not; insert the same reports again, copies count once. The reports must be valid.
func (w *Warehouse) Insert(ctx context.Context, reports []telemetry.Report) error {
	if len(reports) == 0 {
		return nil
	}
	err := w.insert(ctx, insertCalls, func(batch driver.Batch) error { return appendReports(batch, reports) })
	if err != nil {
		return fmt.Errorf("insert %d reports into %s: %w%s", len(reports), w.where, err, tableHint(err))
	}
	return nil
}

// CountRejects stores refused reports, under the same promise as Insert.
func (w *Warehouse) CountRejects(ctx context.Context, rejects []Reject) error {
	if len(rejects) == 0 {
		return nil
	}
	err := w.insert(ctx, insertRejects, func(batch driver.Batch) error { return appendRejects(batch, rejects) })
	if err != nil {
		return fmt.Errorf("count %d rejects in %s: %w%s", len(rejects), w.where, err, tableHint(err))
	}
	return nil
}

// insert sends one block. A batch whose Send failed is never sent again: its rows may have arrived.
func (w *Warehouse) insert(ctx context.Context, query string, fill func(driver.Batch) error) error {
	if w.atLeast(20, 1) {
		// Reports of very different months must not fail the batch they are in.
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_partitions_per_insert_block": 0}))
	}
	batch, err := w.conn.PrepareBatch(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }() // does nothing after Send; after a failed fill it ends the insert without rows
	if err := fill(batch); err != nil {
		return err
	}
	return batch.Send()
}

// appendReports fills the columns one after the other, in the order of callColumns.
func appendReports(batch driver.Batch, reports []telemetry.Report) error {
	b := newBlockWriter(batch)
	appendColumn(b, reports, func(r *telemetry.Report) uuid.UUID { return uuid.UUID(r.ID) })
	appendColumn(b, reports, func(r *telemetry.Report) time.Time { return hourTime(r.Hour) })
	appendColumn(b, reports, func(r *telemetry.Report) time.Time { return hourTime(r.Hour) })
	appendColumn(b, reports, func(r *telemetry.Report) uint16 { return r.Schema })
	appendColumn(b, reports, func(r *telemetry.Report) uint8 { return r.Stack })
	appendColumn(b, reports, func(r *telemetry.Report) int8 { return int8(r.Origin) })
	appendColumn(b, reports, func(r *telemetry.Report) int8 { return int8(r.Context.Network) })
	appendColumn(b, reports, func(r *telemetry.Report) int8 { return int8(r.Context.Metered) })
	appendColumn(b, reports, func(r *telemetry.Report) string { return r.Context.Region.String() })
	appendColumn(b, reports, func(r *telemetry.Report) int8 { return int8(r.Context.Device) })
	appendColumn(b, reports, func(r *telemetry.Report) int8 { return int8(r.Context.TimeOfDay) })
	appendColumn(b, reports, func(r *telemetry.Report) int8 { return int8(r.Context.Reach) })
	appendColumn(b, reports, func(r *telemetry.Report) int8 { return int8(r.Stage) })
	appendColumn(b, reports, func(r *telemetry.Report) uint8 { return oneIf(r.Dropped) })
	appendColumn(b, reports, func(r *telemetry.Report) uint8 { return uint8(r.Duration) })
	appendColumn(b, reports, func(r *telemetry.Report) uint8 { return r.Stars })
	appendColumn(b, reports, func(r *telemetry.Report) uint16 { return uint16(r.Problem) })
	b.appendRefusals(reports)
	appendColumn(b, reports, func(r *telemetry.Report) uint32 { return r.LostSegments })
	appendColumn(b, reports, func(r *telemetry.Report) uint32 { return r.LostReports })
	b.appendSegments(reports)
	return b.err
}

func appendRejects(batch driver.Batch, rejects []Reject) error {
	b := newBlockWriter(batch)
	appendColumn(b, rejects, func(r *Reject) time.Time { return hourTime(r.Hour) })
	appendColumn(b, rejects, func(r *Reject) time.Time { return hourTime(r.Hour) })
	appendColumn(b, rejects, func(r *Reject) int8 { return int8(r.Reason) })
	appendColumn(b, rejects, func(r *Reject) uint64 { return r.Sequence })
	return b.err
}

func hourTime(hour uint32) time.Time { return time.Unix(int64(hour)*3600, 0).UTC() }

func oneIf(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
