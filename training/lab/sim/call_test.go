package sim_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
)

// voice is speech-like: bursts of a modulated buzz with pauses.
func voice(seconds int) []int16 {
	rng := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, seconds*48000)
	for i := range pcm {
		t := float64(i) / 48000
		envelope := math.Max(0, math.Sin(2*math.Pi*t*0.7)) * (0.6 + 0.4*math.Sin(2*math.Pi*t*4.3))
		buzz := 0.0
		for h := 1.0; h < 12; h++ {
			buzz += math.Sin(2*math.Pi*h*(110+20*math.Sin(t))*t) / h
		}
		pcm[i] = int16(6000 * envelope * (buzz/2 + 0.3*rng.NormFloat64()))
	}
	return pcm
}

var frames = func() *sim.Frames {
	f, err := sim.NewFrames(voice(12))
	if err != nil {
		panic(err)
	}
	return f
}()

func profile(t testing.TB, name string) *network.Profile {
	t.Helper()
	p, err := network.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func plan(t testing.TB, name string, seed uint64, options ...policy.Option) sim.Plan {
	options = append(options, policy.WithQuality(codec.Measured{}))
	return sim.Plan{
		Profile: profile(t, name), Seed: seed, Duration: time.Minute, Frames: frames, Caller: options, Callee: options,
	}
}

func mustCall(t testing.TB, p sim.Plan) sim.Result {
	t.Helper()
	r, err := sim.Call(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func meanMOS(leg *sim.Leg) float64 {
	sum, n := 0.0, 0.0
	for _, s := range leg.Segments {
		if s.Outcome.MOS > 0 {
			sum += model.ScaleMOS.Value(s.Outcome.MOS)
			n++
		}
	}
	return sum / n
}

func TestSamePlanSameResult(t *testing.T) {
	for _, name := range network.Builtin() {
		first, again := mustCall(t, plan(t, name, 7)), mustCall(t, plan(t, name, 7))
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		t.Logf("%s: setup %v, stage %v, %d segments, MOS %.2f and %.2f", name, first.Setup, first.Stage, len(first.Caller.Segments), meanMOS(&first.Caller), meanMOS(&first.Callee))
	}
}

// leaves is a rule that asks for a direct path in every third decision.
type leaves struct{ decisions int }

func (l *leaves) Decide(*model.Context, *model.Measurement) model.Action {
	a := model.DefaultAction()
	if l.decisions++; l.decisions%3 != 0 {
		a.Transport, a.Site = model.TransportRelayTCP, lab.RelaySite
	}
	return a
}

// A move that fails, and the way back too, leaves a call without a path: it is dropped, or another move saves it.
func TestMoveAndWayBackFail(t *testing.T) {
	p := profile(t, "wifi")
	gone := *p
	gone.Events.Outages = network.Interruption{EveryMillis: 15_000, MeanMillis: 20_000, Source: "chosen"}
	dropped := 0
	for seed := range uint64(40) {
		call := plan(t, "wifi", seed)
		call.Profile = &gone
		call.Caller = append(call.Caller, policy.WithRule(&leaves{}), policy.WithInterval(4*time.Second))
		if mustCall(t, call).Caller.Dropped {
			dropped++
		}
	}
	if dropped == 0 || dropped == 40 {
		t.Errorf("%d of 40 calls were dropped, want some", dropped)
	}
}

func BenchmarkCall(b *testing.B) {
	for _, name := range network.Builtin() {
		b.Run(name, func(b *testing.B) {
			p := plan(b, name, 1)
			mustCall(b, p)
			b.ReportAllocs()
			for i := range b.N {
				p.Seed = uint64(i)
				mustCall(b, p)
			}
		})
	}
}
