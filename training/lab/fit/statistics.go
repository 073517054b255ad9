package fit

import (
	"math"
	"slices"
	"strconv"
)

// ksDistance is the Kolmogorov-Smirnov distance of two samples: the greatest difference of their empirical distribution
// functions (Smirnov 1948, Annals of Mathematical Statistics 19(2)).
func ksDistance(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	var i, j int
	var greatest float64
	for i < len(a) && j < len(b) {
		x := min(a[i], b[j])
		for i < len(a) && a[i] <= x {
			i++
		}
		for j < len(b) && b[j] <= x {
			j++
		}
		greatest = max(greatest, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return greatest
}

// quantile of sorted values, interpolated between the nearest two.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// variance is the mean squared distance from the mean.
func variance(v []float64) float64 {
	m := mean(v)
	var sum float64
	for _, x := range v {
		sum += (x - m) * (x - m)
	}
	return sum / float64(len(v))
}

// lagOne is the autocorrelation at a distance of one.
func lagOne(v []float64) float64 {
	m, s := mean(v), variance(v)
	if s == 0 {
		return 0
	}
	var sum float64
	for i := 1; i < len(v); i++ {
		sum += (v[i] - m) * (v[i-1] - m)
	}
	return sum / float64(len(v)) / s
}

// round keeps so many significant digits, so that a profile is readable.
func round(v float64, digits int) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		panic(err) // of what FormatFloat wrote
	}
	return rounded
}
