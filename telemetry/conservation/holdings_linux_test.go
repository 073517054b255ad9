package conservation

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// holdings is what the warehouse shows, through everything that reads it.
type holdings struct {
	calls    map[telemetry.ReportID][]telemetry.Report // rows of calls, without segments
	shown    map[telemetry.ReportID]uint8              // region_state of the first such row
	lengths  map[telemetry.ReportID]int                // segments of the first such row
	legs     map[serial][]warehouse.CallQuality        // CallQualities; serial 0 = without segments
	segments map[serial][]warehouse.SegmentRow         // EachSegment
	lines    map[serial]uint64                         // rows of the view segments
	daily    uint64                                    // calls in the view calls_daily
	counts   warehouse.Counts
}

// rowsOfCalls is how calls is read. Without FINAL, copies that no merge has removed yet show.
type rowsOfCalls string

const (
	eachOnce rowsOfCalls = "calls FINAL"
	asStored rowsOfCalls = "calls"
)

// connect is a plain connection, to look at the tables without the package under test.
func connect(dsn string) (driver.Conn, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	return clickhouse.Open(options)
}

// look reads everything.
func (s *system) look(ctx context.Context, rows rowsOfCalls) (*holdings, error) {
	conn, err := connect(s.server.DSN())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	h := &holdings{
		calls: make(map[telemetry.ReportID][]telemetry.Report), lengths: make(map[telemetry.ReportID]int),
		legs: make(map[serial][]warehouse.CallQuality), segments: make(map[serial][]warehouse.SegmentRow),
		lines: make(map[serial]uint64), shown: make(map[telemetry.ReportID]uint8),
	}
	if err := h.readCalls(ctx, conn, rows); err != nil {
		return nil, fmt.Errorf("read calls: %w", err)
	}
	if err := h.readLines(ctx, conn); err != nil {
		return nil, fmt.Errorf("read view segments: %w", err)
	}
	if err := conn.QueryRow(ctx, "SELECT sum(calls) FROM calls_daily").Scan(&h.daily); err != nil {
		return nil, fmt.Errorf("read view calls_daily: %w", err)
	}
	legs, err := s.store.CallQualities(ctx, warehouse.Filter{})
	if err != nil {
		return nil, err
	}
	for _, q := range legs {
		n := serialOf(q.Policy, q.Experiment)
		h.legs[n] = append(h.legs[n], q)
	}
	if err := s.store.EachSegment(ctx, warehouse.Filter{}, func(b *warehouse.SegmentBatch) error {
		for _, row := range b.Rows {
			n := serialOf(row.Segment.Policy, row.Segment.Experiment)
			h.segments[n] = append(h.segments[n], row)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	h.counts, err = s.store.Counts(ctx)
	return h, err
}

func (h *holdings) readCalls(ctx context.Context, conn driver.Conn, from rowsOfCalls) error {
	rows, err := conn.Query(ctx, `SELECT id, toUInt32(intDiv(toUInt32(hour), 3600)), schema, stack, toUInt8(origin), toUInt8(network),
    toUInt8(metered), toString(region), toUInt8(device), toUInt8(time_of_day), toUInt8(reach), toUInt8(stage), dropped, duration,
    refusals, lost_segments, lost_reports, stars, toUInt8(problem), region_state, toUInt32(length(segment.cause)) FROM `+string(from))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r telemetry.Report
		var id uuid.UUID
		var region string
		var dropped, shown uint8
		var refusals []uint8
		var length uint32
		if err := rows.Scan(&id, &r.Hour, &r.Schema, &r.Stack, (*uint8)(&r.Origin), (*uint8)(&r.Context.Network),
			(*uint8)(&r.Context.Metered), &region, (*uint8)(&r.Context.Device), (*uint8)(&r.Context.TimeOfDay), (*uint8)(&r.Context.Reach),
			(*uint8)(&r.Stage), &dropped, (*uint8)(&r.Duration), &refusals, &r.LostSegments, &r.LostReports, &r.Stars, &r.Problem, &shown, &length); err != nil {
			return err
		}
		r.ID, r.Dropped = telemetry.ReportID(id), dropped == 1
		if err := r.Context.Region.UnmarshalText([]byte(region)); err != nil {
			return err
		}
		copy(r.Refusals[:], refusals)
		h.calls[r.ID] = append(h.calls[r.ID], r)
		h.lengths[r.ID], h.shown[r.ID] = int(length), shown
	}
	return rows.Err()
}

func (h *holdings) readLines(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.Query(ctx, "SELECT policy, experiment, count() FROM segments GROUP BY policy, experiment")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var policy, experiment uint32
		var n uint64
		if err := rows.Scan(&policy, &experiment, &n); err != nil {
			return err
		}
		h.lines[serialOf(policy, experiment)] = n
	}
	return rows.Err()
}
