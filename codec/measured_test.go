package codec_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
)

// drawInput is any input a client may have, of an Opus call.
func drawInput(t *rapid.T) model.QualityInput {
	in := model.QualityInput{
		Action: opusAction(
			rapid.Uint8Range(model.MinBitrateKbps, model.MaxBitrateKbps).Draw(t, "kbps"),
			model.AudioBandwidth(rapid.Uint8Range(1, 5).Draw(t, "band")),
		),
		Loss:        rapid.Float64Range(0, 1).Draw(t, "loss"),
		BurstRatio:  rapid.Float64Range(1, 20).Draw(t, "burst"),
		OneWayDelay: millis(rapid.Float64Range(0, 3000).Draw(t, "delay ms")),
	}
	in.Action.FrameMillis = rapid.SampledFrom([]uint8{20, 40, 60, 120}).Draw(t, "frame")
	in.Action.ExpectedLoss = rapid.Uint8Range(0, model.MaxExpectedLoss).Draw(t, "fec")
	in.Action.DTX = rapid.Bool().Draw(t, "dtx")
	if depth := rapid.Uint8Range(0, model.MaxREDDepth).Draw(t, "red"); depth > 0 {
		in.Action.Codec, in.Action.REDDepth = model.CodecOpusRED, depth
	}
	return in
}

// TestMeasuredIsMonotone: never better with more loss, longer bursts or more delay, never worse with a higher rate or a
// wider limit, whatever else the call does.
func TestMeasuredIsMonotone(t *testing.T) {
	quality := codec.Measured{}
	rapid.Check(t, func(t *rapid.T) {
		bad := drawInput(t)
		mos := quality.MOS(bad)
		if !(mos >= 1 && mos <= 4.5) {
			t.Fatalf("mos %v of %+v", mos, bad)
		}
		for name, better := range map[string]func(in *model.QualityInput){
			"higher rate": func(in *model.QualityInput) {
				in.Action.BitrateKbps = rapid.Uint8Range(in.Action.BitrateKbps, model.MaxBitrateKbps).Draw(t, "higher rate")
			},
			"wider band": func(in *model.QualityInput) {
				in.Action.Bandwidth = model.AudioBandwidth(rapid.Uint8Range(uint8(in.Action.Bandwidth), 5).Draw(t, "wider"))
			},
			"less loss":      func(in *model.QualityInput) { in.Loss = rapid.Float64Range(0, in.Loss).Draw(t, "less") },
			"shorter bursts": func(in *model.QualityInput) { in.BurstRatio = rapid.Float64Range(1, in.BurstRatio).Draw(t, "shorter") },
			"less delay":     func(in *model.QualityInput) { in.OneWayDelay /= 2 },
			"no fec":         func(in *model.QualityInput) { in.Action.ExpectedLoss = 0 },
			"no dtx":         func(in *model.QualityInput) { in.Action.DTX = false },
		} {
			good := bad
			better(&good)
			if got := quality.Rating(good); got < quality.Rating(bad)-1e-9 {
				t.Fatalf("%s: R %v, was %v; %+v", name, got, quality.Rating(bad), bad)
			}
		}
		near := bad
		near.Loss = math.Min(1, near.Loss+1e-6)
		near.BurstRatio += 1e-6
		near.OneWayDelay += time.Microsecond
		if math.Abs(quality.MOS(near)-mos) > 1e-3 {
			t.Fatalf("mos jumps from %v to %v", mos, quality.MOS(near))
		}
	})
}

// TestMeasuredIsSmoothInTheRate: neighbouring rates are no more than half a MOS apart.
func TestMeasuredIsSmoothInTheRate(t *testing.T) {
	for band := model.BandwidthNarrow; band <= model.BandwidthFull; band++ {
		for kbps := uint8(model.MinBitrateKbps); kbps < model.MaxBitrateKbps; kbps++ {
			now := codec.Measured{}.MOS(model.QualityInput{Action: opusAction(kbps, band)})
			next := codec.Measured{}.MOS(model.QualityInput{Action: opusAction(kbps+1, band)})
			if next-now > 0.5 {
				t.Errorf("%v: %.2f at %d kbps, %.2f at %d", band, now, kbps, next, kbps+1)
			}
		}
	}
}

