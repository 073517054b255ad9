package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training"
	"github.com/attune-calls/attune/training/lab"
)

// work is the main job, from the first policy to the verdict.
func (r *run) work(ctx context.Context) error {
	ingesting, err := loop.StartIngest(ctx, r.backends, r.config, r.options.Log, nil)
	if err != nil {
		return err
	}
	err = r.rounds(ctx)
	return errors.Join(err, ingesting.Stop())
}

func (r *run) rounds(ctx context.Context) error {
	if err := r.publishFirst(ctx); err != nil {
		return err
	}
	if err := r.explore(ctx); err != nil {
		return err
	}
	candidate, err := r.train(ctx)
	if err != nil {
		return err
	}
	if err := r.forecast(ctx, candidate); err != nil {
		return err
	}
	if err := r.changeover(ctx, candidate); err != nil {
		return err
	}
	if err := r.experiment(ctx); err != nil {
		return err
	}
	if r.summary.Pace.TooBusy() {
		r.progress.step("warning: %v", r.summary.Pace)
	}
	return r.conclude(ctx)
}

// publishFirst puts policy 1 in force: the default settings, and exploration.
func (r *run) publishFirst(ctx context.Context) error {
	document, err := loop.First(r.config.Policy, r.config.Training.Price.Model(), []policy.Site{lab.Site()}, time.Now())
	if err != nil {
		return err
	}
	if err := r.releases.Publish(ctx, document, nil); err != nil {
		return err
	}
	if _, err := r.published(ctx, fmt.Sprintf("default settings, %.0f %% of decisions explore", 100*r.config.Policy.Explore)); err != nil {
		return err
	}
	root, err := r.releases.Root(ctx)
	if err != nil {
		return err
	}
	r.fleet = &fleet{
		servers: lab.Servers{NATS: r.backends.NATSURL, Root: root}, dir: filepath.Join(r.config.Data, "clients"),
	}
	return nil
}

// published notes the policy that has come into force.
func (r *run) published(ctx context.Context, what string) (version uint32, err error) {
	document, err := r.releases.InForce(ctx)
	if err != nil {
		return 0, err
	}
	r.summary.Published = append(r.summary.Published, PublishedPolicy{Version: document.Version, What: what})
	r.progress.step("policy %d signed (2 of 3 keys) and published: %s", document.Version, what)
	return document.Version, nil
}

// train has a process of its own learn a candidate from what is in ClickHouse.
func (r *run) train(ctx context.Context) (*training.Run, error) {
	r.progress.step("training with gorgonia on the simulated history, and judging the candidate on days it did not see")
	begin := time.Now()
	dir, err := loop.TrainApart(ctx, r.config, r.backends.DSN, filepath.Join(r.options.Out, "runs"))
	if err != nil {
		return nil, err
	}
	candidate, err := training.ReadRun(dir)
	if err != nil {
		return nil, err
	}
	relative, err := filepath.Rel(r.options.Out, dir)
	if err != nil {
		relative = dir
	}
	r.summary.Training = trainingOf(relative, time.Since(begin), candidate.Metrics)
	if failed := candidate.Metrics.Verdict.Failed(); len(failed) > 0 {
		r.progress.step("gate: hold back; the demo tries the candidate all the same: %s", strings.Join(failed, "; "))
	} else {
		r.progress.step("gate: promote: %s", candidate.Metrics.Verdict.Checks[0].Detail)
	}
	return candidate, nil
}

// conclude computes the verdict from what arrived in ClickHouse and publishes what it says.
func (r *run) conclude(ctx context.Context) error {
	defer func() { _ = r.trial.Close() }()
	report, decision, err := r.trial.Look(ctx, r.backends.Warehouse)
	if err != nil {
		return err
	}
	r.summary.Rollout, r.summary.Verdict, r.summary.Reasons = report, report.Verdict.String(), report.Reasons
	if !decision.Changed { // hold: the experiment goes on
		return nil
	}
	_, err = r.published(ctx, "the verdict: "+decision.State.String())
	return err
}

func trainingOf(dir string, took time.Duration, m training.Metrics) Training {
	t := Training{Run: dir, Seconds: took.Seconds(), Rows: m.Segments, Refused: m.Refused.Total(), Gate: m.Verdict}
	for _, e := range m.Gate.Overall.Gain.All() {
		t.Estimators = append(t.Estimators, Estimator{Name: e.Name, Gain: e.Estimate})
	}
	for _, slice := range m.Gate.Slices {
		t.Types = append(t.Types, TypeEstimate{slice.Network, slice.Gain.DR})
	}
	return t
}
