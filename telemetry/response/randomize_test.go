package response

import (
	"math"
	"math/big"
	"math/bits"
	"testing"
)

// ratioWithin tells whether a/b <= e^epsilon, in exact arithmetic for the fraction and an e^2 that is rounded down.
func ratioWithin(a, b uint64, epsilon float64) bool {
	if epsilon != 2 {
		panic("the bound below is that of e^2")
	}
	squaredE, ok := new(big.Rat).SetString("7.38905609893065022723042746057500781318031557055184") // truncated
	if !ok {
		panic("not a number")
	}
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b)).Cmp(squaredE) <= 0
}

// The mechanism is a function of a uniform draw, so enumerating every draw gives its distribution exactly.
func TestStarsKeepEpsilon(t *testing.T) {
	var counts [Stars + 1][Stars + 1]uint64 // by what was given and what is said
	for given := uint8(1); given <= Stars; given++ {
		for draw := range uint64(starsTotal) {
			counts[given][starsFrom(draw, given)]++
		}
	}
	for said := 1; said <= Stars; said++ {
		for a := 1; a <= Stars; a++ {
			if counts[a][0] != 0 {
				t.Fatalf("%d stars are reported as not given for %d draws", a, counts[a][0])
			}
			for b := 1; b <= Stars; b++ {
				if !ratioWithin(counts[a][said], counts[b][said], EpsilonStars) {
					t.Errorf("%d is said with %d/%d after %d stars and %d/%d after %d: the ratio is above e^%v",
						said, counts[a][said], starsTotal, a, counts[b][said], starsTotal, b, EpsilonStars)
				}
			}
		}
		if got := float64(counts[said][said]) / starsTotal; got != StarsTruth {
			t.Errorf("the truth about %d stars has chance %v, StarsTruth says %v", said, got, StarsTruth)
		}
		if other := 1 + said%Stars; float64(counts[said][other])/starsTotal != StarsLie {
			t.Errorf("%d stars become %d with chance %d/%d, StarsLie says %v", said, other, counts[said][other], starsTotal, StarsLie)
		}
	}
	// And the budget is used: a millionth less of the truth's weight would be enough for nothing.
	if loss := math.Log(float64(counts[1][1]) / float64(counts[2][1])); loss < EpsilonStars-1e-6 {
		t.Errorf("the loss is %v, %v were allowed: accuracy is given away", loss, EpsilonStars)
	}
}

func TestProblemKeepsEpsilon(t *testing.T) {
	var counts [2][2]uint64 // by whether the flag was set and what is said
	for draw := range uint64(answerTotal) {
		for set := range counts {
			said := 0
			if answerFrom(draw, set == 1) {
				said = 1
			}
			counts[set][said]++
		}
	}
	// The flag asked about is drawn apart from the flags and uniformly, so its chance cancels in the ratio of any two
	// sets of flags: for each output the worst case is a set with that flag against one without.
	for said := range counts {
		for set := range counts {
			if !ratioWithin(counts[set][said], counts[1-set][said], EpsilonProblem) {
				t.Errorf("answer %d: %d/%d against %d/%d of %d draws: above e^%v",
					said, counts[set][said], answerTotal, counts[1-set][said], answerTotal, uint64(answerTotal), EpsilonProblem)
			}
		}
	}
	if got := float64(counts[1][1]) / answerTotal; got != ProblemTruth || counts[0][0] != counts[1][1] {
		t.Errorf("the truth has chances %v and %d/%d, ProblemTruth says %v", got, counts[0][0], answerTotal, ProblemTruth)
	}
}

// TestDrawsAreUniform guards the generator behind the draws: counts of 2^17 draws in 8 cells and of single bits.
func TestDrawsAreUniform(t *testing.T) {
	const draws = 1 << 17
	var cells [Flags]float64
	ones := 0
	for range draws {
		cells[below(Flags)]++
		ones += bits.OnesCount64(system{}.Uint64())
	}
	// Standard deviations: sqrt(draws/8 x 7/8) = 120 per cell and sqrt(64 x draws)/2 = 1448 of the bits. Six of each.
	for flag, n := range cells {
		if math.Abs(n-draws/Flags) > 6*120 {
			t.Errorf("flag %d is asked about %v times in %d, want about %d", flag, n, draws, draws/Flags)
		}
	}
	if math.Abs(float64(ones)-32*draws) > 6*1448 {
		t.Errorf("%d of %d bits are set", ones, 64*draws)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(uint8(0), uint16(0))
	f.Add(uint8(3), uint16(0xffff))
	f.Fuzz(func(t *testing.T, stars uint8, flags uint16) {
		said := RandomizeStars(stars)
		if (stars >= 1 && stars <= Stars) != (said != 0) || said > Stars {
			t.Errorf("%d stars become %d", stars, said)
		}
		problem := RandomizeProblem(flags)
		flag, yes, ok := ProblemQuestion(problem)
		if !ok || flag >= Flags || ProblemAnswer(flag, yes) != problem {
			t.Errorf("flags %b become %d: flag %d, %v, %v", flags, problem, flag, yes, ok)
		}
	})
}

func TestAnswersOffTheirList(t *testing.T) {
	for _, problem := range []uint8{0, MaxProblem + 1, 255} {
		if _, _, ok := ProblemQuestion(problem); ok {
			t.Errorf("%d is an answer", problem)
		}
	}
}
