package conservation

import (
	"reflect"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// The values of the column region_state.
const (
	regionWithheld = 0
	regionNotGiven = 1
	regionShown    = 2
)

// stored is what the table must hold of what a client said: version 1 is brought up to date.
func stored(said telemetry.Report) telemetry.Report {
	said.Schema, said.Rating, said.Problems = telemetry.SchemaVersion, 0, 0
	return said
}

// judgeCalls goes through the table: everything in it was sent, is there once, and says what it must.
func (v *verdict) judgeCalls(o *oracle, h *holdings) {
	for id, rows := range h.calls {
		n, known := o.ids[id]
		if !known {
			v.fault("report %v is stored, and nobody sent it", id)
			continue
		}
		r := o.records[n]
		if r.refused {
			v.fault("report %d is stored, and must be refused", n)
		}
		if len(rows) > 1 {
			v.double(n, "%d rows of calls", len(rows))
		}
		want := stored(r.want)
		want.Segments = nil                                        // see judgeReaders
		if row := &rows[0]; r.want.Rating > 0 && randomized(row) { // of version 1, randomized by ingest
			want.Stars, want.Problem = row.Stars, row.Problem
		}
		if want.Stars > 0 {
			v.rated++
		}
		if want.Context.Region == model.RegionWithheld && h.shown[id] != regionNotGiven {
			v.fault("report %d gives no region, its state is %d", n, h.shown[id])
		}
		if want.Context.Region != model.RegionWithheld && h.shown[id] == regionWithheld {
			want.Context.Region, want.Context.TimeOfDay = model.RegionWithheld, model.TimeUnknown
		}
		for _, row := range rows {
			if !reflect.DeepEqual(row, want) && len(rows) == 1 {
				v.fault("report %d is stored as %+v, want %+v", n, row, want)
			}
		}
		if h.lengths[id] != len(r.want.Segments) {
			v.fault("report %d is stored with %d segments, want %d", n, h.lengths[id], len(r.want.Segments))
		}
		v.told[r.client] += uint64(rows[0].LostReports)
	}
}

// judgeReaders goes through what training reads: exactly the stored reports, each once.
func (v *verdict) judgeReaders(o *oracle, h *holdings) {
	var segments uint64
	bare := 0 // stored reports without segments
	for id := range h.calls {
		n, known := o.ids[id]
		if !known {
			continue
		}
		want := o.records[n].want
		segments += uint64(len(want.Segments))
		if len(want.Segments) == 0 {
			bare++
			continue
		}
		v.once(n, len(h.legs[n]), 1, "call legs")
		v.once(n, len(h.segments[n]), len(want.Segments), "segments for training")
		for _, leg := range h.legs[n] {
			stars := leg.Stars == want.Stars
			if want.Schema == 1 { // randomized by ingest, anew for each copy
				stars = (leg.Stars > 0) == (want.Rating > 0) && leg.Stars <= telemetry.MaxRating
			}
			if leg.Hour != want.Hour || leg.Network != want.Context.Network || !stars || int(leg.Segments) != len(want.Segments) {
				v.fault("report %d is the leg %+v", n, leg)
			}
		}
		v.judgeSegments(n, h, &want)
	}
	v.once(0, len(h.legs[0]), bare, "call legs without segments")
	for n := range h.segments {
		if r := o.records[n]; r == nil || len(h.calls[r.want.ID]) == 0 {
			v.fault("training reads segments of report %d, which is not stored", n)
		}
	}
	if h.counts.Reports != uint64(len(h.calls)) || h.counts.Segments != segments {
		v.fault("%d reports with %d segments are counted, want %d with %d", h.counts.Reports, h.counts.Segments, len(h.calls), segments)
	}
}

// once says whether something shows as often as it must.
func (v *verdict) once(n serial, got, want int, of string) {
	switch {
	case got > want:
		v.double(n, "%d %s, want %d", got, of, want)
	case got < want:
		v.lose(n, "%d %s, want %d", got, of, want)
	}
}

func (v *verdict) judgeSegments(n serial, h *holdings, want *telemetry.Report) {
	rows := h.segments[n]
	if len(rows) != len(want.Segments) {
		return // told already
	}
	for i, row := range rows {
		expected := want.Segments[i]
		if row.Segment.Context.Region == model.RegionWithheld && (expected.Context.Region != model.RegionWithheld || h.shown[want.ID] == regionWithheld) {
			expected.Context.Region, expected.Context.TimeOfDay = model.RegionWithheld, model.TimeUnknown
		}
		if row.Segment != expected || int(row.Index) != i || row.Hour != want.Hour || row.Call != rows[0].Call || row.Last != (i == len(rows)-1) {
			v.fault("segment %d of report %d is read as %+v, want %+v", i, n, row, expected)
		}
	}
}

// judgeViews goes through what people read, which leaves out small groups: in calls_daily, those of a day, origin and
// network; in segments, rows without company, so that a report may have fewer there than it has segments, and never more.
func (v *verdict) judgeViews(o *oracle, h *holdings) {
	type group struct {
		day     uint32
		origin  telemetry.Origin
		network model.NetworkType
	}
	groups := make(map[group]int)
	for _, rows := range h.calls {
		r := &rows[0]
		groups[group{r.Hour / 24, r.Origin, r.Context.Network}]++
	}
	var daily uint64
	for _, n := range groups {
		if n >= minCell {
			daily += uint64(n)
		}
	}
	if h.daily != daily {
		v.fault("calls_daily counts %d calls, want %d", h.daily, daily)
	}
	for id := range h.calls {
		n, known := o.ids[id]
		if !known || len(o.records[n].want.Segments) == 0 {
			continue
		}
		if lines := int(h.lines[n]); lines > len(o.records[n].want.Segments) {
			v.double(n, "%d rows of the view segments, of a report of %d", lines, len(o.records[n].want.Segments))
		}
	}
}

// judgeCells holds ingest to its word: of a day, origin, region and network the table shows no region, or that of
// minCell reports.
func (v *verdict) judgeCells(_ *oracle, h *holdings) {
	type cell struct {
		day     uint32
		origin  telemetry.Origin
		region  model.Region
		network model.NetworkType
	}
	cells := make(map[cell]int)
	for id, rows := range h.calls {
		switch h.shown[id] {
		case regionShown:
			v.shown++
			cells[cell{rows[0].Hour / 24, rows[0].Origin, rows[0].Context.Region, rows[0].Context.Network}]++
		case regionWithheld:
			v.withheld++
			if rows[0].Context.Region != model.RegionWithheld {
				v.fault("report %v withholds its region, and it is %v", id, rows[0].Context.Region)
			}
		}
	}
	for c, n := range cells {
		if n < minCell {
			v.fault("%d reports of origin %v show day %d, region %v, network %v", n, c.origin, c.day, c.region, c.network)
		}
	}
}

// judgeRejects compares the counts of refused messages. A message whose acknowledgement was lost may have arrived any
// number of times, so that every count between the acknowledged and the attempted ones is right.
func (v *verdict) judgeRejects(o *oracle, h *holdings) {
	for reason, n := range h.counts.Rejected {
		if o.refused[reason] == nil && n > 0 {
			v.fault("%d messages are refused for %v, and none was sent", n, reason)
		}
	}
	for reason, r := range o.refused {
		if n := h.counts.Rejected[reason]; n < uint64(r.acknowledged) || n > uint64(r.attempts) {
			v.fault("%d messages are refused for %v, want %d to %d", n, reason, r.acknowledged, r.attempts)
		}
	}
}
