package warehouse_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

func readSegments(t *testing.T, w *warehouse.Warehouse, f warehouse.Filter) []warehouse.SegmentRow {
	t.Helper()
	var list []warehouse.SegmentRow
	err := w.EachSegment(t.Context(), f, func(b *warehouse.SegmentBatch) error {
		list = append(list, b.Rows...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// checkLegs compares what was read with what was stored: every leg with segments once, whole, field by field, numbered
// in order, days ascending.
func checkLegs(t *testing.T, stored []telemetry.Report, got []warehouse.SegmentRow) {
	t.Helper()
	want := make(map[model.Segment]*telemetry.Report) // by first segment: they are random enough to tell reports apart
	for i := range stored {
		if r := &stored[i]; len(r.Segments) > 0 {
			want[r.Segments[0]] = r
		}
	}
	call, day := uint64(0), uint16(0)
	for len(got) > 0 {
		r := want[got[0].Segment]
		if r == nil {
			t.Fatalf("leg %d was not stored or was read twice, or a field changed: %+v", call, got[0].Segment)
		}
		delete(want, got[0].Segment)
		failed := r.Dropped || r.Stage == model.StageOffer || r.Stage == model.StageICE || r.Stage == model.StageDTLS
		var rows []warehouse.SegmentRow
		for i, s := range r.Segments {
			last := i == len(r.Segments)-1
			rows = append(rows, warehouse.SegmentRow{
				Call: call, Index: uint16(i), Day: uint16(r.Hour / 24), Hour: r.Hour, Last: last, Died: last && failed, Segment: s,
			})
		}
		n := min(len(rows), len(got))
		if diff := cmp.Diff(rows, got[:n]); diff != "" {
			t.Fatal(diff)
		}
		if got[0].Day < day {
			t.Fatalf("day %d after day %d", got[0].Day, day)
		}
		day = got[0].Day
		got = got[n:]
		call++
	}
	if len(want) > 0 {
		t.Errorf("%d legs were stored and not read", len(want))
	}
}

// Every field of every segment comes back as it was stored, a report stored in three blocks once.
func TestEachSegmentGivesBackWhatWasStored(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	rng := rand.New(rand.NewPCG(1, 2))
	reports := randomReports(rng, 200, 7)
	reports = append(reports, randomReport(rng, 0), randomReport(rng, telemetry.MaxSegments))
	for i := range reports {
		if err := reports[i].Validate(); err != nil {
			t.Fatal(err)
		}
	}
	insert(t, w, reports...)
	insert(t, w, reports[100:]...)
	insert(t, w, reports[:150]...)
	got := readSegments(t, w, warehouse.Filter{})
	checkLegs(t, reports, got)
	if again := readSegments(t, w, warehouse.Filter{}); !slices.Equal(got, again) {
		t.Error("a second read gives another order")
	}
}

// Days that are read in parts give every leg once and whole.
func TestEachSegmentInParts(t *testing.T) {
	w, _ := migrated(t)
	rng := rand.New(rand.NewPCG(3, 4))
	reports := randomReports(rng, 300, 5)
	insert(t, w, reports...)
	whole := readSegments(t, w, warehouse.Filter{})
	defer warehouse.SmallQueries(20, 12)()
	seen := make(map[model.Segment]bool)
	call, batches := uint64(0), 0
	err := w.EachSegment(t.Context(), warehouse.Filter{}, func(b *warehouse.SegmentBatch) error {
		batches++
		if n := len(b.Rows); n > 15 || n%5 != 0 {
			return fmt.Errorf("a batch of %d rows cuts a leg of 5", n)
		}
		for i, r := range b.Rows {
			if r.Call != call || int(r.Index) != i%5 {
				return fmt.Errorf("row %d of a batch is segment %d of leg %d, want leg %d", i, r.Index, r.Call, call)
			}
			if r.Last {
				call++
			}
			seen[r.Segment] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if call != 300 || batches != 100 {
		t.Errorf("%d legs in %d batches, want 300 in 100", call, batches)
	}
	for _, r := range whole {
		if !seen[r.Segment] {
			t.Fatalf("missing: %+v", r)
		}
	}
}

func TestEachSegmentFilters(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	rng := rand.New(rand.NewPCG(5, 6))
	reports := randomReports(rng, 100, 4)
	for i := range reports {
		for j := range reports[i].Segments {
			reports[i].Segments[j].Policy = uint32(rng.IntN(3))
			reports[i].Segments[j].Experiment = uint32(rng.IntN(2))
		}
	}
	insert(t, w, reports...)
	for _, tc := range []struct {
		name   string
		filter warehouse.Filter
		want   func(*telemetry.Report, *model.Segment) bool
	}{
		{"since", warehouse.Filter{Since: baseHour + 30}, func(r *telemetry.Report, _ *model.Segment) bool { return r.Hour >= baseHour+30 }},
		{"until", warehouse.Filter{Until: baseHour + 30}, func(r *telemetry.Report, _ *model.Segment) bool { return r.Hour < baseHour+30 }},
		{"origin", warehouse.Filter{Origins: []telemetry.Origin{telemetry.OriginCall}}, func(r *telemetry.Report, _ *model.Segment) bool { return r.Origin == telemetry.OriginCall }},
		{"policy", warehouse.Filter{Policy: new(uint32(0))}, func(_ *telemetry.Report, s *model.Segment) bool { return s.Policy == 0 }},
		{"both", warehouse.Filter{Policy: new(uint32(2)), Experiment: new(uint32(1))}, func(_ *telemetry.Report, s *model.Segment) bool {
			return s.Policy == 2 && s.Experiment == 1
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := make(map[model.Segment]int)
			for i := range reports {
				for j := range reports[i].Segments {
					if s := &reports[i].Segments[j]; tc.want(&reports[i], s) {
						want[*s]++
					}
				}
			}
			got := make(map[model.Segment]int)
			for _, r := range readSegments(t, w, tc.filter) {
				got[r.Segment]++
			}
			if len(want) == 0 || !cmp.Equal(want, got) {
				t.Errorf("got %d distinct segments, want %d", len(got), len(want))
			}
		})
	}
}

func TestEachSegmentReturnsTheCallersError(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	insert(t, w, randomReports(rand.New(rand.NewPCG(7, 8)), 3, 2)...)
	enough := errors.New("enough")
	err := w.EachSegment(t.Context(), warehouse.Filter{}, func(*warehouse.SegmentBatch) error { return enough })
	if !errors.Is(err, enough) || err.Error() != "enough" {
		t.Errorf("got %v", err)
	}
}

// The view of segments shows names and middles of buckets, and leaves copies out.
func TestSegmentsView(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 1)
	r := randomReport(rand.New(rand.NewPCG(9, 10)), 2)
	r.Context.Network = model.NetworkWiFi
	s := &r.Segments[1]
	r.Context.Region, _ = model.ParseRegion("PT")
	s.Context = r.Context // it did not move
	s.Action = model.DefaultAction()
	s.Propensity = 123_457
	s.Outcome = model.Outcome{MOS: model.ScaleMOS.Bucket(4.2), LossAfter: model.ScaleOutcomeLoss.Bucket(0.03)}
	insert(t, w, r)
	insert(t, w, r)
	var network, region, codec, transport string
	var mos, loss, propensity float64
	var kbps *float64
	err := conn.QueryRow(t.Context(), `SELECT network, region, codec, transport, assumeNotNull(mos), assumeNotNull(loss_after), kbps, propensity
FROM segments WHERE position = 2`).Scan(&network, &region, &codec, &transport, &mos, &loss, &kbps, &propensity)
	if err != nil {
		t.Fatal(err)
	}
	if network != "wifi" || region != "PT" || codec != "opus" || transport != "direct" || kbps != nil || propensity != 0.123457 ||
		mos != model.ScaleMOS.Value(s.Outcome.MOS) || loss != model.ScaleOutcomeLoss.Value(s.Outcome.LossAfter) {
		t.Error(network, region, codec, transport, mos, loss, kbps, propensity)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM segments"); n != 2 {
		t.Errorf("%d rows in the view, want 2", n)
	}
	if math.IsNaN(mos) {
		t.Error("NaN would spoil every mean")
	}
}
