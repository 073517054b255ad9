package warehouse

import (
	"fmt"
)

// Whoever floods a cell with false reports can pull its mean as far as they like within the scale: one tenth of the
// reports with the worst quality instead of the best moves it by a tenth of the whole scale, and more of them by more.
// The summaries of cells_daily are robust instead. If less than a share e < 10 % of a cell's reports is false, then
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
)

// histogram is SQL for two arrays, the values that occur in ascending order as counts of steps, and how often each does.
// It does not round: servers differ in what becomes of a half.
func histogram(value, judged string, step float64) string {
	return fmt.Sprintf("sumMapIf([toUInt32(if(%s, floor(%s / %s + 0.5), 0))], [toUInt64(1)], %s)", judged, value, sqlFloat(step), judged)
}

// quantile is SQL for the least value that a share of all values do not exceed; NaN of no values.
func quantile(share float64, values, counts string, step float64) string {
	return fmt.Sprintf("if(length(%[1]s) = 0, nan, arrayElement(%[1]s, arrayFirstIndex((c, t) -> c >= %[2]s * t, "+
		"arrayCumSum(%[3]s), arrayMap(n -> arraySum(%[3]s), %[3]s))) * %[4]s)",
		values, sqlFloat(share), counts, sqlFloat(step))
}

// trimmedMean is SQL for the mean of the values without trimmedShare of them at each end; of a value on the edge the
// part counts that is inside. NaN of no values.
func trimmedMean(values, counts string, step float64) string {
	return fmt.Sprintf("arraySum((v, n, c, t) -> v * greatest(0., least(toFloat64(c), %[3]s * t) - greatest(toFloat64(c - n), %[4]s * t)), "+
		"%[1]s, %[2]s, arrayCumSum(%[2]s), arrayMap(n -> arraySum(%[2]s), %[2]s)) / (arraySum(%[2]s) * %[5]s) * %[6]s",
		values, counts, sqlFloat(1-trimmedShare), sqlFloat(trimmedShare), sqlFloat(1-2*trimmedShare), sqlFloat(step))
}

// cellsDaily is the SQL of one row per day, region and network type.
func cellsDaily(minCell int) string {
	return `SELECT day, region, network, reports, judged_reports,
    ` + quantile(0.5, "qualities", "quality_counts", qualityStep) + ` AS median_quality,
    ` + quantile(0.1, "qualities", "quality_counts", qualityStep) + ` AS p10_quality,
    ` + quantile(0.9, "qualities", "quality_counts", qualityStep) + ` AS p90_quality,
    ` + trimmedMean("qualities", "quality_counts", qualityStep) + ` AS trimmed_mean_quality,
    poor_share,
    ` + quantile(0.5, "rates", "rate_counts", kbpsStep) + ` AS median_kbps,
    ` + trimmedMean("rates", "rate_counts", kbpsStep) + ` AS trimmed_mean_kbps
FROM (SELECT day, region, network, reports, judged_reports, poor_share,
    tupleElement(quality_histogram, 1) AS qualities, tupleElement(quality_histogram, 2) AS quality_counts,
    tupleElement(rate_histogram, 1) AS rates, tupleElement(rate_histogram, 2) AS rate_counts
FROM (SELECT day, toString(region) AS region, toString(network) AS network, count() AS reports,
    countIf(judged) AS judged_reports, countIf(poor) / countIf(judged) AS poor_share,
    ` + histogram("quality", "judged", qualityStep) + ` AS quality_histogram,
    ` + histogram("kbps", "NOT isNaN(kbps)", kbpsStep) + ` AS rate_histogram
FROM (` + judgedQuality(callQuality(Filter{}, ""), PoorMOS) + `)
GROUP BY day, region, network` + having(minCell) + `))`
}
