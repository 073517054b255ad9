package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/attune-calls/attune/policy"
)

// run is one Train or Evaluate under way.
type run struct {
	config   Config
	started  time.Time
	examples []example
	locks    *locks
	folds    []int     // of each example
	fitted   []*fitted // by fold
	metrics  Metrics

	// propose gives the candidate to judge on the calls that a fit did not see: what came of that fit in Train, always
	// the same one in Evaluate.
	propose func(*fitted) (policy.Document, map[string][]byte, error)

	// Of Train alone.
	final    *fitted
	document policy.Document
	models   map[string][]byte

	progress sync.Mutex
	share    float64
	trained  int           // segments that went through forward, backward and update
	fitting  time.Duration // wall time that took
}

// newRun prepares the data of a run. The caller sets propose.
func newRun(c Config) (*run, error) {
	d := c.Dataset
	if err := d.enough(c.MinRows, c.MinCalls); err != nil {
		return nil, err
	}
	r := &run{config: c, started: time.Now(), examples: d.examples(c.Price, c.Fit.PropensityClip, c.HorizonSeconds)}
	r.metrics = Metrics{
		Segments: len(r.examples), Calls: d.Calls(), Days: len(d.days), Refused: d.Refused(), Fingerprint: d.Fingerprint(),
	}
	var err error
	r.locks, err = newLocks(c.Logging)
	return r, err
}

// finalSeed keeps the final fit's chance apart from that of the folds.
const finalSeed = 0x66696e616c

func (r *run) report(stage string, e Epoch, share float64) {
	r.progress.Lock()
	defer r.progress.Unlock()
	r.share = max(r.share, share)
	if r.config.Progress != nil {
		r.config.Progress(Progress{Stage: stage, Epoch: e, Share: r.share})
	}
}

// crossFit fits one network without each fold, several at a time. Each fit is deterministic, so their order does not
// matter.
func (r *run) crossFit(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := r.config
	r.folds = c.Dataset.folds(c.Seed)
	r.fitted = make([]*fitted, c.Folds)
	faults := make([]error, c.Folds)
	slots := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))
	done := make([]float64, c.Folds)
	var mu sync.Mutex
	var wait sync.WaitGroup
	began := time.Now()
	for fold := range c.Folds {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			var rows []example
			for i, e := range r.examples {
				if r.folds[i] != fold {
					rows = append(rows, e)
				}
			}
			seed := mix(c.Seed, uint64(fold))
			train, stop := divide(rows, seed)
			if len(train) == 0 || len(stop) == 0 {
				faults[fold] = fmt.Errorf("%w: fold %d leaves %d segments to fit and %d to stop on", ErrTooFewRows, fold+1, len(train), len(stop))
				cancel()
				return
			}
			stage := fmt.Sprintf("fold %d of %d", fold+1, c.Folds)
			r.fitted[fold], faults[fold] = fit(ctx, c.Fit, train, stop, seed, func(e Epoch) {
				mu.Lock()
				done[fold] = min(1, float64(e.Number)/float64(min(c.Fit.MaxEpochs, 60)))
				total := 0.0
				for _, d := range done {
					total += d
				}
				mu.Unlock()
				r.report(stage, e, 0.75*total/float64(c.Folds))
			})
			mu.Lock()
			defer mu.Unlock()
			if f := r.fitted[fold]; f != nil {
				r.trained += len(f.curve) * len(train)
			}
			if faults[fold] != nil {
				faults[fold] = fmt.Errorf("%s: %w", stage, faults[fold])
				cancel()
			}
		})
	}
	wait.Wait()
	r.fitting += time.Since(began)
	// The first fault cancels the others: report a cause rather than a cancellation.
	for _, err := range faults {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(faults...)
}

// finalFit fits the candidate to all examples.
func (r *run) finalFit(ctx context.Context) error {
	c := r.config.Fit
	epochs := 0.0
	for _, f := range r.fitted {
		epochs += float64(f.best)
	}
	c.MaxEpochs = int(math.Ceil(epochs / float64(len(r.fitted))))
	began := time.Now()
	var err error
	r.final, err = fit(ctx, c, r.examples, nil, mix(r.config.Seed, finalSeed), func(e Epoch) {
		r.report("final fit", e, 0.75+0.15*float64(e.Number)/float64(c.MaxEpochs))
	})
	if err != nil {
		return fmt.Errorf("final fit: %w", err)
	}
	r.fitting += time.Since(began)
	r.trained += len(r.final.curve) * len(r.examples)
	r.metrics.Final = r.final.curve
	r.document, r.models, err = r.candidate(r.final)
	return err
}

// candidate is the policy that would come of a fit.
func (r *run) candidate(f *fitted) (policy.Document, map[string][]byte, error) {
	base := r.config.Base
	base.Price = r.config.Price
	return Candidate(base, f.file, r.config.Exploration, r.config.Version, r.config.Created)
}
