package warehouse

import (
	"fmt"
	"strings"

	"github.com/attune-calls/attune/telemetry/response"
)

// problemNames are the measures of ratings_daily about the problem flags, in the order of the flags.
var problemNames = [response.Flags]string{
	"echo", "noise", "silence", "unheard", "cuts", "distorted", "delay", "ended",
}

// opinion is one measure of ratings_daily: SQL for how many answers it rests on, for the mean of what the reports say,
// for the variance of that, and how what they say depends on what users meant: said = offset + slope x meant.
type opinion struct {
	measure, answers, mean, variance string
	offset, slope                    float64
}

// opinions lists the measures. The reports hold randomized answers; that the estimates are unbiased, and their standard
// errors, is argued in package response, whose estimators these are in SQL.
func opinions() []opinion {
	stars := response.StarsTruth - response.StarsLie
	list := []opinion{{
		measure: "mean stars", answers: "rated", mean: "star_sum / rated",
		variance: "greatest(0., star_squares / rated - star_sum / rated * star_sum / rated)",
		offset:   response.StarsLie * response.Stars * (response.Stars + 1) / 2, slope: stars,
	}}
	share := func(measure, said, of string, lie, slope float64) {
		mean := fmt.Sprintf("%s / %s", said, of)
		list = append(list, opinion{
			measure: measure, answers: of, mean: mean, variance: fmt.Sprintf("%s * (1 - %s)", mean, mean), offset: lie, slope: slope,
		})
	}
	for i := range response.Stars {
		share(fmt.Sprintf("stars %d", i+1), fmt.Sprintf("stars_%d", i+1), "rated", response.StarsLie, stars)
	}
	for i, name := range problemNames {
		share("problem "+name, fmt.Sprintf("yes_%d", i), fmt.Sprintf("asked_%d", i), 1-response.ProblemTruth, 2*response.ProblemTruth-1)
	}
	return list
}

// ratingsDaily is the SQL of one row per day, origin, network type and measure: the estimate of what the users who rated
// their calls meant. A measure of fewer than minCell answers is not shown; of the problems each report was asked about one.
func ratingsDaily(minCell int) string {
	var counts, measures, answers, values, errors []string
	for i := range response.Stars {
		counts = append(counts, fmt.Sprintf("countIf(stars = %d) AS stars_%d", i+1, i+1))
	}
	for i := range response.Flags {
		no, yes := response.ProblemAnswer(uint8(i), false), response.ProblemAnswer(uint8(i), true)
		counts = append(counts, fmt.Sprintf("countIf(problem = %d OR problem = %d) AS asked_%d, countIf(problem = %d) AS yes_%d",
			no, yes, i, yes, i))
	}
	for _, o := range opinions() {
		measures = append(measures, "'"+o.measure+"'")
		answers = append(answers, fmt.Sprintf("toUInt64(%s)", o.answers))
		values = append(values, fmt.Sprintf("(%s - %s) / %s", o.mean, sqlFloat(o.offset), sqlFloat(o.slope)))
		errors = append(errors, fmt.Sprintf("sqrt(%s / (%s - 1.)) / %s", o.variance, o.answers, sqlFloat(o.slope)))
	}
	return `SELECT day, origin, network, reports, rated, measure, answers, estimate, standard_error
FROM (SELECT day, toString(origin) AS origin, toString(network) AS network, count() AS reports, countIf(stars > 0) AS rated,
    sum(toUInt64(stars)) AS star_sum, sum(toUInt64(stars) * stars) AS star_squares,
    ` + strings.Join(counts, ",\n    ") + `
FROM calls FINAL GROUP BY day, origin, network HAVING rated >= ` + fmt.Sprint(minCell) + `)
ARRAY JOIN [` + strings.Join(measures, ", ") + `] AS measure,
    [` + strings.Join(answers, ", ") + `] AS answers,
    [` + strings.Join(values, ",\n        ") + `] AS estimate,
    [` + strings.Join(errors, ",\n        ") + `] AS standard_error
WHERE answers >= ` + fmt.Sprint(max(minCell, 2)) // one has no standard error
}
