package ingest

import "github.com/attune-calls/attune/telemetry"

// withhold takes the region out of a report.
func withhold(r *telemetry.Report) {
	r.Context.Region = 0
	for i := range r.Segments {
		r.Segments[i].Context.Region = 0
	}
}

// withholdMoves takes the region out of those segments of a report that lie in another cell than the report, unless
// that cell is open too.
func (c *cells) withholdMoves(r *telemetry.Report, a *admission) {
	if c.k <= 1 {
		return
	}
	own := place{r.Context.Region, r.Context.Network}
	for i := range r.Segments {
		g := &r.Segments[i].Context
		if g.Region == 0 || g.Region == own.region && g.Network == own.network {
			continue
		}
		if v := c.days[dayOf(r.Hour)][place{g.Region, g.Network}]; v == nil || !v.shows(a) {
			g.Region = 0
		}
	}
}
