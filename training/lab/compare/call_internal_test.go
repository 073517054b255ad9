package compare

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

// noise is something like speech.
func noise(t *testing.T) *sim.Frames {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, 6*48000)
	for i := range pcm {
		pcm[i] = int16(3000 * math.Max(0, math.Sin(4.4*float64(i)/48000)) * random.NormFloat64())
	}
	frames, err := sim.NewFrames(pcm)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// TestDecidingOftenScoresTheSame: calls that keep to one action are the same calls, however often that is decided.
func TestDecidingOftenScoresTheSame(t *testing.T) {
	s, calls := scale{frames: noise(t), duration: 30 * time.Second}, suite.Builtin()
	for i := range calls.Networks {
		n := &calls.Networks[i]
		var want Outcome
		for _, interval := range []time.Duration{4 * time.Second, time.Second, 8 * time.Second} {
			got, err := s.call(Case{Network: n, Seed: 7}, func() []policy.Option {
				return []policy.Option{policy.WithRule(static{model.DefaultAction()}), policy.WithInterval(interval)}
			})
			if err != nil {
				t.Fatal(err)
			}
			if interval == 4*time.Second {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, decided every %v: %s", n.Name, interval, diff)
			}
		}
	}
}

// window is 4 s of audio of which all was heard.
func window(change func(w *sim.Window)) *sim.Window {
	w := &sim.Window{
		Length: 4 * time.Second, Packets: 200, Bytes: 20_000, Transit: 40 * time.Millisecond, Jitter: 5 * time.Millisecond,
		Actions: []sim.Held{{Action: model.DefaultAction(), For: 4 * time.Second}},
		Playout: model.Playout{Received: 200, Expected: 200, TotalSamples: 4 * 48000, JitterBufferDelay: 60 * time.Millisecond},
	}
	if change != nil {
		change(w)
	}
	return w
}

func TestQualityOfAWindow(t *testing.T) {
	mos := func(a model.Action, loss, burst float64, delay time.Duration) float64 {
		return codec.Measured{}.MOS(model.QualityInput{Action: a, Loss: loss, BurstRatio: burst, OneWayDelay: delay})
	}
	usual, long := model.DefaultAction(), model.DefaultAction()
	long.FrameMillis = 60
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		change func(w *sim.Window)
		want   float64
	}{
		"all heard": {nil, mos(usual, 0, 1, 120*ms)}, // a frame, the way, the jitter buffer
		"repaired":  {func(w *sim.Window) { w.Playout.Received = 190 }, mos(usual, 0, 1, 120*ms)},
		"missing": {func(w *sim.Window) {
			w.Playout.Received, w.Playout.LossRuns, w.Playout.ConcealedSamples = 190, 2, 9600
		}, mos(usual, 0.05, 5*0.95, 120*ms)},
		"two actions": {func(w *sim.Window) {
			w.Actions = []sim.Held{{Action: usual, For: time.Second}, {Action: long, For: 3 * time.Second}}
		}, (mos(usual, 0, 1, 120*ms) + 3*mos(long, 0, 1, 160*ms)) / 4},
		"nothing came":     {func(w *sim.Window) { w.Playout = model.Playout{JitterBufferDelay: -1} }, model.WorstMOS},
		"silent on demand": {func(w *sim.Window) { w.Packets, w.Playout = 0, model.Playout{JitterBufferDelay: -1} }, math.NaN()},
		"too short":        {func(w *sim.Window) { w.Length = 900 * ms }, math.NaN()},
	} {
		if got := qualityOf(window(c.change)); math.Abs(got-c.want) > 1e-9 || math.IsNaN(got) != math.IsNaN(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestJudge: VIA's thresholds are for the mean over the call.
func TestJudge(t *testing.T) {
	usual := qualityOf(window(nil))
	ended := sim.Result{Stage: model.StageEnded}
	for _, c := range []struct {
		name    string
		windows []func(w *sim.Window) // of both legs
		result  sim.Result
		want    Outcome
	}{
		{"usual", []func(w *sim.Window){nil}, ended, Outcome{Quality: usual, Kbps: 40}},
		{
			"weighted by time",
			[]func(w *sim.Window){nil, func(w *sim.Window) {
				w.Length, w.Bytes, w.Playout.TotalSamples, w.Playout.Received = 2*time.Second, 0, 0, 0
			}},
			ended,
			Outcome{Quality: (2*usual + model.WorstMOS) / 3, Kbps: 80.0 / 3, PoorVIA: true},
		},
		{"at the threshold", []func(w *sim.Window){func(w *sim.Window) { w.Transit, w.Jitter = 160*time.Millisecond, 12*time.Millisecond }}, ended, Outcome{Quality: -1, Kbps: 40}},
		{"round trip", []func(w *sim.Window){func(w *sim.Window) { w.Transit = 161 * time.Millisecond }}, ended, Outcome{Quality: -1, Kbps: 40, PoorVIA: true}},
		{"round trip unknown", []func(w *sim.Window){func(w *sim.Window) { w.Transit = -1 }}, ended, Outcome{Quality: -1, Kbps: 40}},
		{"jitter", []func(w *sim.Window){func(w *sim.Window) { w.Jitter = 13 * time.Millisecond }}, ended, Outcome{Quality: usual, Kbps: 40, PoorVIA: true}},
		{"loss", []func(w *sim.Window){nil, func(w *sim.Window) { w.Playout.Received = 190 }}, ended, Outcome{Quality: usual, Kbps: 40, PoorVIA: true}},
		{"little loss", []func(w *sim.Window){nil, func(w *sim.Window) { w.Playout.Received = 198 }}, ended, Outcome{Quality: usual, Kbps: 40}},
		{"nothing measured", nil, ended, Outcome{Quality: 1, PoorVIA: true}},
		{"not set up", nil, sim.Result{Stage: model.StageICE}, Outcome{Quality: 1, PoorVIA: true, SetupFailed: true}},
		{
			"dropped",
			[]func(w *sim.Window){nil},
			sim.Result{Stage: model.StageMedia, Callee: sim.Leg{Dropped: true}},
			Outcome{Quality: 1, Kbps: 40, PoorVIA: true, Dropped: true},
		},
	} {
		var j judge
		for _, change := range c.windows {
			for side := range 2 {
				j.window(side, window(change))
			}
		}
		got := j.outcome(&c.result)
		if c.want.Quality < 0 { // not what this is about
			c.want.Quality = got.Quality
		}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}
