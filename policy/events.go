package policy

import (
	"sync/atomic"
	"time"

	"github.com/attune-calls/attune/model"
)

// EventKind says what an Event tells.
type EventKind uint8

// The values of EventKind.
const (
	EventUnknown EventKind = iota
	EventDecision
	EventSegment
	EventFault
)

func (k EventKind) String() string {
	switch k {
	case EventDecision:
		return "decision"
	case EventSegment:
		return "segment"
	case EventFault:
		return "fault"
	default:
		return "unknown"
	}
}

// Event is one thing that happened on a leg.
type Event struct {
	Kind EventKind
	At   time.Time

	// Of a decision: why, on what grounds, what was chosen, and what is in force now. The two actions differ when an
	// encoder refused the choice.
	Cause    model.Cause
	Context  model.Context
	Decision Decision
	Action   model.Action
	Policy   uint32
	Arm      uint8

	// Of a segment: what the recorder got, and the measurement before quantization.
	Segment     model.Segment
	Measurement model.Measurement

	// Of a fault: what went wrong. The call goes on.
	Err error
}

// Counts tells what went wrong on a leg without disturbing the call.
type Counts struct {
	EncoderErrors   uint64 // Encoder.Apply refused an action
	TransportErrors uint64 // SwitchTransport failed, or the client ended on another transport than asked for
	PolicyErrors    uint64 // a new policy could not be used, or a context was invalid
	BadRTCP         uint64 // RTCP that did not parse, and feedback of another version
	BadRED          uint64 // packets of redundant audio that did not parse; they pass as they are
	FeedbackErrors  uint64 // feedback that could not be written
	Panics          uint64 // caught in own code or callbacks; after the first the leg only forwards
}

type counters struct {
	encoder, transport, policy, badRTCP, badRED, feedback, panics atomic.Uint64
}

func (c *counters) snapshot() Counts {
	return Counts{
		EncoderErrors: c.encoder.Load(), TransportErrors: c.transport.Load(), PolicyErrors: c.policy.Load(),
		BadRTCP: c.badRTCP.Load(), BadRED: c.badRED.Load(), FeedbackErrors: c.feedback.Load(), Panics: c.panics.Load(),
	}
}
