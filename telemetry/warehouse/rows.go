package warehouse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// What a row of call_quality or segments says of who called from where is its day, origin, network, region and, as far as
// the view has them, metering, device, local time of day and reach; the hour is in neither. At least minCell reports have
// rows that say the same, all of it taken together (k-anonymity: Sweeney, "k-anonymity: a model for protecting privacy",
// 2002, by generalization and suppression). A report is shown
//
//   - with all of it, where that many have all of it in common;
//   - otherwise with its region, if that many of those left over share day, origin, network and region;
//   - otherwise without, as ZZ, if that many are left over or have no region anyway;
//   - otherwise not at all.
//
// What is not shown reads unknown. The rest of a row tells how the call went. Who knows that of a call from elsewhere can
// find its row; what no row tells is whose it is.

// The levels of what is shown of a report.
const (
	shownNot     = -1
	shownNetwork = 0 // day, origin, network
	shownRegion  = 1 // and region
	shownAll     = 2 // and the rest
)

// rest is the columns of calls that a view shows at shownAll only.
type rest []string

// level is SQL for how much of a row of calls is shown. GLOBAL makes no difference on one server; on a cluster a set is
// made once rather than by every shard from its own rows.
func (r rest) level(minCell int) string {
	const network, region = "day, origin, network", "day, origin, network, region"
	all := strings.Join(append([]string{region}, r...), ", ")
	leftOver := fmt.Sprintf("SELECT %s, count() AS alike FROM calls FINAL GROUP BY %s HAVING alike < %d", region, all, minCell)
	return fmt.Sprintf("multiIf((%[1]s) GLOBAL IN (SELECT %[1]s FROM calls FINAL GROUP BY %[1]s HAVING count() >= %[5]d), %[6]d,\n"+
		"        (%[2]s) GLOBAL IN (SELECT %[2]s FROM (%[4]s) GROUP BY %[2]s HAVING sum(alike) >= %[5]d), %[7]d,\n"+
		"        (%[3]s) GLOBAL IN (SELECT %[3]s FROM (SELECT %[2]s, sum(alike) AS there FROM (%[4]s) GROUP BY %[2]s HAVING there < %[5]d OR region = 'ZZ')\n"+
		"            GROUP BY %[3]s HAVING sum(there) >= %[5]d), %[8]d, %[9]d)",
		all, region, network, leftOver, minCell, shownAll, shownRegion, shownNetwork, shownNot)
}

// shown is SQL for a value of the call from a level on, and otherwise what stands for none.
func shown(level int, value, none string) string {
	return fmt.Sprintf("if(level >= %d, %s, '%s')", level, value, none)
}

// withheld is the name of no region.
var withheld = model.RegionWithheld.String()

// Weights of segments. An estimate that lets each segment stand for 1 / propensity of them is at the mercy of a single
// report, true or false, with a small propensity: one of a millionth outweighs 400,000 ordinary ones. So the weight of a
// segment is at most mostWeight, and that of all segments of a report together at most mostReportWeight (truncated
// importance sampling: Ionides, J. Comput. Graph. Stat. 17(2), 2008). The price is a bias: decisions that were less
// likely than 1 / mostWeight, and long calls, count for less than they stand for, so that the estimate leans towards the
// contexts in which an action was likely.
const (
	mostWeight       = 50
	mostReportWeight = 100
)

// segmentWeight is SQL for the weight of a segment s.
func segmentWeight() string {
	clipped := func(propensity string) string {
		return fmt.Sprintf("least(%s, %s / greatest(%s, 1))", sqlFloat(mostWeight), sqlFloat(model.PropensityScale), propensity)
	}
	return clipped("s.propensity_millionths") + fmt.Sprintf(" * least(1., %s / arraySum(p -> %s, segment.propensity_millionths))",
		sqlFloat(mostReportWeight), clipped("p"))
}

// segmentsView is calls with one row per segment. The id of the report is not in it, nor anything else that tells which
// rows are of one call, other than their order. A segment in other circumstances than its call began in is shown with the
// network that it moved to, if at least minCell reports made the same move, and with no more of where it was.
func segmentsView(minCell int) string {
	circumstances := rest{"metered", "device", "time_of_day", "reach"}
	same := []string{"toInt8(network) = s.network", "toString(region) = " + nameOf(regionNames, "s.region")}
	for _, c := range circumstances {
		same = append(same, "toInt8("+c+") = s."+c)
	}
	stayed := strings.Join(same, " AND ")
	move := "day, origin, network, s.network"
	inner := []string{
		"day", "origin", "network", "stage", "dropped", "duration", "stars", "position", "length(segment.cause) AS segments",
		"if(" + stayed + ", " + circumstances.level(minCell) + ",\n        if((" + move + ") GLOBAL IN (SELECT " + move +
			" FROM calls FINAL ARRAY JOIN segment AS s WHERE NOT (" + stayed + ") GROUP BY " + move +
			fmt.Sprintf(" HAVING uniqExact(id) >= %d), %d, %d)) AS level", minCell, shownNetwork, shownNot),
		segmentWeight() + " AS weight",
	}
	outer := []string{
		"day", "toString(origin) AS origin", "toString(network) AS network",
		"toString(stage) AS stage", "dropped", valueOf(telemetry.ScaleDuration, "duration") + " AS call_seconds",
		"if(stars = 0, NULL, stars) AS randomized_stars", "position", "segments",
	}
	for i := range segmentColumns {
		c := &segmentColumns[i]
		inner = append(inner, fmt.Sprintf("s.%s AS v%d", c.name, i))
		value, name := c.readable(fmt.Sprintf("v%d", i)), c.name
		switch {
		case name == "network":
			name = "segment_network" // the call may have moved; and network is taken
		case name == "region":
			value = shown(shownRegion, value, withheld)
		case slices.Contains(circumstances, name):
			value = shown(shownAll, value, "unknown")
		}
		outer = append(outer, value+" AS "+name)
	}
	outer = append(outer, fmt.Sprintf("v%d / %d AS propensity", columnIndex("propensity_millionths"), model.PropensityScale), "weight")
	return "SELECT " + strings.Join(outer, ",\n    ") +
		"\nFROM (SELECT " + strings.Join(inner, ",\n    ") +
		"\nFROM calls FINAL ARRAY JOIN segment AS s, arrayEnumerate(segment.cause) AS position)" +
		fmt.Sprintf("\nWHERE level >= %d", shownNetwork)
}

// callQualityView is one row per call leg.
func callQualityView(minCell int) string {
	return `SELECT day, toString(origin) AS origin, toString(network) AS network, ` + shown(shownAll, "toString(metered)", "unknown") + ` AS metered,
    ` + shown(shownRegion, "toString(region)", withheld) + ` AS region,
    if(stars = 0, NULL, stars) AS randomized_stars, policy, experiment, arm, mixed,
    mos, kbps, loss_before, loss_after, total_seconds, segments, died, quality, judged, poor
FROM (SELECT *, ` + rest{"metered"}.level(minCell) + ` AS level
FROM (` + judgedQuality(callQuality(Filter{}, ""), PoorMOS) + `))
WHERE level >= ` + fmt.Sprint(shownNetwork)
}
