package network

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestExtraDelayFollowsItsDistribution to the tails, and whatever the table's steps do in between.
func TestExtraDelayFollowsItsDistribution(t *testing.T) {
	const draws = 2_000_000
	for _, j := range []Jitter{
		{Distribution: JitterLogNormal, Millis: 10, Spread: 0.5, MaxMillis: 10_000},
		{Distribution: JitterNormal, Millis: 50, Spread: 8},
	} {
		e, random := newExtraDelay(&j), rand.New(rand.NewPCG(1, 2))
		z := make([]float64, draws) // the draws in standard deviations
		sum, squares := 0.0, 0.0
		for i := range z {
			ms := float64(e.draw(random)) / float64(time.Millisecond)
			if z[i] = (ms - j.Millis) / j.Spread; j.Distribution == JitterLogNormal {
				z[i] = math.Log(ms/j.Millis) / j.Spread
			}
			sum += z[i]
			squares += z[i] * z[i]
		}
		if mean, variance := sum/draws, squares/draws; math.Abs(mean) > 0.003 || math.Abs(variance-1) > 0.006 {
			t.Errorf("%s: mean %v, variance %v of a standard normal number", j.Distribution, mean, variance)
		}
		// Kolmogorov-Smirnov: above 1.95/sqrt(n) once in a thousand.
		slices.Sort(z)
		worst := 0.0
		for i, v := range z {
			cdf := 0.5 * math.Erfc(-v/math.Sqrt2)
			worst = max(worst, math.Abs(cdf-float64(i)/draws), math.Abs(cdf-float64(i+1)/draws))
		}
		if worst > 1.95/math.Sqrt(draws) {
			t.Errorf("%s: the distribution is off by %v", j.Distribution, worst)
		}
		for _, q := range []float64{1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999} {
			want := math.Sqrt2 * math.Erfinv(2*q-1)
			slack := 4*math.Sqrt(q*(1-q)/draws)/(math.Exp(-want*want/2)/math.Sqrt(2*math.Pi)) + 0.001
			if got := z[int(q*draws)]; math.Abs(got-want) > slack {
				t.Errorf("%s: quantile %v is %v, want %v within %v", j.Distribution, q, got, want, slack)
			}
		}
	}
}

// TestExtraDelayTableIsAsGoodAsItSays: a straight line between two points is nowhere off by more than is said.
func TestExtraDelayTableIsAsGoodAsItSays(t *testing.T) {
	s := shape{millis: 500, spread: 100, limit: 1000}
	points := tables.of(s)
	for i := tailSteps; i < quantileSteps-tailSteps; i++ {
		for _, part := range []float64{0.25, 0.5, 0.75} {
			line := float64(points[i]) + part*float64(points[i+1]-points[i])
			if want := s.quantile((float64(i) + part) / quantileSteps); math.Abs(line-float64(want)) > 0.001*100*float64(time.Millisecond) {
				t.Fatalf("step %d: %v, want %v", i, time.Duration(line), want)
			}
		}
	}
	for _, j := range []Jitter{{}, {Distribution: JitterNormal}, {Distribution: JitterLogNormal, Spread: 3}, {Distribution: JitterNormal, Millis: 5}} {
		e, random := newExtraDelay(&j), rand.New(rand.NewPCG(1, 2))
		for range 10_000 {
			if d := e.draw(random); d != millis(j.Millis) {
				t.Fatalf("%+v: %v", j, d)
			}
		}
	}
}

// TestTablesAreBounded whatever is simulated.
func TestTablesAreBounded(t *testing.T) {
	c := tableCache{made: make(map[shape]*quantiles)}
	for i := range mostTables + 10 {
		if c.of(shape{millis: float64(i), limit: 1000}) == nil || len(c.made) > mostTables {
			t.Fatalf("%d tables are kept", len(c.made))
		}
	}
}
