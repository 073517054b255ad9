package warehouse

import (
	"fmt"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// view is a named query that people read; the text makes it on every server that the tables run on.
type view struct{ name, query string }

// create is the statement that makes the view.
func (v view) create() string { return createView + v.name + " AS\n" + v.query }

// peopleViews are what people query: copies of a report left out, names and numbers instead of indices, and nothing about
// fewer than minCell reports. Where a view has a row per group, a group of fewer is not shown; where it has a row per call or
// segment, those of a day and network type with fewer are not shown, and the region is shown as ZZ where fewer share it.
//
// A view is no wall: who may query the views of one group and of the same group plus one can subtract. It keeps people
// from coming across a person by accident; that nobody finds one on purpose is the work of what is never stored.
func peopleViews(minCell int) []view {
	return []view{
		{"segments", segmentsView(minCell)},
		{"call_quality", callQualityView(minCell)},
		{"calls_daily", `SELECT day, origin, network, count() AS calls, countIf(died) AS died_calls,
    countIf(poor) / countIf(judged) AS poor_share, avgIf(quality, judged) AS mean_quality,
    sum(total_seconds) AS seconds, sum(lost_reports) AS lost_reports
FROM (` + judgedQuality(callQuality(Filter{}, ""), PoorMOS) + `)
GROUP BY day, origin, network` + having(minCell)},
		{"cells_daily", cellsDaily(minCell)},
		{"network_quality", networkQuality(Filter{}, "") + having(minCell)},
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

// cellsShown is a condition: that at least minCell reports have the same values in some columns. GLOBAL makes no
// difference on one server; on a cluster the set is made once rather than by every shard from its own rows.
func cellsShown(values, columns string, minCell int) string {
	return fmt.Sprintf("(%s) GLOBAL IN (SELECT %s FROM calls FINAL GROUP BY %s HAVING count() >= %d)",
		values, columns, columns, minCell)
}

// shownRegion is a region's code, ZZ where fewer than minCell reports of the day have it along with the network.
func shownRegion(region, network string, minCell int) string {
	return "if(" + cellsShown("day, "+region+", "+network, "day, toString(region), toString(network)", minCell) +
		", " + region + ", '" + model.RegionWithheld.String() + "')"
}

// segmentsView is calls with one row per segment. The id of the report is not in it, nor anything else that tells which
// rows are of one call, other than their order.
func segmentsView(minCell int) string {
	columns := []string{
		"day", "hour", "toString(origin) AS origin", "toString(network) AS network",
		"toString(stage) AS stage", "dropped", valueOf(telemetry.ScaleDuration, "duration") + " AS call_seconds",
		"if(stars = 0, NULL, stars) AS randomized_stars", "position", "length(segment.cause) AS segments",
	}
	for i := range segmentColumns {
		c := &segmentColumns[i]
		value, name := c.readable("s."+c.name), c.name
		switch name {
		case "network":
			name = "segment_network" // the call may have moved; and network is taken
		case "region":
			value = shownRegion(value, nameOf(networkNames, "s.network"), minCell)
		}
		columns = append(columns, value+" AS "+name)
	}
	columns = append(columns, fmt.Sprintf("s.propensity_millionths / %d AS propensity", model.PropensityScale))
	return "SELECT " + strings.Join(columns, ",\n    ") +
		"\nFROM calls FINAL ARRAY JOIN segment AS s, arrayEnumerate(segment.cause) AS position" +
		"\nWHERE " + cellsShown("day, toString(network)", "day, toString(network)", minCell)
}

// callQualityView is one row per call leg.
func callQualityView(minCell int) string {
	return `SELECT day, hour, toString(origin) AS origin, toString(network) AS network, toString(metered) AS metered,
    ` + shownRegion("toString(region)", "toString(network)", minCell) + ` AS region,
    if(stars = 0, NULL, stars) AS randomized_stars, policy, experiment, arm, mixed,
    mos, kbps, loss_before, loss_after, total_seconds, segments, died, quality, judged, poor
FROM (` + judgedQuality(callQuality(Filter{}, ""), PoorMOS) + `)
WHERE ` + cellsShown("day, toString(network)", "day, toString(network)", minCell)
}

// ViewNames lists the views for people, which Export takes.
func ViewNames() []string {
	var names []string
	for _, v := range peopleViews(1) {
		names = append(names, v.name)
	}
	return names
}
