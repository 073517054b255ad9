package demo

import (
	"context"
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/policy/rollout"
	"github.com/attune-calls/attune/training"
	"github.com/attune-calls/attune/training/evaluate"
	"github.com/attune-calls/attune/training/lab/compare"
)

// Forecast is the experiment on one network as simulated before any real call of it was made: both arms as they are
// published later, in the same simulated calls. Qualities are those of NetworkResult.
type Forecast struct {
	Calls  int               `json:"calls"` // simulated, under each policy
	Before float64           `json:"before"`
	After  float64           `json:"after"`
	Gain   evaluate.Estimate `json:"gain"` // interval at 95 % over the seeds, call by call on the same network
}

// A forecast makes so many calls for each of so many seeds, on each network.
const (
	forecastCalls = 50
	forecastSeeds = 8
)

// forecast simulates the experiment of policy 1 and a candidate.
func (r *run) forecast(ctx context.Context, candidate *training.Run) error {
	r.progress.step("forecast: %d simulated calls of %v under the old and the learned policy on each network",
		forecastCalls*forecastSeeds, r.options.Duration)
	inForce, err := r.releases.InForce(ctx)
	if err != nil {
		return err
	}
	trial := r.config.Policy
	trial.Explore = trial.ExploreEnd // what both arms of an experiment explore
	now := time.Now()
	both, err := loop.ExperimentDocument(inForce, candidate.Policy.Document().Arms[0], 1, 50, trial, now)
	if err != nil {
		return err
	}
	before, err := contender(compare.NameDefault, loop.Concluded(both, rollout.ArmControl, trial, now), nil)
	if err != nil {
		return err
	}
	after, err := contender("learned", loop.Concluded(both, rollout.ArmTreatment, trial, now), candidate.Models)
	if err != nil {
		return err
	}
	r.forecasts = make(map[string]Forecast)
	for i, profile := range r.profiles {
		result, err := compare.Run(ctx, compare.Config{
			Suite: networksOf(profile), Contenders: []compare.Contender{before, after}, Frames: r.frames, Calls: forecastCalls,
			Seeds: forecastSeeds, Seed: r.seed(roundForecast<<8 | uint64(i)), Duration: r.options.Duration,
		})
		if err != nil {
			return fmt.Errorf("forecast: %w", err)
		}
		r.forecasts[profile.Name] = forecastOf(result.Slices[0].Scores)
	}
	r.summary.Forecast = r.forecastOverall()
	r.progress.step("forecast: the learned policy gains %+.2f MOS over all networks (%+.2f..%+.2f)", r.summary.Forecast.Gain.Value, r.summary.Forecast.Gain.Low,
		r.summary.Forecast.Gain.High)
	return nil
}

// forecastOf reads the scores of the two policies. With several seeds every estimate has its bounds.
func forecastOf(scores []compare.Score) Forecast {
	gain := scores[1].Gain
	return Forecast{
		Calls: forecastCalls * forecastSeeds, Before: *scores[0].Mean.Value, After: *scores[1].Mean.Value,
		Gain: evaluate.Estimate{Value: *gain.Value, Low: *gain.Low, High: *gain.High, StdErr: (*gain.High - *gain.Low) / 2 / perSeed},
	}
}

// perSeed is Student's t at 95 % over the seeds.
var perSeed = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: forecastSeeds - 1}.Quantile(1 - alpha/2)

// forecastOverall weighs each network the same, as overall does.
func (r *run) forecastOverall() Forecast {
	var all Forecast
	n, variance := float64(len(r.forecasts)), 0.0
	for _, p := range r.profiles { // in order: sums of floating point numbers depend on it
		f := r.forecasts[p.Name]
		all.Calls += f.Calls
		all.Before, all.After, all.Gain.Value = all.Before+f.Before/n, all.After+f.After/n, all.Gain.Value+f.Gain.Value/n
		variance += f.Gain.StdErr * f.Gain.StdErr
	}
	all.Gain.StdErr = math.Sqrt(variance) / n
	half := radius(all.Gain.StdErr, len(r.forecasts)*(forecastSeeds-1))
	all.Gain.Low, all.Gain.High = all.Gain.Value-half, all.Gain.Value+half
	return all
}
