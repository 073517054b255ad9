package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
)

// SegmentRow is one segment of a call leg, for training.
type SegmentRow struct {
	Call    uint64        // running number of the call leg in this read, from 0; the report id stays in the warehouse
	Index   uint16        // of the segment in its leg, from 0
	Day     uint16        // the call began, in days since 1970-01-01 UTC: what data are split by
	Hour    uint32        // the same in hours
	Last    bool          // no segment of the leg follows
	Died    bool          // the call ended in this segment by dropping, or never got as far as media
	Segment model.Segment // its Context is complete
}

// SegmentBatch is some rows of a read in order. A leg is never cut in two. It is valid during the callback only.
type SegmentBatch struct{ Rows []SegmentRow }

// Variables, so that tests need few rows.
var (
	segmentBatchRows = 16_384          // a batch is closed at the first leg that starts after this many rows
	legsPerQuery     = uint64(200_000) // bounds what the server sorts at once
)

// EachSegment calls fn with the segments that f selects, a report that was stored twice once. The order is by day,
// then fixed: two reads of the same data give the same rows in the same order. It reads a day, or a part of a large
// day, per query, so memory does not grow with the table. An error of fn ends the read and is returned as it is.
func (w *Warehouse) EachSegment(ctx context.Context, f Filter, fn func(*SegmentBatch) error) error {
	days, err := w.days(ctx, f)
	if err != nil {
		return err
	}
	sample, err := w.cellSample(ctx, f)
	if err != nil {
		return err
	}
	r := segmentReader{warehouse: w, filter: f, sample: sample, fn: fn}
	for _, d := range days {
		slices := 1 + d.reports/legsPerQuery
		for slice := range slices {
			if err := r.read(ctx, d.day, slice, slices); err != nil {
				return err
			}
		}
	}
	return r.flush()
}

type dayCount struct {
	day     time.Time
	reports uint64
}

// days lists the days that have calls in f.
func (w *Warehouse) days(ctx context.Context, f Filter) ([]dayCount, error) {
	return w.countDays(ctx, "SELECT day, count() FROM calls WHERE "+f.calls()+" GROUP BY day ORDER BY day")
}

// countDays reads a query of days and counts.
func (w *Warehouse) countDays(ctx context.Context, query string) ([]dayCount, error) {
	rows, err := w.conn.Query(ctx, query)
	if err != nil {
		return nil, w.queryError("days", err)
	}
	defer func() { _ = rows.Close() }()
	var days []dayCount
	for rows.Next() {
		var d dayCount
		if err := rows.Scan(&d.day, &d.reports); err != nil {
			return nil, w.queryError("days", err)
		}
		days = append(days, d)
	}
	if err := rows.Err(); err != nil {
		return nil, w.queryError("days", err)
	}
	return days, nil
}

// segmentReader carries the state of one EachSegment from query to query.
type segmentReader struct {
	warehouse *Warehouse
	filter    Filter
	sample    string // condition from cellSample
	fn        func(*SegmentBatch) error
	batch     SegmentBatch
	legs      uint64
	lastLeg   int64 // of the current query
}

// query reads a slice of a day. Legs are sorted first and then flattened, which keeps their order.
func (r *segmentReader) query(day time.Time, slice, slices uint64) string {
	var nested, flat []string
	for i := range segmentColumns {
		nested = append(nested, fmt.Sprintf("segment.%s AS c%d", segmentColumns[i].name, i))
		flat = append(flat, fmt.Sprintf("c%d AS v%d", i, i))
	}
	part := fmt.Sprintf("day = toDate('%s')", day.Format("2006-01-02"))
	if slices > 1 {
		part += fmt.Sprintf(" AND sipHash64(toString(id)) %% %d = %d", slices, slice)
	}
	var values []string
	for i := range segmentColumns {
		values = append(values, fmt.Sprintf("v%d", i))
	}
	policy, experiment := columnIndex("policy"), columnIndex("experiment")
	return fmt.Sprintf(`SELECT leg, hours, toUInt16(position - 1), position = total, died AND position = total, %s
FROM (SELECT rowNumberInAllBlocks() AS leg, hours, total, died, %s FROM (
    SELECT toUInt32(intDiv(toUInt32(hour), 3600)) AS hours, length(segment.cause) AS total,
        dropped OR stage IN ('offer', 'ice', 'dtls') AS died, %s
    FROM calls FINAL WHERE %s AND %s%s ORDER BY network, id
)) ARRAY JOIN %s, arrayEnumerate(c0) AS position
WHERE %s`,
		strings.Join(values, ", "), aliases(len(segmentColumns)), strings.Join(nested, ", "),
		part, r.filter.calls(), r.sample, strings.Join(flat, ", "),
		r.filter.segments(fmt.Sprintf("v%d", policy), fmt.Sprintf("v%d", experiment)))
}

// aliases lists c0, c1 and so on.
func aliases(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("c%d", i)
	}
	return strings.Join(list, ", ")
}

func columnIndex(name string) int {
	for i := range segmentColumns {
		if segmentColumns[i].name == name {
			return i
		}
	}
	panic("warehouse: no segment column " + name)
}

func (r *segmentReader) read(ctx context.Context, day time.Time, slice, slices uint64) error {
	rows, err := r.warehouse.conn.Query(sampled(ctx, r.sample), r.query(day, slice, slices))
	if err != nil {
		return r.warehouse.queryError("segments", err)
	}
	defer func() { _ = rows.Close() }()
	var row SegmentRow
	var leg uint64
	targets := []any{&leg, &row.Hour, &row.Index, &row.Last, &row.Died}
	for i := range segmentColumns {
		targets = append(targets, segmentColumns[i].target(&row.Segment))
	}
	r.lastLeg = -1
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return r.warehouse.queryError("segments", err)
		}
		if int64(leg) != r.lastLeg {
			r.lastLeg = int64(leg)
			r.legs++
			if len(r.batch.Rows) >= segmentBatchRows {
				if err := r.flush(); err != nil {
					return err
				}
			}
		}
		row.Call = r.legs - 1
		row.Day = uint16(row.Hour / 24)
		r.batch.Rows = append(r.batch.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return r.warehouse.queryError("segments", err)
	}
	return nil
}

func (r *segmentReader) flush() error {
	if len(r.batch.Rows) == 0 {
		return nil
	}
	err := r.fn(&r.batch)
	r.batch.Rows = r.batch.Rows[:0]
	return err
}
