package warehouse_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry/response"
)

// The view estimates what package response estimates from the same answers.
func TestRatingsDaily(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 50)
	rng := rand.New(rand.NewPCG(61, 62))
	reports := flood(rng, 1000, model.NetworkWiFi, "DE", 7)
	var stars [response.Stars]uint64
	var problems [response.MaxProblem]uint64
	for i := range reports {
		r := &reports[i]
		r.Stars, r.Problem = 0, 0
		if i%5 == 0 {
			continue // not rated
		}
		r.Stars, r.Problem = response.RandomizeStars(uint8(3+i%3)), response.RandomizeProblem(uint16(i%2)<<4)
		stars[r.Stars-1]++
		problems[r.Problem-1]++
	}
	insert(t, w, reports...)
	insert(t, w, reports[:300]...)

	want := map[string]response.Estimate{"mean stars": response.EstimateMeanStars(stars)}
	for i, e := range response.EstimateStars(stars) {
		want[[]string{"stars 1", "stars 2", "stars 3", "stars 4", "stars 5"}[i]] = e
	}
	for i, e := range response.EstimateProblems(problems) {
		want["problem "+[]string{"echo", "noise", "silence", "unheard", "cuts", "distorted", "delay", "ended"}[i]] = e
	}
	rows, err := conn.Query(t.Context(), "SELECT reports, rated, measure, answers, estimate, standard_error FROM ratings_daily WHERE network = 'wifi'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var all, rated uint64
		var measure string
		var got response.Estimate
		if err := rows.Scan(&all, &rated, &measure, &got.Answers, &got.Value, &got.StandardError); err != nil {
			t.Fatal(err)
		}
		e, ok := want[measure]
		delete(want, measure)
		if !ok || all != 1000 || rated != 800 || got.Answers != e.Answers ||
			math.Abs(got.Value-e.Value) > 1e-9 || math.Abs(got.StandardError-e.StandardError) > 1e-9 {
			t.Errorf("%s: %+v of %d rated of %d, want %+v of 800 of 1000", measure, got, rated, all, e)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(want) > 0 {
		t.Errorf("not estimated: %v", want)
	}
}
