package training

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/evaluate"
)

// Config of a training run. Dataset, Base and Out are required.
type Config struct {
	Seed    uint64      // of weights, bootstrap, shuffling and folds
	Price   model.Price // default model.DefaultPrice
	Dataset *Dataset
	Fit     FitConfig

	// HorizonSeconds is how far a decision is answered for, 1..120 s: its reward is the mean over its own segment and those
	// after it that kept its action. 1 is the segment alone. Default 12: a queue that fills, or one that another setting
	// left behind, is heard in the segments that follow.
	HorizonSeconds int

	// Base is the policy the candidate is to replace: its catalogue, sites and envelope bound the candidate, and its
	// first arm, without exploration, is what the gate compares the candidate with.
	Base       policy.Document
	BaseModels map[string][]byte // the models Base names

	// Logging holds the policies that made the logged decisions. With them decisions that were bound to the transport
	// in force are recognized; without them all count as free.
	Logging []*policy.Policy

	Exploration policy.Exploration  // of the candidate; a nil Share means DefaultExploration
	Version     uint32              // of the candidate; default Base.Version + 1
	Created     time.Time           // of the candidate; default now
	Gate        evaluate.GateConfig // zero fields: 1 % poisoned share, range from the price, 10 effective calls
	Folds       int                 // how many of the five folds to evaluate on; default 5, or 1 from 100,000 segments on
	MinRows     int                 // default 300
	MinCalls    int                 // default 20

	Out      string         // the run directory is made in here
	Progress func(Progress) // called from one goroutine at a time; nil for none
}

// Progress tells how far a run is.
type Progress struct {
	Stage string  // "fold 2 of 5", "final fit", "evaluate", "write"
	Epoch Epoch   // last finished one of the stage's fit; the zero Epoch outside a fit
	Share float64 // of the whole run that is done, an estimate, 0..1
}

// Result is a finished run.
type Result struct {
	Dir      string          // the run directory
	Document policy.Document // the candidate, not signed
	Models   map[string][]byte
	Metrics  Metrics
}

// Promote reports whether the gate let the candidate pass.
func (r *Result) Promote() bool { return r.Metrics.Verdict.Promote }

func (c Config) withDefaults() Config {
	if c.Price == (model.Price{}) {
		c.Price = model.DefaultPrice()
	}
	if c.HorizonSeconds == 0 {
		c.HorizonSeconds = 12
	}
	if c.Exploration.Share == nil {
		c.Exploration = DefaultExploration()
	}
	if c.Version == 0 {
		c.Version = c.Base.Version + 1
	}
	if c.Created.IsZero() {
		c.Created = time.Now()
	}
	c.Created = c.Created.UTC().Truncate(time.Second)
	if c.Gate.PoisonedShare == 0 {
		c.Gate.PoisonedShare = 0.01
	}
	if c.Gate.RewardRange == 0 {
		low, high := c.Price.Bounds()
		c.Gate.RewardRange = high - low
	}
	if c.Gate.MinEffective == 0 {
		c.Gate.MinEffective = 10
	}
	if c.MinRows == 0 {
		c.MinRows = 300
	}
	if c.MinCalls == 0 {
		c.MinCalls = 20
	}
	rows := 0
	if c.Dataset != nil {
		rows = c.Dataset.Len()
	}
	if c.Folds == 0 {
		c.Folds = foldCount
		if rows >= 100_000 {
			c.Folds = 1
		}
	}
	c.Fit = c.Fit.withDefaults(rows)
	return c
}

// Validate reports every field out of its range. Zero fields that have a default are in range.
func (c Config) Validate() error {
	faults := c.judgeFaults()
	if c.Out == "" {
		faults = append(faults, errors.New("out: missing; name a directory for runs"))
	}
	return errors.Join(faults...)
}

// judgeFaults is what is wrong with the fields that Evaluate takes as well.
func (c Config) judgeFaults() []error {
	var faults []error
	if c.Dataset == nil {
		faults = append(faults, errors.New("dataset: missing"))
	}
	d := c.withDefaults()
	if err := d.Price.Validate(); err != nil {
		faults = append(faults, err)
	}
	if err := d.Fit.Validate(); err != nil {
		faults = append(faults, err)
	}
	if err := d.Gate.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("gate: %w", err))
	}
	if d.HorizonSeconds < 1 || d.HorizonSeconds > model.MaxSegmentSeconds {
		faults = append(faults, fmt.Errorf("horizonSeconds: %d is outside 1..%d", d.HorizonSeconds, model.MaxSegmentSeconds))
	}
	if d.Folds < 1 || d.Folds > foldCount {
		faults = append(faults, fmt.Errorf("folds: %d is outside 1..%d", d.Folds, foldCount))
	}
	if d.MinRows < 1 || d.MinCalls < 2*foldCount {
		faults = append(faults, fmt.Errorf("minRows %d, minCalls %d: want at least 1 and %d", d.MinRows, d.MinCalls, 2*foldCount))
	}
	if _, err := load(c.Base, c.BaseModels); err != nil {
		faults = append(faults, fmt.Errorf("base: %w", err))
	}
	return faults
}

// Train fits a candidate, evaluates it, applies the gate and writes the run directory. A candidate that the gate holds
// back is a result, not an error: see Result.Promote.
//
// Evaluation is by cross-fitting (Chernozhukov et al. 2018): the calls are divided into five folds, and each fold is
// evaluated by a policy and a reward model that never saw it. What is judged is thus the same training on four fifths of
// the calls; the candidate itself is then fitted to all of them, for as many epochs as the folds needed on average.
//
// ErrTooFewRows is wrapped when the Dataset is too small.
func Train(ctx context.Context, config Config) (*Result, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	r, err := newRun(config.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	r.propose = r.candidate
	for _, step := range []func(context.Context) error{r.crossFit, r.finalFit, r.evaluate} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	r.report("write", Epoch{}, 0.98)
	result := &Result{Document: r.document, Models: r.models, Metrics: r.metrics}
	if result.Dir, err = r.write(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	r.report("done", Epoch{}, 1)
	return result, nil
}
