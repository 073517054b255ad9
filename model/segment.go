package model

import "fmt"

// PropensityScale is what propensities are fractions of: a decision draws from integer weights that sum to it, so the
// logged propensity is exact.
const PropensityScale = 1_000_000

// Cause is why a decision was made.
type Cause uint8

// The values of Cause.
const (
	CauseUnknown  Cause = iota
	CauseStart          // the call began
	CauseInterval       // the decision interval passed
	CauseNetwork        // the client moved to another network
	CausePolicy         // a new policy arrived during the call
)

var causeNames = []string{"unknown", "start", "interval", "network", "policy"}

// CauseCount is the number of values of Cause, the unknown one included.
const CauseCount = 5

func (c Cause) String() string { return enumName(causeNames, c) }

// Valid reports whether c is one of the declared values.
func (c Cause) Valid() bool { return c < CauseCount }

// MarshalText writes the name of c.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name; an unknown one is an error that lists the names.
func (c *Cause) UnmarshalText(text []byte) error { return unmarshalEnum("cause", causeNames, text, c) }

// Segment is one decision and what came of it: the stretch of a call between two decisions.
type Segment struct {
	Cause      Cause
	Context    Context // as the decision saw it
	Action     Action
	Propensity uint32 // chance of choosing Action in Context, in millionths; 1..PropensityScale
	Explored   bool   // the action was drawn by exploration; it may still be the best one
	Policy     uint32 // version of the policy that decided; 0 = the compiled-in default
	Experiment uint32 // number of the experiment; 0 = none
	Arm        uint8  // index of the arm within the policy
	Seconds    uint8  // length, rounded; at most MaxSegmentSeconds
	Outcome    Outcome
}

// MaxPolicyVersion and MaxExperiment bound what a Segment says about who decided: a larger range would be wide enough to
// give each user a policy of their own and recognise them by it.
const (
	MaxPolicyVersion = 1<<20 - 1
	MaxExperiment    = 1<<20 - 1
)

// MaxSegmentSeconds is the longest stretch one segment may cover.
const MaxSegmentSeconds = 120

// Validate names the first field that no client could have measured.
func (s *Segment) Validate() error {
	switch {
	case !s.Cause.Valid():
		return fmt.Errorf("cause %d is off its list", s.Cause)
	case s.Propensity == 0 || s.Propensity > PropensityScale:
		return fmt.Errorf("propensity %d is outside 1..%d", s.Propensity, PropensityScale)
	case s.Policy > MaxPolicyVersion:
		return fmt.Errorf("policy version %d is above %d", s.Policy, MaxPolicyVersion)
	case s.Experiment > MaxExperiment:
		return fmt.Errorf("experiment %d is above %d", s.Experiment, MaxExperiment)
	case s.Seconds > MaxSegmentSeconds:
		return fmt.Errorf("segment of %d s is longer than %d", s.Seconds, MaxSegmentSeconds)
	}
	if err := s.Context.Validate(); err != nil {
		return fmt.Errorf("context: %w", err)
	}
	if err := s.Action.Validate(); err != nil {
		return fmt.Errorf("action: %w", err)
	}
	if err := s.Outcome.Validate(); err != nil {
		return fmt.Errorf("outcome: %w", err)
	}
	return nil
}
