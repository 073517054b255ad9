package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/policy/rollout"
	"github.com/attune-calls/attune/training"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/client"
)

// changeover publishes the experiment while calls are running: they take it up on the way. These calls belong to no
// arm.
func (r *run) changeover(ctx context.Context, candidate *training.Run) error {
	type outcome struct {
		results []lab.Result
		err     error
	}
	calling := make(chan outcome, 1)
	go func() {
		began, used := time.Now(), cpuTime()
		results, err := r.round(ctx, "changeover", roundChangeover, 1, cmp.Or(r.options.Parallel, len(r.profiles)))
		r.room = roomFor(cpuTime()-used, time.Since(began), len(results))
		calling <- outcome{results, err}
	}()
	select {
	case <-time.After(r.options.Duration / 2):
	case <-ctx.Done():
	}
	at := time.Now()
	var err error
	if ctx.Err() == nil {
		r.trial, err = loop.StartExperiment(ctx, r.config, r.releases, candidate)
	}
	calls := <-calling
	if err = errors.Join(err, calls.err); err != nil {
		return err
	}
	version, err := r.published(ctx, fmt.Sprintf("experiment %d: %d %% of calls by the learned policy", r.trial.Number(), r.trial.Status().Share))
	if err != nil {
		return err
	}
	r.summary.Calls.Changeover = len(calls.results)
	r.summary.PolicyChange, r.summary.Timeline = changes(calls.results, version, at)
	return nil
}

// experiment makes the calls of the A/B round and sorts them by arm.
func (r *run) experiment(ctx context.Context) error {
	parallel := cmp.Or(r.options.Parallel, r.room)
	each := cmp.Or(r.options.Calls, callsFor(parallel, r.options.Duration, len(r.profiles)))
	results, err := r.round(ctx, "experiment", roundExperiment, each, parallel)
	r.summary.Calls.Experiment = len(results)
	if err != nil {
		return err
	}
	for call, result := range results {
		name := result.Plan.Profile.Name
		arm, known := armOfCall(&result)
		if !known {
			continue // no leg of it got as far as a decision
		}
		for _, l := range result.Legs() {
			into := r.before
			if arm == rollout.ArmTreatment {
				into = r.after
			}
			into[name] = append(into[name], newLeg(name, uint32(call), l))
		}
	}
	var names []string
	for _, p := range r.profiles {
		names = append(names, p.Name)
		result := compareArms(p.Name, r.before[p.Name], r.after[p.Name])
		result.Forecast = r.forecasts[p.Name]
		r.summary.Networks = append(r.summary.Networks, result)
	}
	r.summary.Overall = overall(names, r.before, r.after)
	r.summary.Overall.Forecast = r.summary.Forecast
	return r.drain(ctx)
}

// round makes calls on every network, in an order that mixes them, and counts what failed.
func (r *run) round(ctx context.Context, name string, round uint64, each, parallel int) ([]lab.Result, error) {
	var plans []lab.Plan
	for i := range each {
		for n, profile := range r.profiles {
			plans = append(plans, lab.Plan{
				Profile: profile, Duration: r.options.Duration, Speech: r.speech.Samples, Parties: r.fleet.parties,
				Seed: rand.New(rand.NewPCG(r.options.Seed, round<<32|uint64(i)<<8|uint64(n))).Uint64(),
			})
		}
	}
	r.summary.Calls.SecondsEach = int(r.options.Duration.Seconds())
	r.progress.step("%s: %d real calls of %v on %d networks, %d at once", name, len(plans), r.options.Duration, len(r.profiles), parallel)
	pulse := startPulse()
	results := lab.Round(ctx, plans, parallel, func(finished int) {
		r.progress.update("%d of %d real calls", finished, len(plans))
	})
	pulse.stop(&r.summary.Pace)
	for i := range results {
		switch err := results[i].Err; {
		case err == nil:
		case errors.Is(err, client.ErrSetup):
			r.summary.Calls.SetupFailed++
		case errors.Is(err, client.ErrDropped):
			r.summary.Calls.Dropped++
		default:
			return results, fmt.Errorf("call on %s: %w", results[i].Plan.Profile.Name, err)
		}
	}
	return results, ctx.Err()
}

// armOfCall is the arm both legs of a call decided by.
func armOfCall(result *lab.Result) (uint8, bool) {
	for _, l := range result.Legs() {
		if len(l.Segments) > 0 {
			return l.Segments[0].Arm, true
		}
	}
	return 0, false
}

func newLeg(network string, call uint32, l *lab.Leg) leg {
	converted := leg{network: network, call: call, failed: l.Failed}
	for _, s := range l.Segments {
		converted.segments = append(converted.segments, s.Segment)
	}
	return converted
}
