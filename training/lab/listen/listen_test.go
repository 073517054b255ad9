package listen_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/listen"
	"github.com/attune-calls/attune/training/lab/network"
)

// speech is bursts of a buzz, whose envelope can be found again in what is heard.
func speech(seconds int) []int16 {
	pcm := make([]int16, seconds*48000)
	for i := range pcm {
		t := float64(i) / 48000
		envelope := math.Max(0, math.Sin(2*math.Pi*0.7*t))
		pcm[i] = int16(5000 * envelope * (math.Sin(2*math.Pi*180*t) + 0.5*math.Sin(2*math.Pi*360*t)))
	}
	return pcm
}

type always struct{ model.Action }

func (a always) Decide(*model.Context, *model.Measurement) model.Action { return a.Action }

func hear(t testing.TB, profile *network.Profile, action model.Action, said []int16) ([]int16, listen.Result) {
	t.Helper()
	var heard []int16
	result, err := listen.Call(listen.Config{
		Profile: profile, Seed: 3, Speech: said,
		Options: func() []policy.Option { return []policy.Option{policy.WithRule(always{action})} },
		Play:    func(pcm []int16) error { heard = append(heard, pcm...); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return heard, result
}

// likeness is the correlation of the loudness of two signals in steps of 20 ms, at the best delay up to a second.
func likeness(said, heard []int16) float64 {
	loudness := func(pcm []int16) []float64 {
		var out []float64
		for part := range slices.Chunk(pcm, 960) {
			sum := 0.0
			for _, v := range part {
				sum += math.Abs(float64(v))
			}
			out = append(out, sum)
		}
		return out
	}
	a, b := loudness(said), loudness(heard)
	best := 0.0
	for delay := range 50 {
		var ab, aa, bb float64
		for i := range a {
			if i+delay < len(b) {
				ab, aa, bb = ab+a[i]*b[i+delay], aa+a[i]*a[i], bb+b[i+delay]*b[i+delay]
			}
		}
		best = max(best, ab/math.Sqrt(aa*bb+1))
	}
	return best
}

func wire(t testing.TB) *network.Profile {
	t.Helper()
	p, err := network.Load("ethernet")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsSaidIsHeard(t *testing.T) {
	said := speech(6)
	a := model.DefaultAction()
	red := model.Action{Codec: model.CodecOpusRED, BitrateKbps: 16, Bandwidth: model.BandwidthWide, FrameMillis: 40, REDDepth: 1, Transport: model.TransportDirect}
	tcp := model.Action{Codec: model.CodecOpus, BitrateKbps: 12, Bandwidth: model.BandwidthWide, FrameMillis: 120, DTX: true, Transport: model.TransportRelayTCP, Site: 1}
	for _, action := range []model.Action{a, red, tcp} {
		heard, result := hear(t, wire(t), action, said)
		if got := likeness(said, heard); got < 0.95 {
			t.Errorf("%v: likeness %.2f", action, got)
		}
		if !result.Set || result.Dropped || result.MOS < 2.5 || result.Arrived < result.Packets*95/100 {
			t.Errorf("%v: %+v", action, result)
		}
		if seconds := float64(len(heard)) / 48000; math.Abs(seconds-7) > 0.1 {
			t.Errorf("%v: heard for %.2f s, want 7", action, seconds)
		}
	}
}

// TestLossIsHeard: without protection a lossy wire is heard; with redundancy much less.
func TestLossIsHeard(t *testing.T) {
	said := speech(12)
	p := wire(t)
	p.Up.Loss = network.Loss{P: 0.01, R: 0.9, Good: 0.15, Bad: 0.15, Source: "test"}
	plain := model.Action{Codec: model.CodecOpus, BitrateKbps: 24, Bandwidth: model.BandwidthWide, FrameMillis: 20, Transport: model.TransportDirect}
	red := plain
	red.Codec, red.REDDepth = model.CodecOpusRED, 2
	heard, lossy := hear(t, p, plain, said)
	repaired, better := hear(t, p, red, said)
	if lossy.Arrived > lossy.Packets*9/10 {
		t.Errorf("%d of %d packets came over a wire that loses 15 %%", lossy.Arrived, lossy.Packets)
	}
	if a, b := likeness(said, heard), likeness(said, repaired); a >= b || better.MOS < lossy.MOS+0.5 {
		t.Errorf("likeness %.3f (MOS %.2f) without and %.3f (MOS %.2f) with redundancy", a, lossy.MOS, b, better.MOS)
	}
}

func TestSameSeedSameSound(t *testing.T) {
	said := speech(3)
	p := wire(t)
	p.Up.Loss = network.Loss{P: 0.01, R: 0.9, Good: 0.1, Bad: 0.1, Source: "test"}
	first, _ := hear(t, p, model.DefaultAction(), said)
	again, _ := hear(t, p, model.DefaultAction(), said)
	if !slices.Equal(first, again) {
		t.Error("the same call sounds different")
	}
}

func TestNoCall(t *testing.T) {
	p := wire(t)
	p.Up.Policing.UDP.Blocked, p.Up.Policing.UDP.Source = true, "test"
	heard, result := hear(t, p, model.DefaultAction(), speech(2))
	if result.Set || len(heard) > 0 || !math.IsNaN(result.MOS) {
		t.Errorf("%d samples, %+v", len(heard), result)
	}
}

func TestFaults(t *testing.T) {
	pcmu := model.Action{Codec: model.CodecPCMU, BitrateKbps: 64, Bandwidth: model.BandwidthNarrow, FrameMillis: 20, Transport: model.TransportDirect}
	config := listen.Config{
		Profile: wire(t), Speech: speech(2), Play: func([]int16) error { return nil },
		Options: func() []policy.Option { return []policy.Option{policy.WithRule(always{pcmu})} },
	}
	if _, err := listen.Call(config); !errors.Is(err, listen.ErrPCMU) {
		t.Errorf("pcmu: error %v", err)
	}
	full := errors.New("disk full")
	config.Options = func() []policy.Option { return nil }
	config.Play = func([]int16) error { return full }
	if _, err := listen.Call(config); !errors.Is(err, full) {
		t.Errorf("a sink that fails: error %v", err)
	}
	config.Speech = nil
	if _, err := listen.Call(config); err == nil {
		t.Error("no speech: no error")
	}
}

// TestRules: what changes its settings during the call is heard throughout.
func TestRules(t *testing.T) {
	said := speech(20)
	p, err := network.Load("3g")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"telegram", "ana", "tgcalls"} {
		c, err := compare.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		var heard []int16
		result, err := listen.Call(listen.Config{
			Profile: p, Seed: 1 + rand.New(rand.NewPCG(1, 1)).Uint64N(4), Speech: said, Options: c.Options,
			Play: func(pcm []int16) error { heard = append(heard, pcm...); return nil },
		})
		if err != nil || !result.Set {
			t.Fatalf("%s: %+v, %v", name, result, err)
		}
		if got := likeness(said, heard); got < 0.6 {
			t.Errorf("%s: likeness %.2f, %+v", name, got, result)
		}
	}
}
