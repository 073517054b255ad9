package telemetry_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/response"
)

// versionOne is a report as a version 1 client wrote it, with a rating.
func versionOne(t testing.TB) telemetry.Report {
	t.Helper()
	encoded, err := os.ReadFile("testdata/typical.report")
	if err != nil {
		t.Fatal(err)
	}
	var r telemetry.Report
	if err := telemetry.Unmarshal(encoded, &r); err != nil {
		t.Fatal(err)
	}
	if r.Schema != 1 {
		t.Fatalf("the report of version 1 says version %d", r.Schema)
	}
	r.Rating, r.Problems = 4, telemetry.ProblemDelay|telemetry.ProblemCuts
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestUpgrade(t *testing.T) {
	said := map[uint8]bool{}
	for range 200 {
		r := versionOne(t)
		want := r
		r.Upgrade()
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		if r.Schema != telemetry.SchemaVersion || r.Rating != 0 || r.Problems != 0 || r.Stars == 0 || r.Problem == 0 {
			t.Fatalf("upgraded to version %d, rating %d, problems %b, stars %d, problem %d", r.Schema, r.Rating, r.Problems, r.Stars, r.Problem)
		}
		said[r.Stars] = true
		want.Schema, want.Rating, want.Problems, want.Stars, want.Problem = r.Schema, 0, 0, r.Stars, r.Problem
		if diff := cmp.Diff(want, r); diff != "" {
			t.Fatalf("something else changed (-before +after):\n%s", diff)
		}
		before := r
		r.Upgrade()
		if diff := cmp.Diff(before, r); diff != "" {
			t.Fatalf("a second upgrade changed the report:\n%s", diff)
		}
	}
	// Each draw misses one of the five values with a chance of at most 1 - 0.0878: 200 draws miss it with 1e-8.
	if len(said) != response.Stars {
		t.Errorf("200 upgrades of 4 stars said %d different things, want %d: the noise is not fresh", len(said), response.Stars)
	}
}

func TestUpgradeOfACallNobodyRated(t *testing.T) {
	r := versionOne(t)
	r.Rating = 0
	r.Upgrade()
	if r.Stars != 0 || r.Problem != 0 || r.Problems != 0 {
		t.Errorf("stars %d problem %d problems %b of a call without a rating", r.Stars, r.Problem, r.Problems)
	}
}
