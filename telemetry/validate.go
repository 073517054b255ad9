package telemetry

import (
	"fmt"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry/response"
)

// The hours in which a call of this system can have begun: the years 2024 to 2099.
const (
	MinHour = 473_352   // 2024-01-01 00:00 UTC
	MaxHour = 1_139_568 // 2100-01-01 00:00 UTC, the first hour that is too late
)

// MaxClockError is how far ahead of the server a client's clock may be.
const MaxClockError = 48 * time.Hour

// Validate finds the first field that no client can have meant; its error is a RejectError. A report of a newer schema
// gives a NewerSchemaError.
func (r *Report) Validate() error {
	switch {
	case r.Schema > SchemaVersion:
		return &NewerSchemaError{Schema: uint64(r.Schema)}
	case r.Schema == 0:
		return reject(RejectSchema, "no schema version")
	case r.ID == ReportID{}:
		return reject(RejectID, "no report id")
	case r.Hour < MinHour || r.Hour >= MaxHour:
		return reject(RejectHour, "hour %d is outside %d..%d", r.Hour, MinHour, MaxHour-1)
	case !r.Origin.Valid():
		return reject(RejectCall, "origin %d is off its list", r.Origin)
	case !r.Stage.Valid():
		return reject(RejectCall, "stage %d is off its list", r.Stage)
	case !ScaleDuration.Valid(r.Duration):
		return reject(RejectCall, "duration bucket %d is off its scale", r.Duration)
	case r.LostReports > MaxLostReports:
		return reject(RejectCounter, "%d lost reports, at most %d can be told", r.LostReports, MaxLostReports)
	case r.LostSegments > MaxLostSegments:
		return reject(RejectCounter, "%d lost segments, at most %d can be told", r.LostSegments, MaxLostSegments)
	case len(r.Segments) > MaxSegments:
		return reject(RejectSegments, "%d segments, at most %d are taken", len(r.Segments), MaxSegments)
	case r.Context != staticContext(r.Context):
		return reject(RejectContext, "the context of a report holds static fields only")
	}
	if err := r.checkOpinion(); err != nil {
		return err
	}
	if err := r.Context.Validate(); err != nil {
		return &RejectError{Reason: RejectContext, Err: err}
	}
	for i := range r.Segments {
		if reason, err := checkSegment(&r.Segments[i]); err != nil {
			return &RejectError{Reason: reason, Err: fmt.Errorf("segment %d: %w", i, err)}
		}
	}
	return nil
}

// checkOpinion looks at what the user said: each version has its own two fields, and those of the other stay empty. A
// version 2 report with a rating as it was given is refused, not repaired: its client breaks a promise, and must show up
// in the counts of refused reports.
func (r *Report) checkOpinion() error {
	switch {
	case r.Rating > MaxRating:
		return reject(RejectCall, "rating %d is above %d", r.Rating, MaxRating)
	case r.Problems&^ProblemMask != 0:
		return reject(RejectCall, "problem flags %#x are off their list", r.Problems&^ProblemMask)
	case r.Stars > response.Stars:
		return reject(RejectCall, "%d stars, at most %d can be given", r.Stars, response.Stars)
	case r.Problem > response.MaxProblem:
		return reject(RejectCall, "problem answer %d is above %d", r.Problem, response.MaxProblem)
	case r.Schema == 1 && (r.Stars != 0 || r.Problem != 0):
		return reject(RejectCall, "a randomized answer in a report of version 1")
	case r.Schema > 1 && (r.Rating != 0 || r.Problems != 0):
		return reject(RejectCall, "an answer that is not randomized in a report of version %d", r.Schema)
	case (r.Stars == 0) != (r.Problem == 0):
		return reject(RejectCall, "stars %d and problem answer %d: want both or neither", r.Stars, r.Problem)
	}
	return nil
}

// ValidateAt is Validate, and refuses a report whose hour lies more than MaxClockError after now.
func (r *Report) ValidateAt(now time.Time) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if latest := HourOf(now.Add(MaxClockError)); r.Hour > latest {
		return reject(RejectHour, "hour %d is %d hours in the future", r.Hour, r.Hour-HourOf(now))
	}
	return nil
}

// checkSegment names the first fault of a segment and the reason it counts as.
func checkSegment(s *model.Segment) (RejectReason, error) {
	switch {
	case s.Propensity == 0 || s.Propensity > model.PropensityScale:
		return RejectPropensity, fmt.Errorf("propensity %d is outside 1..%d", s.Propensity, model.PropensityScale)
	case !s.Cause.Valid():
		return RejectSegment, fmt.Errorf("cause %d is off its list", s.Cause)
	case s.Policy > model.MaxPolicyVersion:
		return RejectSegment, fmt.Errorf("policy version %d is above %d", s.Policy, model.MaxPolicyVersion)
	case s.Experiment > model.MaxExperiment:
		return RejectSegment, fmt.Errorf("experiment %d is above %d", s.Experiment, model.MaxExperiment)
	case s.Seconds > model.MaxSegmentSeconds:
		return RejectSegment, fmt.Errorf("%d s is longer than %d", s.Seconds, model.MaxSegmentSeconds)
	}
	if err := s.Context.Validate(); err != nil {
		return RejectContext, err
	}
	if err := s.Action.Validate(); err != nil {
		return RejectAction, err
	}
	if err := s.Outcome.Validate(); err != nil {
		return RejectOutcome, err
	}
	return RejectUnknown, nil
}
