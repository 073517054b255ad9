package ingest

import (
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// withhold takes out of a report where it comes from.
func withhold(r *telemetry.Report) {
	nowhere(&r.Context)
	for i := range r.Segments {
		nowhere(&r.Segments[i].Context)
	}
}

// nowhere takes out the region, and with it the local time of day: the hour of a report is in UTC, so that the two
// together tell its time zone to six hours, which on some hours and continents is close to a country.
func nowhere(c *model.Context) { c.Region, c.TimeOfDay = 0, 0 }

// withholdMoves takes where it was out of those segments of a report that lie in another cell than the report, unless
// that cell is open too.
func (c *cells) withholdMoves(r *telemetry.Report, a *admission) {
	if c.k <= 1 {
		return
	}
	own := placeOf(r, &r.Context)
	for i := range r.Segments {
		g := &r.Segments[i].Context
		there := placeOf(r, g)
		if g.Region == 0 || there == own {
			continue
		}
		if v := c.days[dayOf(r.Hour)][there]; v == nil || !v.shows(a) {
			nowhere(g)
		}
	}
}
