package telemetry

import (
	"github.com/attune-calls/attune/telemetry/response"
)

// Upgrade turns a valid report of version 1 into one of version 2: what the user said is randomized, as a client of
// today does on the device, and then cleared. Other reports stay as they are. The noise is fresh each time: noise made
// from the id could be computed again and taken away.
func (r *Report) Upgrade() {
	if r.Schema != 1 {
		return
	}
	r.Stars, r.Problem = randomized(r.Rating, r.Problems)
	r.Rating, r.Problems = 0, 0
	r.Schema = 2
}

// randomized is what a report says of an opinion; without stars there is none.
func randomized(rating uint8, problems uint16) (stars, problem uint8) {
	if rating == 0 || rating > MaxRating {
		return 0, 0
	}
	return response.RandomizeStars(rating), response.RandomizeProblem(problems & ProblemMask)
}
