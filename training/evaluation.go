package training

import (
	"context"
	"errors"
	"fmt"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/evaluate"
)

// EvaluateConfig says on what calls, and against what, to judge a candidate that exists already. Dataset, Candidate and
// Base are required; the other fields mean what they mean in Config and have the defaults they have there.
type EvaluateConfig struct {
	Dataset    *Dataset
	Candidate  *Run // as ReadRun gives it
	Base       policy.Document
	BaseModels map[string][]byte
	Logging    []*policy.Policy

	Price    model.Price
	Gate     evaluate.GateConfig
	Seed     uint64
	Fit      FitConfig // of the reward model
	Folds    int
	MinRows  int
	MinCalls int
	Progress func(Progress)
}

// config is c as Train would be told it, with what is settled about the candidate.
func (c EvaluateConfig) config() Config {
	d := Config{
		Seed: c.Seed, Price: c.Price, Dataset: c.Dataset, Fit: c.Fit, Base: c.Base, BaseModels: c.BaseModels,
		Logging: c.Logging, Gate: c.Gate, Folds: c.Folds, MinRows: c.MinRows, MinCalls: c.MinCalls, Progress: c.Progress,
	}
	if c.Candidate != nil {
		s := c.Candidate.Settings
		d.Exploration, d.Version, d.Created = s.Exploration, s.Version, s.Created
		d.HorizonSeconds = max(1, s.Horizon) // runs from before there was one looked at the segment alone
	}
	return d
}

// Validate reports every field out of its range. Zero fields that have a default are in range.
func (c EvaluateConfig) Validate() error {
	faults := c.config().judgeFaults()
	if c.Candidate == nil || c.Candidate.Policy == nil {
		faults = append(faults, errors.New("candidate: missing; read one with ReadRun"))
	}
	return errors.Join(faults...)
}

// Evaluation is what a candidate is worth on a Dataset.
type Evaluation struct {
	Run      string   `json:"run"`      // directory of the candidate
	Settings Settings `json:"settings"` // of this evaluation; Exploration, Version and Created are the candidate's
	// Metrics are those a run has. Final is empty, and Curves are those of the reward model.
	Metrics Metrics `json:"metrics"`

	// TrainedOn says that these are the very calls the candidate was fitted to, which flatters it: a run directory's own
	// metrics judge it on calls that were held out.
	TrainedOn bool `json:"trainedOn"`
	// MayBeTrainedOn counts the segments of days up to the one the candidate was made on. It may have been fitted to
	// some of them: a run does not list its calls.
	MayBeTrainedOn int `json:"mayBeTrainedOn"`
	// UnknownPolicy counts the segments that none of the Logging policies decided. They count as free to choose a
	// transport, though some were bound to the one in force.
	UnknownPolicy int `json:"unknownPolicy"`
	// InForce says that base decides by the candidate's own model, so that no more than exploration tells them apart.
	InForce bool `json:"inForce"`
}

// Promote reports whether the gate would let the candidate pass on these calls.
func (e *Evaluation) Promote() bool { return e.Metrics.Verdict.Promote }

// Evaluate judges a candidate as it is, on calls that may be others and later ones than it was fitted to. What Train
// does to judge its own is done here with the candidate fixed: only the reward model, which the estimators other than
// IPS and SNIPS need, is cross-fitted to the calls, so that no decision is predicted by a model that saw its call.
// Equal data, configuration and seed give equal results on one kind of machine.
//
// Like Train it runs gorgonia, so it belongs into a process that may die. ErrTooFewRows is wrapped when the Dataset is
// too small; the message says how many segments and calls are needed.
func Evaluate(ctx context.Context, config EvaluateConfig) (*Evaluation, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r, err := newRun(config.config().withDefaults())
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	candidate := config.Candidate
	r.propose = func(*fitted) (policy.Document, map[string][]byte, error) {
		return candidate.Policy.Document(), candidate.Models, nil
	}
	for _, step := range []func(context.Context) error{r.crossFit, r.evaluate} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("evaluate: %w", err)
		}
	}
	e := &Evaluation{
		Run: candidate.Dir, Settings: r.settings(), Metrics: r.metrics,
		TrainedOn: r.metrics.Fingerprint == candidate.Metrics.Fingerprint,
		InForce:   sameModel(config.Base, candidate.Policy.Document()),
	}
	const secondsPerDay = 24 * 60 * 60
	made := int(candidate.Settings.Created.Unix() / secondsPerDay)
	for i := range r.examples {
		if r.examples[i].day <= made {
			e.MayBeTrainedOn++
		}
		if _, known := r.locks.deciders[r.examples[i].policy]; !known {
			e.UnknownPolicy++
		}
	}
	r.report("done", Epoch{}, 1)
	return e, nil
}

// sameModel reports whether the first arms of two documents decide by one model.
func sameModel(a, b policy.Document) bool {
	return a.Arms[0].Model != "" && a.Arms[0].Model == b.Arms[0].Model
}
