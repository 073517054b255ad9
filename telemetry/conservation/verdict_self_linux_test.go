package conservation

import (
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// ideal is an oracle that has had 200 reports acknowledged, and a warehouse that holds them. All regions are shown: they
// are one, of one network and day.
func ideal() (*oracle, *holdings) {
	o := newOracle(3)
	h := &holdings{
		calls: make(map[telemetry.ReportID][]telemetry.Report), shown: make(map[telemetry.ReportID]uint8),
		lengths: make(map[telemetry.ReportID]int), legs: make(map[serial][]warehouse.CallQuality),
		segments: make(map[serial][]warehouse.SegmentRow), lines: make(map[serial]uint64),
		counts: warehouse.Counts{Rejected: map[telemetry.RejectReason]uint64{telemetry.RejectHour: 2}},
	}
	o.refused[telemetry.RejectHour] = &refusal{attempts: 3, acknowledged: 2}
	for range 200 {
		n, _ := o.issue("client", 0)
		r := &o.records[n].want
		r.Schema, r.Rating, r.Problems, r.Stars, r.Problem = telemetry.SchemaVersion, 0, 0, 3, 5
		r.Hour, r.Origin, r.Context.Region, r.Context.Network = telemetry.MinHour, telemetry.OriginCall, 41, model.NetworkWiFi
		o.acknowledge(n, false)
		row := *r
		row.Segments = nil
		h.calls[r.ID], h.shown[r.ID], h.lengths[r.ID] = []telemetry.Report{row}, regionShown, len(r.Segments)
		leg := warehouse.CallQuality{Hour: r.Hour, Network: r.Context.Network, Stars: r.Stars, Segments: uint16(len(r.Segments))}
		if len(r.Segments) == 0 {
			h.legs[0] = append(h.legs[0], leg)
		} else {
			h.legs[n] = []warehouse.CallQuality{leg}
			h.lines[n] = uint64(len(r.Segments))
		}
		for i, segment := range r.Segments {
			h.segments[n] = append(h.segments[n], warehouse.SegmentRow{
				Call: uint64(n), Index: uint16(i), Hour: r.Hour, Last: i == len(r.Segments)-1, Segment: segment,
			})
		}
		h.daily++
		h.counts.Reports++
		h.counts.Segments += uint64(len(r.Segments))
	}
	return o, h
}

// TestVerdictNoticesEverything changes one thing at a time in a faultless warehouse.
func TestVerdictNoticesEverything(t *testing.T) {
	o, h := ideal()
	if v := judge(o, h); !v.faultless() || v.acknowledged != 200 {
		t.Fatalf("an ideal warehouse: %v", v)
	}
	const n = 2 // a report with segments
	lost := func(v *verdict) bool { return v.lost[n] != "" }
	doubled := func(v *verdict) bool { return v.doubled[n] != "" }
	wrong := func(v *verdict) bool { return len(v.wrong) > 0 }
	for _, c := range []struct {
		name    string
		change  func(o *oracle, h *holdings, id telemetry.ReportID)
		noticed func(*verdict) bool
	}{
		{"a report is missing", func(_ *oracle, h *holdings, id telemetry.ReportID) { delete(h.calls, id) }, lost},
		{"a leg is missing", func(_ *oracle, h *holdings, _ telemetry.ReportID) { delete(h.legs, n) }, lost},
		{"a segment is missing", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.segments[n] = h.segments[n][1:] }, lost},
		{"a row is there twice", func(_ *oracle, h *holdings, id telemetry.ReportID) { h.calls[id] = append(h.calls[id], h.calls[id][0]) }, doubled},
		{"a leg is there twice", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.legs[n] = append(h.legs[n], h.legs[n][0]) }, doubled},
		{"a segment is there twice", func(_ *oracle, h *holdings, _ telemetry.ReportID) {
			h.segments[n] = append(h.segments[n], h.segments[n][0])
		}, doubled},
		{"the view shows a line twice", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.lines[n]++ }, doubled},
		{"a field is another", func(_ *oracle, h *holdings, id telemetry.ReportID) { h.calls[id][0].LostSegments++ }, wrong},
		{"a segment is another", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.segments[n][0].Segment.Seconds ^= 1 }, wrong},
		{"segments change places", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.segments[n][0].Index = 7 }, wrong},
		{"the problem is another", func(_ *oracle, h *holdings, id telemetry.ReportID) { h.calls[id][0].Problem++ }, wrong},
		{"the stars are forgotten", func(_ *oracle, h *holdings, id telemetry.ReportID) { h.calls[id][0].Stars = 0 }, wrong},
		{"the stars are others", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.legs[n][0].Stars++ }, wrong},
		{"a report nobody sent", func(_ *oracle, h *holdings, _ telemetry.ReportID) {
			h.calls[telemetry.ReportID{1}] = []telemetry.Report{{ID: telemetry.ReportID{1}}}
		}, wrong},
		{"a report that must be refused", func(o *oracle, _ *holdings, _ telemetry.ReportID) { o.records[n].refused = true }, wrong},
		{"a region of a small cell", func(_ *oracle, h *holdings, id telemetry.ReportID) {
			h.calls[id][0].Context.Region = 42
			o.records[n].want.Context.Region = 42
		}, wrong},
		{"a withheld region that shows", func(_ *oracle, h *holdings, id telemetry.ReportID) { h.shown[id] = regionWithheld }, wrong},
		{"counts of reports", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.counts.Reports++ }, wrong},
		{"counts of segments", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.counts.Segments-- }, wrong},
		{"calls_daily", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.daily++ }, wrong},
		{"a refused message is not counted", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.counts.Rejected[telemetry.RejectHour] = 1 }, wrong},
		{"a refused message counts twice", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.counts.Rejected[telemetry.RejectHour] = 4 }, wrong},
		{"a refused message nobody sent", func(_ *oracle, h *holdings, _ telemetry.ReportID) { h.counts.Rejected[telemetry.RejectAction] = 1 }, wrong},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, h = ideal()
			for s := serial(1); s <= n; s++ { // whatever the seed says
				if len(o.records[n].want.Segments) < 2 {
					t.Fatalf("report %d has too few segments for this test", n)
				}
			}
			c.change(o, h, o.records[n].want.ID)
			if v := judge(o, h); !c.noticed(v) {
				t.Errorf("not noticed; lost %v, doubled %v, wrong %v", v.lost, v.doubled, v.wrong)
			}
		})
	}
}

// A report whose acknowledgement never came may be stored or not.
func TestVerdictOnWhatNobodyAcknowledged(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		o, h := ideal()
		r := o.records[2]
		r.acknowledged = time.Time{}
		if !isStored {
			delete(h.calls, r.want.ID)
			delete(h.legs, 2)
			delete(h.segments, 2)
			delete(h.lines, 2)
			h.daily--
			h.counts.Reports--
			h.counts.Segments -= uint64(len(r.want.Segments))
		}
		if v := judge(o, h); !v.faultless() || v.acknowledged != 199 {
			t.Errorf("stored: %v: %d acknowledged; %v", isStored, v.acknowledged, v)
		}
	}
}
