package warehouse

import "fmt"

// view is a named query that people read; the text makes it on every server that the tables run on.
type view struct{ name, query string }

// create is the statement that makes the view.
func (v view) create() string { return createView + v.name + " AS\n" + v.query }

// peopleViews are what people query: copies of a report left out, names and numbers instead of indices, and nothing about
// fewer than minCell reports. Where a view has a row per group, a group of fewer is not shown, and a figure that fewer have
// a share in is NaN; where it has a row per call or segment, see rows.go. Simulated and imported calls never count as
// company for real ones: the origin is part of every group.
//
// A view is no wall: who may query the views of one group and of the same group plus one can subtract. It keeps people
// from coming across a person by accident; that nobody finds one on purpose is the work of what is never stored.
func peopleViews(minCell int) []view {
	return []view{
		{"segments", segmentsView(minCell)},
		{"call_quality", callQualityView(minCell)},
		{"calls_daily", callsDaily(minCell)},
		{"cells_daily", cellsDaily(minCell)},
		{"network_quality", networkQuality(Filter{}, "", minCell)},
		{"ratings_daily", ratingsDaily(minCell)},
		{"rejects_hourly", `SELECT day, hour, reason, count() AS reports FROM rejects FINAL
GROUP BY day, hour, reason` + having(minCell)},
	}
}

// views are the statements that make the views for people.
func views(s Settings) []string {
	var list []string
	for _, v := range peopleViews(s.MinCell) {
		list = append(list, v.create())
	}
	return list
}

// having leaves out groups of fewer than minCell rows, for queries with a row per report.
func having(minCell int) string { return fmt.Sprintf("\nHAVING count() >= %d", minCell) }

// ViewNames lists the views for people, which Export takes.
func ViewNames() []string {
	var names []string
	for _, v := range peopleViews(1) {
		names = append(names, v.name)
	}
	return names
}