// TestMeasuredJoinsTheEModel: delay and G.711 are the E-model's own, and nothing gets through at a loss of 100 %.
func TestMeasuredJoinsTheEModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		prompt := in
		prompt.OneWayDelay = 0
		want := codec.Full.DelayImpairment(in.OneWayDelay) // Idd of G.107.2, clause 7.4
		if got := (codec.Measured{}).Rating(prompt) - (codec.Measured{}).Rating(in); math.Abs(got-want) > 1e-9 {
			t.Fatalf("delay of %v costs %v, want %v", in.OneWayDelay, got, want)
		}
		in.Action.Codec, in.Action.REDDepth = model.CodecPCMU, 0
		if got, want := (codec.Measured{}).MOS(in), (codec.Fullband{}).MOS(in); got != want {
			t.Fatalf("pcmu: %v, want %v", got, want)
		}
		in.Action.Codec, in.Loss = model.CodecOpus, 1
		if got := (codec.Measured{}).MOS(in); got > 1.2 {
			t.Fatalf("everything lost: %v; %+v", got, in)
		}
	})
}

func TestMeasuredOrder(t *testing.T) {
	mos := func(a model.Action, loss float64) float64 {
		return codec.Measured{}.MOS(model.QualityInput{Action: a, Loss: loss, BurstRatio: 1})
	}
	full := mos(opusAction(32, model.BandwidthFull), 0)
	wide := mos(opusAction(16, model.BandwidthWide), 0)
	narrow := mos(opusAction(8, model.BandwidthNarrow), 0)
	if !(full > wide+0.2 && wide > narrow+0.5) {
		t.Errorf("fullband %.2f, wideband %.2f, narrowband %.2f", full, wide, narrow)
	}
	protected := opusAction(32, model.BandwidthFull)
	protected.ExpectedLoss = 10
	if cost := full - mos(protected, 0); cost <= 0 || cost > 0.4 {
		t.Errorf("fec costs %.2f MOS at 32 kbps without loss", cost)
	}
	if mos(protected, 0.01) < mos(opusAction(32, model.BandwidthFull), 0.05) {
		t.Error("fec that repairs four fifths of 5 % loss is not worth its bits")
	}
}

func TestMeasuredUnknowns(t *testing.T) {
	quality := codec.Measured{}
	known := model.QualityInput{Action: model.DefaultAction(), BurstRatio: 1}
	for name, in := range map[string]model.QualityInput{
		"no action": {BurstRatio: 1},
		"no loss":   {Action: model.DefaultAction(), Loss: math.NaN(), BurstRatio: 1},
	} {
		if got := quality.MOS(in); !math.IsNaN(got) {
			t.Errorf("%s: mos %v, want NaN", name, got)
		}
	}
	for name, change := range map[string]func(in *model.QualityInput){
		"no burst ratio":   func(in *model.QualityInput) { in.BurstRatio = math.NaN() },
		"burst ratio of 0": func(in *model.QualityInput) { in.BurstRatio = 0 },
		"no delay":         func(in *model.QualityInput) { in.OneWayDelay = -1 },
		"negative loss":    func(in *model.QualityInput) { in.Loss = -0.1 },
		"no bandwidth":     func(in *model.QualityInput) { in.Action.Bandwidth = model.BandwidthUnknown },
	} {
		in := known
		change(&in)
		if got, want := quality.MOS(in), quality.MOS(known); got != want {
			t.Errorf("%s: mos %v, want %v", name, got, want)
		}
	}
	lost := known
	lost.Loss = 7
	whole := known
	whole.Loss = 1
	if got, want := quality.MOS(lost), quality.MOS(whole); got != want {
		t.Errorf("loss of 700 %%: mos %v, want %v", got, want)
	}
	burst := known
	burst.Loss, burst.BurstRatio = 0.1, math.Inf(1)
	if got := quality.MOS(burst); !(got >= 1 && got <= 4.5) {
		t.Errorf("endless burst: mos %v", got)
	}
}

func TestMeasuredDoesNotAllocate(t *testing.T) {
	in := model.QualityInput{Action: model.DefaultAction(), Loss: 0.02, BurstRatio: 1.5, OneWayDelay: 150 * time.Millisecond}
	if n := testing.AllocsPerRun(100, func() { codec.Measured{}.MOS(in) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleMeasured() {
	in := model.QualityInput{Action: model.DefaultAction(), Loss: 0.02, BurstRatio: 1.5, OneWayDelay: 150 * time.Millisecond}
	fmt.Printf("%.1f\n", codec.Measured{}.MOS(in))
	in.Loss = 0.2
	fmt.Printf("%.1f\n", codec.Measured{}.MOS(in))
	// Output:
	// 4.2
	// 2.1
}

func BenchmarkMeasured(b *testing.B) {
	in := model.QualityInput{Action: model.DefaultAction(), Loss: 0.02, BurstRatio: 1.5, OneWayDelay: 150 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		codec.Measured{}.MOS(in)
	}
}
