package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/attune-calls/attune/policy"
)

// callEvent is a decision, a segment or a fault of a call, for programs. What was not measured is left out.
type callEvent struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"` // decision, segment or fault
	Policy uint32    `json:"policy,omitempty"`
	Cause  string    `json:"cause,omitempty"`
	Action string    `json:"action,omitempty"`

	MOS             *float64 `json:"mos,omitempty"`
	LossBefore      *float64 `json:"lossBefore,omitempty"`
	LossAfter       *float64 `json:"lossAfter,omitempty"`
	RoundTripMillis *float64 `json:"roundTripMillis,omitempty"`
	SentKbps        *float64 `json:"sentKbps,omitempty"`

	Fault string `json:"fault,omitempty"`
}

// print tells what the caller's side decides and what comes of it.
func (c *caller) print(e policy.Event) {
	c.printing.Lock()
	defer c.printing.Unlock()
	if c.options.json {
		if known, ok := eventJSON(e); ok {
			_ = json.NewEncoder(c.out).Encode(known) // a call does not end because nobody listens
		}
		return
	}
	switch e.Kind {
	case policy.EventDecision:
		fmt.Fprintf(c.out, "%s  policy %d, %v: %v\n", e.At.Format(time.TimeOnly), e.Policy, e.Cause, e.Action)
	case policy.EventSegment:
		m := e.Measurement
		fmt.Fprintf(c.out, "%s    MOS %.2f, loss %.1f %%, after repair %.1f %%, round trip %v, %.0f kbps\n", e.At.Format(time.TimeOnly),
			m.MOS, 100*m.LossBefore, 100*m.LossAfter, m.RoundTripTime.Round(time.Millisecond), m.SentKbps)
	case policy.EventFault:
		fmt.Fprintf(c.err, "%s  %v\n", e.At.Format(time.TimeOnly), e.Err)
	}
}

func eventJSON(e policy.Event) (callEvent, bool) {
	out := callEvent{At: e.At}
	switch e.Kind {
	case policy.EventDecision:
		out.Kind, out.Policy, out.Cause, out.Action = "decision", e.Policy, e.Cause.String(), e.Action.String()
	case policy.EventSegment:
		m := e.Measurement
		out.Kind, out.Policy, out.Action = "segment", e.Segment.Policy, e.Segment.Action.String()
		out.MOS, out.LossBefore, out.LossAfter, out.SentKbps = measured(m.MOS), measured(m.LossBefore), measured(m.LossAfter), measured(m.SentKbps)
		if m.RoundTripTime >= 0 {
			out.RoundTripMillis = measured(float64(m.RoundTripTime) / float64(time.Millisecond))
		}
	case policy.EventFault:
		out.Kind, out.Fault = "fault", e.Err.Error()
	default:
		return out, false
	}
	return out, true
}

// measured is nil for what JSON has no number for.
func measured(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
