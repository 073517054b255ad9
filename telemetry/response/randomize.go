package response

import (
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
)

// The privacy loss of one rated call. See the package comment for what it means.
const (
	EpsilonStars   = 2.0
	EpsilonProblem = 2.0
	Epsilon        = EpsilonStars + EpsilonProblem
)

const (
	// Stars is the number of stars a user can give; 1 is the fewest.
	Stars = 5
	// Flags is the number of problem flags: bits 0..Flags-1.
	Flags = 8
	// MaxProblem is the largest value RandomizeProblem gives.
	MaxProblem = 2 * Flags
)

// Draws are from whole numbers, so that every chance is an exact fraction. The truth has truthWeight of them, every
// other answer lieWeight. The ratio is e^2 rounded down to a millionth (7.389056 < 7.3890560989...), so what is promised
// is kept, not approximated.
const (
	lieWeight   = 1_000_000
	truthWeight = 7_389_056

	starsTotal  = truthWeight + (Stars-1)*lieWeight
	answerTotal = truthWeight + lieWeight
)

// system draws from the operating system's generator: noise that can be predicted can be removed.
type system struct{}

// Uint64 implements rand.Source. crypto/rand.Read never fails: it ends the process instead.
func (system) Uint64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// below draws uniformly from 0..n-1 (rand.Uint64N rejects what would make some values likelier).
func below(n uint64) uint64 { return mathrand.New(system{}).Uint64N(n) }

// RandomizeStars gives what a report may say of a user's stars, 1..Stars. Stars off this range count as not given: the
// result is 0, which says so.
func RandomizeStars(stars uint8) uint8 {
	if stars == 0 || stars > Stars {
		return 0
	}
	return starsFrom(below(starsTotal), stars)
}

// starsFrom turns a draw from 0..starsTotal-1 into an answer.
func starsFrom(draw uint64, stars uint8) uint8 {
	if draw < truthWeight {
		return stars
	}
	other := 1 + uint8((draw-truthWeight)/lieWeight) // 1..Stars-1: the others in ascending order
	if other >= stars {
		other++
	}
	return other
}

// RandomizeProblem gives what a report may say of a user's problem flags, as 1 + 2*flag + answer: the flag that was
// drawn, and a yes or no that is the truth with a chance of 0.88. Bits from Flags up are ignored.
func RandomizeProblem(flags uint16) uint8 {
	flag := uint8(below(Flags))
	return ProblemAnswer(flag, answerFrom(below(answerTotal), flags>>flag&1 == 1))
}

// answerFrom turns a draw from 0..answerTotal-1 into a yes or no.
func answerFrom(draw uint64, yes bool) bool { return yes == (draw < truthWeight) }

// ProblemAnswer is the encoding of a yes or no to the question about one flag.
func ProblemAnswer(flag uint8, yes bool) uint8 {
	answer := 1 + 2*flag
	if yes {
		answer++
	}
	return answer
}

// ProblemQuestion is what an encoded answer is about: the flag asked, and the answer. ok is false for 0, which is no
// answer, and for values above MaxProblem.
func ProblemQuestion(problem uint8) (flag uint8, yes, ok bool) {
	if problem == 0 || problem > MaxProblem {
		return 0, false, false
	}
	return (problem - 1) / 2, (problem-1)%2 == 1, true
}
