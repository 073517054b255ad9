package response_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-calls/attune/telemetry/response"
)

// opinion is a population to draw users from.
var (
	starShares = [response.Stars]float64{0.08, 0.02, 0.10, 0.25, 0.55}
	flagShares = [response.Flags]float64{0, 0.01, 0.05, 0.10, 0.20, 0.30, 0.5, 1}
)

func drawStars(rng *rand.Rand) uint8 {
	u := rng.Float64()
	for i, share := range starShares {
		if u -= share; u < 0 {
			return uint8(i + 1)
		}
	}
	return response.Stars
}

func drawFlags(rng *rand.Rand) (flags uint16) {
	for flag, share := range flagShares {
		if rng.Float64() < share {
			flags |= 1 << flag
		}
	}
	return flags
}

// spread collects what many independent surveys estimate.
type spread struct{ n, sum, square, stated, raw float64 }

func (s *spread) add(e response.Estimate) {
	s.n++
	s.sum += e.Value
	s.square += e.Value * e.Value
	s.stated += e.StandardError * e.StandardError
	s.raw += e.RawStandardError * e.RawStandardError
}

// check holds the estimates to the truth, to their own stated standard error and to the loss that was foretold. The
// bounds are six standard deviations of what they bound: of a mean, deviation/sqrt(n); of a deviation, about
// deviation/sqrt(2n) (normal theory, and the estimates are sums of many answers).
func (s *spread) check(t *testing.T, name string, truth, lost float64) {
	t.Helper()
	mean := s.sum / s.n
	deviation := math.Sqrt((s.square/s.n - mean*mean) * s.n / (s.n - 1))
	if off := math.Abs(mean - truth); off > 6*deviation/math.Sqrt(s.n) {
		t.Errorf("%s: %.5f on average, the truth is %.5f: biased by %.5f", name, mean, truth, off)
	}
	stated := math.Sqrt(s.stated / s.n)
	if math.Abs(stated/deviation-1) > 6/math.Sqrt(2*s.n) {
		t.Errorf("%s: stated standard error %.5f, the estimates really scatter by %.5f", name, stated, deviation)
	}
	if got := stated / math.Sqrt(s.raw/s.n); truth > 0.04 && truth < 0.96 && math.Abs(got/lost-1) > 0.15 {
		t.Errorf("%s: %.2f times the raw standard error, foretold %.2f", name, got, lost)
	}
}

func TestEstimatesAreUnbiasedAndKnowTheirError(t *testing.T) {
	const surveys, users = 400, 4000
	rng := rand.New(rand.NewPCG(20261123, 1))
	var stars [response.Stars]spread
	var problems [response.Flags]spread
	var mean spread
	trueMean := 0.0
	for i, share := range starShares {
		trueMean += share * float64(i+1)
	}
	for range surveys {
		var starCounts [response.Stars]uint64
		var problemCounts [response.MaxProblem]uint64
		for range users {
			starCounts[response.RandomizeStars(drawStars(rng))-1]++
			problemCounts[response.RandomizeProblem(drawFlags(rng))-1]++
		}
		for i, e := range response.EstimateStars(starCounts) {
			stars[i].add(e)
		}
		for i, e := range response.EstimateProblems(problemCounts) {
			problems[i].add(e)
		}
		mean.add(response.EstimateMeanStars(starCounts))
	}
	for i := range stars {
		stars[i].check(t, fmt.Sprintf("%d stars", i+1), starShares[i], response.StarsLost(starShares[i]))
	}
	for i := range problems {
		problems[i].check(t, fmt.Sprintf("flag %d", i), flagShares[i], response.ProblemLost(flagShares[i]))
	}
	mean.check(t, "mean stars", trueMean, mean.stated/mean.raw)
}

// Expected counts, without noise, must give back the shares they were made from.
func TestEstimatesInvertTheMechanism(t *testing.T) {
	const users = 1e12
	var counts [response.Stars]uint64
	for i, share := range starShares {
		counts[i] = uint64(math.Round(users * (response.StarsLie + (response.StarsTruth-response.StarsLie)*share)))
	}
	total := 0.0
	for i, e := range response.EstimateStars(counts) {
		if math.Abs(e.Value-starShares[i]) > 1e-9 {
			t.Errorf("%d stars: %v, want %v", i+1, e.Value, starShares[i])
		}
		if math.Abs(e.Lost()/response.StarsLost(starShares[i])-1) > 1e-6 {
			t.Errorf("%d stars: accuracy lost %v, foretold %v", i+1, e.Lost(), response.StarsLost(starShares[i]))
		}
		total += e.Value
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("the shares add up to %v", total)
	}
}

func TestTooFewAnswers(t *testing.T) {
	for _, e := range response.EstimateStars([response.Stars]uint64{}) {
		if !math.IsNaN(e.Value) || !math.IsNaN(e.StandardError) {
			t.Errorf("no answers give %+v", e)
		}
	}
	if e := response.EstimateMeanStars([response.Stars]uint64{}); !math.IsNaN(e.Value) || !math.IsNaN(e.StandardError) {
		t.Errorf("no answers give %+v", e)
	}
	if e := response.EstimateProblems([response.MaxProblem]uint64{1: 1})[0]; e.Answers != 1 || !math.IsNaN(e.StandardError) {
		t.Errorf("one answer gives %+v", e)
	}
}

func ExampleEstimateStars() {
	// 10,000 users rated, a tenth of them with one star, 55 % with five. The reports say something else; the estimate finds it again.
	said := [response.Stars]uint64{1450, 1149, 1428, 2021, 3952}
	for i, e := range response.EstimateStars(said) {
		fmt.Printf("%d stars: %4.1f %% +- %.1f, %.1f times the error of raw answers\n",
			i+1, 100*e.Value, 100*e.StandardError, e.Lost())
	}
	fmt.Printf("mean: %.2f stars\n", response.EstimateMeanStars(said).Value)
	// Output:
	// 1 stars: 10.2 % +- 0.6, 2.1 times the error of raw answers
	// 2 stars:  4.8 % +- 0.6, 2.7 times the error of raw answers
	// 3 stars:  9.8 % +- 0.6, 2.1 times the error of raw answers
	// 4 stars: 20.4 % +- 0.7, 1.8 times the error of raw answers
	// 5 stars: 54.8 % +- 0.9, 1.8 times the error of raw answers
	// mean: 4.05 stars
}
