package warehouse

import (
	"fmt"
)

// Whoever floods a cell with false reports can pull its mean as far as they like within the scale: one tenth of the
// reports with the worst quality instead of the best moves it by a tenth of the whole scale, and more of them by more.
// The medians and trimmed means of cells_daily, calls_daily and network_quality are robust instead. If less than a share e < 10 % of a cell's reports is false, then
//
//   - the median lies between the quantiles (0.5-e)/(1-e) and 0.5/(1-e) of the true reports;
//   - the 10th percentile lies between their quantiles (0.1-e)/(1-e) and 0.1/(1-e), the 90th between (0.9-e)/(1-e) and
//     0.9/(1-e);
//   - the trimmed mean lies between the means of the true reports over the quantiles (0.1-e)/(1-e) to (0.9-e)/(1-e) and
//     0.1/(1-e) to 0.9/(1-e): what is false at one end is cut off, and shifts what is kept by its own number at most;
//   - the share of poor calls, itself a mean of zeros and ones, moves by at most e.
//
// So every summary but the share stays within the range of the true reports, whatever the false ones say. (Breakdown
// point: Hampel, "A general qualitative definition of robustness", Ann. Math. Statist. 42(6), 1971; trimmed means:
// Huber and Ronchetti, "Robust Statistics", 2nd edition, section 3.3.) The least share that can break them is that of
// the smallest percentile, 10 %: beyond it only the median holds, up to 50 %.

// trimmedShare is cut off each end of a cell's values.
const trimmedShare = 0.1

// steps of the histograms that the summaries are made from: with them a cell takes a bounded amount of memory however
// many reports it has. A summary is off by at most half a step.
const (
	qualityStep = 0.005 // MOS
	kbpsStep    = 1.0
	lossStep    = 0.0005 // of the packets
)

// histogram is SQL for two arrays, the values that occur in ascending order as counts of steps, and how often each does.
// It does not round: servers differ in what becomes of a half.
func histogram(value, judged string, step float64) string {
	return fmt.Sprintf("sumMapIf([toUInt32(if(%s, floor(%s / %s + 0.5), 0))], [toUInt64(1)], %s)", judged, value, sqlFloat(step), judged)
}

// measured is SQL for a figure that at least minCell reports have a share in, NaN for one of fewer.
func measured(figure, reports string, minCell int) string {
	return fmt.Sprintf("if(%s < %d, nan, %s)", reports, max(minCell, 1), figure)
}

// quantile is SQL for the least value that a share of all values do not exceed; NaN of fewer than minCell values.
func quantile(share float64, values, counts string, step float64, minCell int) string {
	return measured(fmt.Sprintf("arrayElement(%[1]s, arrayFirstIndex((c, t) -> c >= %[2]s * t, "+
		"arrayCumSum(%[3]s), arrayMap(n -> arraySum(%[3]s), %[3]s))) * %[4]s",
		values, sqlFloat(share), counts, sqlFloat(step)), "arraySum("+counts+")", minCell)
}

// trimmedMean is SQL for the mean of the values without trimmedShare of them at each end; of a value on the edge the
// part counts that is inside. NaN of fewer than minCell values.
func trimmedMean(values, counts string, step float64, minCell int) string {
	return measured(fmt.Sprintf("arraySum((v, n, c, t) -> v * greatest(0., least(toFloat64(c), %[3]s * t) - greatest(toFloat64(c - n), %[4]s * t)), "+
		"%[1]s, %[2]s, arrayCumSum(%[2]s), arrayMap(n -> arraySum(%[2]s), %[2]s)) / (arraySum(%[2]s) * %[5]s) * %[6]s",
		values, counts, sqlFloat(1-trimmedShare), sqlFloat(trimmedShare), sqlFloat(1-2*trimmedShare), sqlFloat(step)), "arraySum("+counts+")", minCell)
}

// summed is a value of a report that a group is summed up by: its histogram and what comes of it.
type summed struct {
	name, value, judged string // judged tells whether a report has the value
	step                float64
}

var (
	summedQuality = summed{"quality", "quality", "judged", qualityStep}
	summedKbps    = summed{"kbps", "kbps", "NOT isNaN(kbps)", kbpsStep}
	summedLoss    = summed{"loss_after", "loss_after", "NOT isNaN(loss_after)", lossStep}
)

