package response

import "math"

// The chances of the mechanisms, for estimates made elsewhere, such as in SQL.
const (
	// StarsTruth is the chance that a report says the stars the user gave.
	StarsTruth = float64(truthWeight) / starsTotal
	// StarsLie is the chance of each other number of stars.
	StarsLie = float64(lieWeight) / starsTotal
	// ProblemTruth is the chance that a report's answer about the flag it was asked for is true.
	ProblemTruth = float64(truthWeight) / answerTotal
)

// Estimate is an unbiased estimate of what users said.
type Estimate struct {
	// Value is a share of the users who rated, or their mean stars. By chance a share can come out below 0 or above 1:
	// cut it off for display only, never before averaging or comparing. NaN without answers.
	Value float64
	// StandardError of Value, from the same answers. NaN with fewer than two.
	StandardError float64
	// RawStandardError is what it would be if the same users' answers had not been randomized.
	RawStandardError float64
	// Answers is how many answers Value rests on.
	Answers uint64
}

// Lost is the accuracy lost to privacy: how many times larger the standard error is than that of raw answers. The square
// of it is how many times more calls are needed for the same accuracy. +Inf where raw answers would leave no doubt.
func (e Estimate) Lost() float64 { return e.StandardError / e.RawStandardError }

// EstimateStars estimates the share of each number of stars; counts[i] is how many reports say i+1.
//
// With S the share of reports that say a value, S is expected to be lie + (truth - lie) x the share of users who said
// it; solved for the latter (Kairouz, Bonawitz and Ramage 2016, the empirical estimator of k-RR).
func EstimateStars(counts [Stars]uint64) [Stars]Estimate {
	total := sum(counts[:])
	var estimates [Stars]Estimate
	for i, n := range counts {
		estimates[i] = share(n, total, total, StarsTruth, StarsLie)
	}
	return estimates
}

// EstimateMeanStars estimates the mean of the users' stars; counts is that of EstimateStars.
func EstimateMeanStars(counts [Stars]uint64) Estimate {
	total := sum(counts[:])
	moments := func(weight func(i int) float64) (mean, variance float64) {
		square := 0.0
		for i := range counts {
			stars := float64(i + 1)
			mean += weight(i) * stars
			square += weight(i) * stars * stars
		}
		return mean, max(square-mean*mean, 0)
	}
	n := float64(total)
	said, variance := moments(func(i int) float64 { return float64(counts[i]) / n })
	const every = Stars * (Stars + 1) / 2 // 1 + 2 + .. + Stars
	shares := EstimateStars(counts)
	_, raw := moments(func(i int) float64 { return shares[i].Value })
	return Estimate{
		Value:            (said - StarsLie*every) / (StarsTruth - StarsLie),
		StandardError:    errorOf(variance, total) / (StarsTruth - StarsLie),
		RawStandardError: errorOf(raw, total),
		Answers:          total,
	}
}

// EstimateProblems estimates for each flag the share of users who set it; counts[i] is how many reports have the problem
// answer i+1. Each flag rests on the answers about it, an eighth of all; raw answers would have told of every flag.
func EstimateProblems(counts [MaxProblem]uint64) [Flags]Estimate {
	rated := sum(counts[:])
	var estimates [Flags]Estimate
	for flag := range estimates {
		no, yes := counts[2*flag], counts[2*flag+1]
		estimates[flag] = share(yes, no+yes, rated, ProblemTruth, 1-ProblemTruth)
	}
	return estimates
}

// share inverts a mechanism that says "yes" with chance truth for those who meant it and lie for the others: n of total
// said it, and raw answers would have come from rated.
func share(n, total, rated uint64, truth, lie float64) Estimate {
	said := float64(n) / float64(total)
	value := (said - lie) / (truth - lie)
	inside := min(max(value, 0), 1)
	return Estimate{
		Value:            value,
		StandardError:    errorOf(said*(1-said), total) / (truth - lie),
		RawStandardError: errorOf(inside*(1-inside), rated),
		Answers:          total,
	}
}

// errorOf is the standard error of a mean of n values with the given (population) variance in the sample: the square
// root of the unbiased estimate of the mean's variance.
func errorOf(variance float64, n uint64) float64 {
	if n < 2 {
		return math.NaN()
	}
	return math.Sqrt(variance / float64(n-1))
}

// StarsLost is Estimate.Lost to be expected for a share of users, 0 < share < 1, whatever their number.
func StarsLost(of float64) float64 {
	said := StarsLie + (StarsTruth-StarsLie)*of
	return math.Sqrt(said*(1-said)/(of*(1-of))) / (StarsTruth - StarsLie)
}

// ProblemLost is Estimate.Lost to be expected for the share of users who set a flag, 0 < share < 1.
func ProblemLost(of float64) float64 {
	said := 1 - ProblemTruth + (2*ProblemTruth-1)*of
	return math.Sqrt(Flags*said*(1-said)/(of*(1-of))) / (2*ProblemTruth - 1)
}

func sum(counts []uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}
