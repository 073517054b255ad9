package warehouse

import (
	"fmt"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// views are for people: one row per segment, per day and per network, copies left out, names and numbers instead of
// indices.
func views(s Settings) []string {
	return []string{
		segmentsView(),
		"CREATE VIEW IF NOT EXISTS call_quality AS " + callQuality(Filter{}),
		`CREATE VIEW IF NOT EXISTS calls_daily AS
SELECT day, origin, network, count() AS calls, countIf(died) AS died_calls,
    countIf(poor) / countIf(judged) AS poor_share, avgIf(quality, judged) AS mean_quality,
    sum(total_seconds) AS seconds, sum(lost_reports) AS lost_reports
FROM (` + judgedQuality(callQuality(Filter{}), PoorMOS) + `)
GROUP BY day, origin, network`,
		"CREATE VIEW IF NOT EXISTS network_quality AS " + networkQuality(Filter{}),
		`CREATE VIEW IF NOT EXISTS rejects_hourly AS
SELECT day, hour, reason, count() AS reports FROM rejects FINAL GROUP BY day, hour, reason`,
	}
}

// segmentsView is calls with one row per segment.
func segmentsView() string {
	columns := []string{
		"id", "day", "hour", "toString(origin) AS origin", "toString(network) AS network",
		"toString(stage) AS stage", "dropped", valueOf(telemetry.ScaleDuration, "duration") + " AS call_seconds",
		"stars", "position",
	}
	for i := range segmentColumns {
		c := &segmentColumns[i]
		name := c.name
		if name == "network" {
			name = "segment_network" // the call may have moved; and network is taken
		}
		columns = append(columns, c.readable("s."+c.name)+" AS "+name)
	}
	columns = append(columns, fmt.Sprintf("s.propensity_millionths / %d AS propensity", model.PropensityScale))
	return "CREATE VIEW IF NOT EXISTS segments AS\nSELECT " + strings.Join(columns, ",\n    ") +
		"\nFROM calls FINAL ARRAY JOIN segment AS s, arrayEnumerate(segment.cause) AS position"
}
