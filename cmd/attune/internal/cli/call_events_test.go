package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// What was not measured is NaN, for which JSON has no number.
func TestCallEventsAreJSON(t *testing.T) {
	var out bytes.Buffer
	c := &caller{settings: &settings{streams: streams{out: &out}}, options: callOptions{json: true}}
	unmeasured := model.Unmeasured()
	unmeasured.MOS = 4.25
	c.print(policy.Event{Kind: policy.EventDecision, Policy: 3, Cause: model.CauseNetwork})
	c.print(policy.Event{Kind: policy.EventSegment, Measurement: unmeasured})
	c.print(policy.Event{Kind: policy.EventFault, Err: errors.New("no encoder")})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for i, want := range []string{`"kind":"decision","policy":3,"cause":"network"`, `"mos":4.25}`, `"kind":"fault","fault":"no encoder"`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("%s\nwant %s", lines[i], want)
		}
	}
}