// collect is SQL for the histogram, in a query of groups.
func (s summed) collect() string {
	return histogram(s.value, s.judged, s.step) + " AS " + s.name + "_histogram"
}

// split is SQL for the halves of the histogram under the names values and counts, in a query around that of groups and
// inside that of figures. They need names: 18.16 keeps a view with an element of its tupleElement in a form that it cannot
// read when it starts again.
func (s summed) split() string {
	return "tupleElement(" + s.name + "_histogram, 1) AS " + s.values() + ", tupleElement(" + s.name + "_histogram, 2) AS " + s.counts()
}
func (s summed) values() string { return s.name + "_values" }
func (s summed) counts() string { return s.name + "_counts" }

func (s summed) quantile(share float64, minCell int) string {
	return quantile(share, s.values(), s.counts(), s.step, minCell)
}

func (s summed) median(minCell int) string {
	return s.quantile(0.5, minCell) + " AS median_" + s.name
}

func (s summed) trimmedMean(minCell int) string {
	return trimmedMean(s.values(), s.counts(), s.step, minCell) + " AS trimmed_mean_" + s.name
}

// mean is SQL, in a query of groups, for the plain mean.
func (s summed) mean(minCell int) string {
	return measured("avgIf("+s.value+", "+s.judged+")", "countIf("+s.judged+")", minCell) + " AS mean_" + s.name
}

// poorShare is SQL, in a query of groups, for the share of poor calls among those that were judged.
func poorShare(minCell int) string {
	return measured("countIf(poor) / countIf(judged)", "countIf(judged)", minCell) + " AS poor_share"
}

// cellsDaily is the SQL of one row per day, origin, region and network type.
func cellsDaily(minCell int) string {
	return `SELECT day, origin, region, network, reports, judged_reports,
    ` + summedQuality.median(minCell) + `,
    ` + summedQuality.quantile(0.1, minCell) + ` AS p10_quality,
    ` + summedQuality.quantile(0.9, minCell) + ` AS p90_quality,
    ` + summedQuality.trimmedMean(minCell) + `,
    poor_share,
    ` + summedKbps.median(minCell) + `,
    ` + summedKbps.trimmedMean(minCell) + `
FROM (SELECT day, origin, region, network, reports, judged_reports, poor_share,
    ` + summedQuality.split() + `, ` + summedKbps.split() + `
FROM (SELECT day, toString(origin) AS origin, toString(region) AS region, toString(network) AS network, count() AS reports,
    countIf(judged) AS judged_reports, ` + poorShare(minCell) + `,
    ` + summedQuality.collect() + `,
    ` + summedKbps.collect() + `
FROM (` + judgedQuality(callQuality(Filter{}, ""), PoorMOS) + `)
GROUP BY day, origin, region, network` + having(minCell) + `))`
}

// What one report may add to the sums of calls_daily: each field has its bounds, but sums of them would let a few false
// reports outweigh a day of true ones. Calls that last longer, and clients that lost more, count as these.
const (
	mostSeconds = 2 * 60 * 60
	mostLost    = 100
)

// callsDaily is the SQL of one row per day, origin and network type.
func callsDaily(minCell int) string {
	return fmt.Sprintf(`SELECT day, origin, network, calls, judged_calls, died_calls, poor_share, mean_quality,
    `+summedQuality.median(minCell)+`,
    `+summedQuality.trimmedMean(minCell)+`,
    seconds, lost_reports
FROM (SELECT day, origin, network, calls, judged_calls, died_calls, poor_share, mean_quality, seconds, lost_reports,
    `+summedQuality.split()+`
FROM (SELECT day, origin, network, count() AS calls, countIf(judged) AS judged_calls, countIf(died) AS died_calls,
    `+poorShare(minCell)+`, `+summedQuality.mean(minCell)+`,
    sum(least(total_seconds, toUInt32(%d))) AS seconds, sum(least(lost_reports, toUInt32(%d))) AS lost_reports,
    `+summedQuality.collect()+`
FROM (`+judgedQuality(callQuality(Filter{}, ""), PoorMOS)+`)
GROUP BY day, origin, network`+having(minCell)+`))`, mostSeconds, mostLost)
}
