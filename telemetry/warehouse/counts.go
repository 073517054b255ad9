package warehouse

import (
	"context"

	"github.com/attune-calls/attune/telemetry"
)

// Counts is what the warehouse holds.
type Counts struct {
	Rows       uint64                      // of the table, copies included
	Reports    uint64                      // distinct report ids
	Duplicates uint64                      // Rows - Reports: copies that no merge has removed yet; queries leave them out
	Segments   uint64                      // of the distinct reports
	SegmentsOf map[telemetry.Origin]uint64 // the same by where the call took place; no zeros
	OldestHour uint32                      // in hours since 1970-01-01 00:00 UTC; 0 when there is none
	NewestHour uint32
	Rejected   map[telemetry.RejectReason]uint64 // refused reports by reason, a second delivery counted once
	Origins    map[telemetry.Origin]uint64       // distinct report ids by where the call took place; no zeros
}

// Counts counts everything. It reads the ids of the whole table.
func (w *Warehouse) Counts(ctx context.Context) (Counts, error) {
	c := Counts{SegmentsOf: make(map[telemetry.Origin]uint64), Rejected: make(map[telemetry.RejectReason]uint64), Origins: make(map[telemetry.Origin]uint64)}
	err := w.conn.QueryRow(ctx, `SELECT count(), uniqExact(id),
    if(count() = 0, toUInt32(0), toUInt32(intDiv(toUInt32(min(hour)), 3600))),
    if(count() = 0, toUInt32(0), toUInt32(intDiv(toUInt32(max(hour)), 3600)))
FROM calls`).Scan(&c.Rows, &c.Reports, &c.OldestHour, &c.NewestHour)
	if err != nil {
		return Counts{}, w.queryError("counts", err)
	}
	c.Duplicates = c.Rows - c.Reports
	err = w.countBy(ctx, "counts", "SELECT toUInt8(origin), sum(length(segment.cause)) AS n FROM calls FINAL GROUP BY origin HAVING n > 0", func(origin uint8, n uint64) {
		c.SegmentsOf[telemetry.Origin(origin)] = n
		c.Segments += n
	})
	if err != nil {
		return Counts{}, err
	}
	err = w.countBy(ctx, "rejects", "SELECT toUInt8(reason), count() FROM rejects FINAL GROUP BY reason", func(reason uint8, n uint64) {
		c.Rejected[telemetry.RejectReason(reason)] = n
	})
	if err != nil {
		return Counts{}, err
	}
	err = w.countBy(ctx, "counts", "SELECT toUInt8(origin), uniqExact(id) FROM calls GROUP BY origin", func(origin uint8, n uint64) {
		c.Origins[telemetry.Origin(origin)] = n
	})
	if err != nil {
		return Counts{}, err
	}
	return c, nil
}

// countBy gives each row of a query of values and their counts to take.
func (w *Warehouse) countBy(ctx context.Context, what, query string, take func(value uint8, n uint64)) error {
	rows, err := w.conn.Query(ctx, query)
	if err != nil {
		return w.queryError(what, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var value uint8
		var n uint64
		if err := rows.Scan(&value, &n); err != nil {
			return w.queryError(what, err)
		}
		take(value, n)
	}
	if err := rows.Err(); err != nil {
		return w.queryError(what, err)
	}
	return nil
}
