package training

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// labEvaluation is a finished run, and the evaluation of its candidate on other calls of the same base policy, logged
// on a day after the candidate was made.
func labEvaluation(t *testing.T, calls int) (Config, EvaluateConfig) {
	t.Helper()
	config := labConfig(t, 42)
	config.Created = time.Unix(19_999*24*60*60, 0)
	config.Fit.MaxEpochs = 8
	run, err := ReadRun(train(t, config).Dir)
	if err != nil {
		t.Fatal(err)
	}
	later := new(Dataset)
	labLog(later, config.Logging[0], 2, calls, 10)
	return config, EvaluateConfig{
		Seed: 3, Dataset: later, Candidate: run, Base: config.Base, Logging: config.Logging, Fit: FitConfig{MaxEpochs: 8},
	}
}

func judged(t *testing.T, c EvaluateConfig) *Evaluation {
	t.Helper()
	e, err := Evaluate(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEvaluateAgreesWithPlayingTheCandidate(t *testing.T) {
	_, config := labEvaluation(t, 140)
	var last Progress
	config.Progress = func(p Progress) { last = p }
	e := judged(t, config)
	if last.Share != 1 {
		t.Errorf("progress ended at %+v", last)
	}

	// What the candidate is worth comes out when calls are made with it.
	played := new(Dataset)
	labLog(played, config.Candidate.Policy, 4, 700, 10)
	truth := 0.0
	for _, example := range played.examples(model.DefaultPrice(), 1, e.Settings.Horizon) {
		truth += float64(example.reward) / float64(played.Len())
	}
	whole := e.Metrics.Comparisons[0].Report.Overall
	t.Logf("logged %.3f, candidate when played %.3f", whole.Baseline.Value, truth)
	for _, estimate := range whole.Target.All() {
		// The logged contexts followed other actions than the candidate's own would: that is worth the slack.
		const slack = 0.15
		low, high := estimate.At(0.001)
		t.Logf("%-10s %.3f (%.3f..%.3f)", estimate.Name, estimate.Value, low, high)
		if truth < low-slack || truth > high+slack {
			t.Errorf("%s: %.3f (%.3f..%.3f), truth %.3f", estimate.Name, estimate.Value, low, high, truth)
		}
	}
	if whole.Gain.DR.Low <= 0 {
		t.Errorf("gain over the logged calls %+v, want it told from none", whole.Gain.DR)
	}

	m := e.Metrics
	if len(m.Comparisons) != 3 || len(m.Gate.Slices) != 6 || len(m.Networks) != 6 || len(m.Calibration) != 10 || len(m.Curves) != 5 || m.Final != nil {
		t.Errorf("%d comparisons, %d slices, %d networks, %d bins, %d curves, final %v",
			len(m.Comparisons), len(m.Gate.Slices), len(m.Networks), len(m.Calibration), len(m.Curves), m.Final)
	}
	if m.Segments != 1400 || m.Calls != 140 || m.Unexplained != 0 || m.Bound != 700 || m.Gate.Overall.Gain.DR.N != 1400 {
		t.Errorf("%d segments of %d calls, %d unexplained, %d bound, %d evaluated", m.Segments, m.Calls, m.Unexplained, m.Bound, m.Gate.Overall.Gain.DR.N)
	}
	if e.Run != config.Candidate.Dir || e.Settings.Version != 2 || e.Settings.Base != 1 || e.Settings.Data != m.Fingerprint {
		t.Errorf("run %s, settings %+v", e.Run, e.Settings)
	}
	if caveats := e.Caveats(); caveats != nil {
		t.Errorf("caveats about later calls of a known policy: %q", caveats)
	}
}

func TestEvaluateRepeats(t *testing.T) {
	_, config := labEvaluation(t, 42)
	first, second := judged(t, config), judged(t, config)
	second.Metrics.Seconds, second.Metrics.SegmentsPerSecond = first.Metrics.Seconds, first.Metrics.SegmentsPerSecond
	if diff := cmp.Diff(first, second, cmpopts.EquateNaNs()); diff != "" {
		t.Error("equal evaluations differ:", diff)
	}
	// The candidate stays as it is: what asks no reward model does not depend on how one is fitted.
	config.Seed++
	third := judged(t, config)
	for i, comparison := range first.Metrics.Comparisons {
		want, got := comparison.Report.Overall.Target, third.Metrics.Comparisons[i].Report.Overall.Target
		if diff := cmp.Diff(want.SNIPS, got.SNIPS, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
			t.Errorf("%s: SNIPS depends on the seed: %s", comparison.Name, diff)
		}
		if want.DM.Value == got.DM.Value {
			t.Errorf("%s: the reward model does not depend on the seed", comparison.Name)
		}
	}
}

func TestEvaluateSaysWhatWeakensIt(t *testing.T) {
	trained, config := labEvaluation(t, 42)

	config.Dataset = trained.Dataset
	if e := judged(t, config); !e.TrainedOn || len(e.Caveats()) != 1 || !strings.Contains(e.Caveats()[0], "very calls") {
		t.Errorf("the very calls it was trained on: %q", e.Caveats())
	}

	// An earlier day, a logging policy nobody kept, and a candidate that came into force.
	earlier := new(Dataset)
	labLog(earlier, config.Logging[0], 2, 42, 10)
	for i := range 100 {
		earlier.rows[i].day = 19_999
	}
	earlier.days = []int{19_999, 20_000}
	config.Dataset, config.Logging = earlier, nil
	config.Base, config.BaseModels = config.Candidate.Policy.Document(), config.Candidate.Models
	e := judged(t, config)
	if e.TrainedOn || e.MayBeTrainedOn != 100 || e.UnknownPolicy != 420 || !e.InForce || len(e.Caveats()) != 3 {
		t.Errorf("maybe trained on %d, unknown policy %d, caveats %q", e.MayBeTrainedOn, e.UnknownPolicy, e.Caveats())
	}
	comparisons := e.Metrics.Comparisons
	if len(comparisons) != 4 {
		t.Fatalf("%d comparisons, want the static default as well", len(comparisons))
	}
	if diff := cmp.Diff(comparisons[1].Report, comparisons[2].Report, cmpopts.EquateNaNs()); diff != "" {
		t.Error("the candidate without exploration and the same as base differ:", diff)
	}
	if gain := e.Metrics.Gate.Overall.Gain.DR; math.Abs(gain.Value) > 0.1 || e.Promote() {
		t.Errorf("gain over itself %v, promote %v", gain.Value, e.Promote())
	}
}

func TestEvaluationHTMLAndJSON(t *testing.T) {
	_, config := labEvaluation(t, 42)
	config.Folds = 1
	e := judged(t, config)
	page, err := e.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{e.Metrics.Fingerprint, "satellite", "SWITCH-DR", "effective calls", "greedy"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("page lacks %q", want)
		}
	}
	if n := bytes.Count(page, []byte("<svg")); n != 2 {
		t.Errorf("%d plots, want 2", n)
	}
	for _, reference := range []string{"src=", "href=\"http", "<script", "@import", "url("} {
		if bytes.Contains(page, []byte(reference)) {
			t.Errorf("page is not self-contained: %q", reference)
		}
	}

	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Evaluation
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, &back, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Error("read back:", diff)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	_, config := labEvaluation(t, 7)
	if _, err := Evaluate(t.Context(), config); !errors.Is(err, ErrTooFewRows) || !strings.Contains(err.Error(), "70 usable segments of 7 calls, need at least 300 of 20") {
		t.Errorf("70 segments: %v", err)
	}

	_, err := Evaluate(t.Context(), EvaluateConfig{Folds: 6, Price: model.Price{MOSPerKbps: -1, MeteredFactor: 1}})
	for _, want := range []string{"dataset", "candidate", "folds", "price", "base"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("faulty configuration: %v, want %q in it", err, want)
		}
	}

	config.Dataset = new(Dataset)
	labLog(config.Dataset, config.Logging[0], 2, 42, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config.Progress = func(Progress) { cancel() }
	if _, err := Evaluate(ctx, config); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled evaluation: %v", err)
	}

	// A policy that is known, and would never have logged this, leaves nothing to judge by.
	stranger := labBase(0)
	stranger.Arms[0].Default = map[model.NetworkType]int{model.NetworkUnknown: 0}
	known, err := load(stranger, nil)
	if err != nil {
		t.Fatal(err)
	}
	config.Progress, config.Logging = nil, []*policy.Policy{known}
	if _, err := Evaluate(t.Context(), config); err == nil || !strings.Contains(err.Error(), "no usable rows") {
		t.Errorf("nothing explained: %v", err)
	}
}
