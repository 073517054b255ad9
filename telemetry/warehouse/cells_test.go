package warehouse_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// summary is a row of cells_daily, and the plain mean beside it.
type summary struct {
	Reports, Judged                                          uint64
	Median, P10, P90, Trimmed, Poor, MedianKbps, TrimmedKbps float64
	Mean                                                     float64
}

func summaryOf(t *testing.T, conn driver.Conn) summary {
	t.Helper()
	var s summary
	err := conn.QueryRow(t.Context(), `SELECT reports, judged_reports, median_quality, p10_quality, p90_quality, trimmed_mean_quality,
    poor_share, median_kbps, trimmed_mean_kbps FROM cells_daily`).
		Scan(&s.Reports, &s.Judged, &s.Median, &s.P10, &s.P90, &s.Trimmed, &s.Poor, &s.MedianKbps, &s.TrimmedKbps)
	if err != nil {
		t.Fatal(err)
	}
	s.Mean = scalar[float64](t, conn, "SELECT mean_quality FROM calls_daily")
	return s
}

// calls of one cell with a given quality each.
func withQuality(rng *rand.Rand, qualities []float64) []telemetry.Report {
	reports := flood(rng, len(qualities), model.NetworkWiFi, "DE", 10)
	for i := range reports {
		r := &reports[i]
		r.Dropped, r.Stage = false, model.StageEnded
		r.Segments[0].Outcome.MOS = model.ScaleMOS.Bucket(qualities[i])
		r.Segments[0].Outcome.Rate = model.ScaleRate.Bucket(20 + 10*qualities[i])
	}
	return reports
}

// seen are qualities as reports can tell them, in ascending order.
func seen(qualities []float64) []float64 {
	list := make([]float64, len(qualities))
	for i, q := range qualities {
		list[i] = model.ScaleMOS.Value(model.ScaleMOS.Bucket(q))
	}
	slices.Sort(list)
	return list
}

// meanBetween is the mean of sorted values over the quantiles from a to b; a value on the edge counts in part.
func meanBetween(sorted []float64, a, b float64) float64 {
	n := float64(len(sorted))
	sum := 0.0
	for i, v := range sorted {
		sum += v * max(0, min(float64(i+1), b*n)-max(float64(i), a*n))
	}
	return sum / ((b - a) * n)
}

// at is the least value that a share of the sorted values do not exceed.
func at(sorted []float64, share float64) float64 {
	return sorted[min(max(int(math.Ceil(share*float64(len(sorted))-1e-9))-1, 0), len(sorted)-1)]
}

// half a step of the histogram, and what adding up floats may cost.
const rounding = 0.0025 + 1e-6

func TestCellsDaily(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 7, 100, 333} {
		w, conn := migratedFor(t, 1)
		rng := rand.New(rand.NewPCG(51, uint64(n)))
		qualities := make([]float64, n)
		for i := range qualities {
			qualities[i] = 2.2 + 2*rng.Float64()
		}
		insert(t, w, withQuality(rng, qualities)...)
		got, sorted := summaryOf(t, conn), seen(qualities)
		if got.Reports != uint64(n) || got.Judged != uint64(n) {
			t.Errorf("n = %d: %+v", n, got)
		}
		for name, pair := range map[string][2]float64{
			"median": {got.Median, at(sorted, 0.5)}, "p10": {got.P10, at(sorted, 0.1)}, "p90": {got.P90, at(sorted, 0.9)},
			"trimmed mean": {got.Trimmed, meanBetween(sorted, 0.1, 0.9)}, "mean": {got.Mean, meanBetween(sorted, 0, 1)},
		} {
			if math.Abs(pair[0]-pair[1]) > rounding {
				t.Errorf("n = %d: %s %v, want %v", n, name, pair[0], pair[1])
			}
		}
		if got.MedianKbps < 20 || got.MedianKbps > 70 || math.Abs(got.TrimmedKbps-got.MedianKbps) > 15 {
			t.Errorf("n = %d: kbps %v and %v", n, got.MedianKbps, got.TrimmedKbps)
		}
	}
}

// A cell without a quality has NaN, not a zero that looks like one.
func TestCellsDailyWithoutQuality(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 1)
	reports := withQuality(rand.New(rand.NewPCG(53, 54)), []float64{3, 3})
	for i := range reports {
		reports[i].Segments = nil
	}
	insert(t, w, reports...)
	got := summaryOf(t, conn)
	for _, v := range []float64{got.Median, got.P10, got.P90, got.Trimmed, got.Poor, got.MedianKbps, got.TrimmedKbps} {
		if !math.IsNaN(v) {
			t.Errorf("%+v, want NaN everywhere", got)
			break
		}
	}
}

// Nine per cent of false reports, as bad or as good as can be said, leave the robust summaries within what cells.go
// promises, while they pull the mean beyond what they can do to the trimmed one.
func TestPoisonCannotMoveTheSummariesFar(t *testing.T) {
	t.Parallel()
	const n, poisoned = 910, 90
	for _, tc := range []struct {
		name    string
		quality float64
	}{{"worst", model.WorstMOS}, {"best", 4.9}} {
		w, conn := migratedFor(t, 1)
		rng := rand.New(rand.NewPCG(55, 56))
		qualities := make([]float64, n)
		for i := range qualities {
			qualities[i] = 3.2 + 0.8*rng.Float64()
		}
		insert(t, w, withQuality(rng, qualities)...)
		before, sorted := summaryOf(t, conn), seen(qualities)
		insert(t, w, withQuality(rng, slices.Repeat([]float64{tc.quality}, poisoned))...)
		after := summaryOf(t, conn)
		e := float64(poisoned) / (n + poisoned)
		quantile := func(q float64) float64 { return at(sorted, min(max(q, 0), 1)) }
		for name, bound := range map[string][3]float64{
			"median": {after.Median, quantile((0.5 - e) / (1 - e)), quantile(0.5 / (1 - e))},
			"p10":    {after.P10, quantile((0.1 - e) / (1 - e)), quantile(0.1 / (1 - e))},
			"p90":    {after.P90, quantile((0.9 - e) / (1 - e)), quantile(0.9 / (1 - e))},
			"trimmed mean": {
				after.Trimmed, meanBetween(sorted, (0.1-e)/(1-e), (0.9-e)/(1-e)), meanBetween(sorted, 0.1/(1-e), 0.9/(1-e)),
			},
			"poor share": {after.Poor, before.Poor - e, before.Poor + e},
		} {
			if bound[0] < bound[1]-rounding || bound[0] > bound[2]+rounding {
				t.Errorf("%s: %s went to %v, want %v..%v", tc.name, name, bound[0], bound[1], bound[2])
			}
		}
		plain, trimmed := math.Abs(after.Mean-before.Mean), math.Abs(after.Trimmed-before.Trimmed)
		t.Logf("%s: %.0f %% poison moves the mean by %.3f, the trimmed mean by %.3f, the median by %.3f",
			tc.name, 100*e, plain, trimmed, math.Abs(after.Median-before.Median))
		if plain < 0.1 || plain < 2*trimmed {
			t.Errorf("%s: the poison moved the mean by %v and the trimmed mean by %v: this shows nothing", tc.name, plain, trimmed)
		}
	}
}
