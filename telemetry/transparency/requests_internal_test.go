package transparency

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A request that came before the period and was answered in it is listed. The counts of a period are of what came in it.
func TestRequestsAnsweredInThePeriodAreListed(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	path, now := filepath.Join(t.TempDir(), "requests.jsonl"), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, received := range []Day{"2025-12-20", "2025-12-21", "2026-01-10"} {
		if _, err := Append(path, key, now, Request{Kind: KindUser, Jurisdiction: "DE", Received: received}); err != nil {
			t.Fatal(err)
		}
	}
	for number, answered := range map[uint64]Day{1: "2026-01-05", 3: "2026-02-02"} {
		if _, err := AppendAnswer(path, key, now, number, answered, AnswerRefused, ""); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for period, want := range map[[2]Day]struct {
		listed   []uint64
		received int
	}{
		{"2025-12-01", "2026-01-01"}: {[]uint64{1, 2}, 2},
		{"2026-01-01", "2026-02-01"}: {[]uint64{1, 3}, 1},
		{"2026-02-01", "2026-03-01"}: {[]uint64{3}, 0},
	} {
		r := requestsOf(text, []PublicKey{key.Public()}, period[0], period[1])
		var listed []uint64
		for _, q := range r.List {
			listed = append(listed, q.Number)
		}
		if len(listed) != len(want.listed) {
			t.Errorf("%v lists %v, want %v", period, listed, want.listed)
			continue
		}
		for i := range listed {
			if listed[i] != want.listed[i] {
				t.Errorf("%v lists %v, want %v", period, listed, want.listed)
			}
		}
		for _, k := range r.Kinds {
			if k.Kind == KindUser.String() && k.Period != want.received {
				t.Errorf("%v counts %d, want %d", period, k.Period, want.received)
			}
		}
	}
}
