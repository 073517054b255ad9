package transparency_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry/transparency"
)

// TestWhatNobodyExplains adds to a database what the registry does not know.
func TestWhatNobodyExplains(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		where     string
		serious   bool
	}{
		"column":            {"ALTER TABLE calls ADD COLUMN caller String", "column calls.caller", true},
		"nested column":     {"ALTER TABLE calls ADD COLUMN segment.address Array(UInt32)", "column calls.segment.address", true},
		"column of rejects": {"ALTER TABLE rejects ADD COLUMN bytes String", "column rejects.bytes", true},
		"table":             {"CREATE TABLE callers (name String) ENGINE = MergeTree ORDER BY name", "table callers", true},
		"table in memory":   {"CREATE TABLE seen (ip UInt32) ENGINE = Memory", "table seen", true},
		"view":              {"CREATE VIEW late AS SELECT hour FROM calls", "view late", false},
		"view that stores":  {"CREATE MATERIALIZED VIEW copied ENGINE = MergeTree ORDER BY id AS SELECT id FROM calls", "copied", true},
	} {
		t.Run(name, func(t *testing.T) {
			w, conn := newWarehouse(t)
			execute(t, conn, c.statement)
			r := gather(t, sources(t, w))
			var found *transparency.Finding
			for i, f := range r.Findings {
				if strings.Contains(f.Where, c.where) {
					found = &r.Findings[i]
				}
			}
			if found == nil || found.Serious != c.serious {
				t.Fatalf("findings %+v, want %s", r.Findings, c.where)
			}
			if !c.serious {
				return
			}
			if !strings.Contains(r.Answer[0], "cannot say") {
				t.Errorf("the answer is still: %s", r.Answer[0])
			}
			for _, o := range r.Orders {
				if o.Level == transparency.LevelNothing {
					t.Errorf("still promised: %s: %s", o.Demand, o.Verdict)
				}
			}
			page, err := r.HTML()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(page, []byte(`<tr class="unknown">`)) {
				t.Error("it is not red on the page")
			}
		})
	}
}

func TestBrokenPromises(t *testing.T) {
	w, _ := newWarehouse(t)
	fill(t, w, append([]group{{n: 49, day: "2026-01-20", region: "IT", network: 2}}, seeded...))
	s := sources(t, w)
	s.Now = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC) // 92 days after the Monday of the oldest
	s.Log = []byte("{}\n")
	r := gather(t, s)
	text := fmt.Sprint(r.Serious())
	for _, want := range []string{"should have been deleted by 2026-03-29", "cell of 49 reports", "not what was signed"} {
		if !strings.Contains(text, want) {
			t.Errorf("serious findings lack %q: %s", want, text)
		}
	}
	if r.Requests.State != transparency.LogAltered || len(r.Requests.List) != 0 {
		t.Errorf("%+v", r.Requests)
	}
}

// What is counted of refused reports is held to the same end as reports.
func TestRefusalsAreDeletedInTime(t *testing.T) {
	w, _ := newWarehouse(t)
	refuse(t, w) // on 2026-01-06: its Monday is the 5th, and 90 days later it is 2026-04-05
	s := sources(t, w)
	for day, overdue := range map[int]bool{5: false, 7: true} {
		s.Now = time.Date(2026, 4, day, 0, 0, 1, 0, time.UTC)
		text := fmt.Sprint(gather(t, s).Serious())
		if got := strings.Contains(text, "table rejects") && strings.Contains(text, "should have been deleted by 2026-04-05"); got != overdue {
			t.Errorf("on April %d: overdue is %v: %s", day, got, text)
		}
	}
}
