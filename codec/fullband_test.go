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

func opusAction(kbps uint8, band model.AudioBandwidth) model.Action {
	return model.Action{
		Codec: model.CodecOpus, BitrateKbps: kbps, Bandwidth: band, FrameMillis: 20, Transport: model.TransportDirect,
	}
}

// TestOpusImpairmentFollowsTheTable: at the measured rates the curve is the measurement, on the fullband scale.
func TestOpusImpairmentFollowsTheTable(t *testing.T) {
	for _, test := range []struct {
		kbps float64
		band model.AudioBandwidth
		want float64
	}{
		{6, model.BandwidthFull, 148 - (93.2 - 23.00233478)}, // libopus codes narrowband at that rate
		{9, model.BandwidthNarrow, 148 - (93.2 - 11.73674352)},
		{11, model.BandwidthNarrow, 148 - (93.2 - 2.030115291)},
		{11, model.BandwidthWide, 148 - (129 - 28.41322299)},
		{12, model.BandwidthFull, 148 - (129 - 23.29505705)},
		{14, model.BandwidthWide, 148 - (129 - (20.77194577+19.958882)/2)}, // 13 and 14 kbps are pooled
		{15, model.BandwidthWide, 148 - (129 - 18.06274989)},
		{16, model.BandwidthSuperWide, 30.16302131},
		{16, model.BandwidthFull, 30.16302131},
		{40, model.BandwidthFull, 10.66596559},
	} {
		if got := codec.OpusImpairment(test.kbps, test.band); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%v kbps %v: impairment %.4f, want %.4f", test.kbps, test.band, got, test.want)
		}
	}
	if best := codec.OpusImpairment(510, model.BandwidthFull); best < 7.2 || best > 7.3 {
		t.Errorf("impairment at 510 kbps %v, want the floor of 7.2", best)
	}
	if worst := codec.OpusImpairment(0, model.BandwidthFull); worst < 80 || worst > 132 {
		t.Errorf("impairment at 0 kbps %v", worst)
	}
}

// TestOpusImpairmentIsSmooth: no jump anywhere, also where bandwidths and extrapolations meet.
func TestOpusImpairmentIsSmooth(t *testing.T) {
	const step = 0.01
	for band := model.BandwidthNarrow; band <= model.BandwidthFull; band++ {
		for kbps := 1.0; kbps < 130; kbps += step {
			fall := codec.OpusImpairment(kbps, band) - codec.OpusImpairment(kbps+step, band)
			if fall < -1e-9 || fall > 15*step {
				t.Fatalf("%v: impairment falls by %v from %v kbps", band, fall, kbps)
			}
		}
	}
}

func TestFullbandIsMonotone(t *testing.T) {
	quality := codec.Fullband{}
	rapid.Check(t, func(t *rapid.T) {
		lowLoss, highLoss := ordered(t, "loss", 0, 1)
		lowBurst, highBurst := ordered(t, "burst", 1, 8)
		fast, slow := ordered(t, "delay ms", 0, 2000)
		slim, fat := rapid.Uint8Range(6, 128).Draw(t, "kbps"), rapid.Uint8Range(6, 128).Draw(t, "kbps")
		slim, fat = min(slim, fat), max(slim, fat)
		narrow := rapid.Uint8Range(1, 5).Draw(t, "band")
		wide := rapid.Uint8Range(narrow, 5).Draw(t, "wider")
		bad := model.QualityInput{
			Action: opusAction(slim, model.AudioBandwidth(narrow)),
			Loss:   highLoss, BurstRatio: highBurst, OneWayDelay: millis(slow),
		}
		bad.Action.FrameMillis = rapid.SampledFrom([]uint8{20, 40, 60, 120}).Draw(t, "frame")
		bad.Action.ExpectedLoss = rapid.Uint8Range(0, 50).Draw(t, "fec")
		mos := quality.MOS(bad)
		if !(mos >= 1 && mos <= 4.5) {
			t.Fatalf("mos %v of %+v", mos, bad)
		}
		for name, better := range map[string]func(in *model.QualityInput){
			"higher rate":    func(in *model.QualityInput) { in.Action.BitrateKbps = fat },
			"wider band":     func(in *model.QualityInput) { in.Action.Bandwidth = model.AudioBandwidth(wide) },
			"less loss":      func(in *model.QualityInput) { in.Loss = lowLoss },
			"shorter bursts": func(in *model.QualityInput) { in.BurstRatio = lowBurst },
			"less delay":     func(in *model.QualityInput) { in.OneWayDelay = millis(fast) },
			"no fec":         func(in *model.QualityInput) { in.Action.ExpectedLoss = 0 },
			"short frames":   func(in *model.QualityInput) { in.Action.FrameMillis = 20 },
		} {
			good := bad
			better(&good)
			if got := quality.MOS(good); got < mos-1e-9 {
				t.Fatalf("%s: mos %v, was %v; %+v", name, got, mos, good)
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

func TestFullbandOrder(t *testing.T) {
	quality := codec.Fullband{}
	mos := func(a model.Action, loss float64) float64 {
		return quality.MOS(model.QualityInput{Action: a, Loss: loss, BurstRatio: 1})
	}
	full := mos(opusAction(32, model.BandwidthFull), 0)
	wide := mos(opusAction(16, model.BandwidthWide), 0)
	narrow := mos(opusAction(8, model.BandwidthNarrow), 0)
	if !(full > wide+0.3 && wide > narrow+0.3) {
		t.Errorf("fullband %.2f, wideband %.2f, narrowband %.2f", full, wide, narrow)
	}
	pcmu := opusAction(64, model.BandwidthNarrow)
	pcmu.Codec = model.CodecPCMU
	if got := mos(pcmu, 0); math.Abs(got-codec.Full.MOS(93.2)) > 1e-9 {
		t.Errorf("pcmu %.3f, want the best narrowband call, %.3f", got, codec.Full.MOS(93.2))
	}
	protected := opusAction(32, model.BandwidthFull)
	protected.ExpectedLoss = 10
	if cost := full - mos(protected, 0); cost <= 0 || cost > 0.3 {
		t.Errorf("fec costs %.2f MOS at 32 kbps without loss", cost)
	}
	if mos(protected, 0.01) < mos(opusAction(32, model.BandwidthFull), 0.05) {
		t.Error("fec that repairs four fifths of 5 % loss is not worth its bits")
	}
}

func TestFullbandUnknowns(t *testing.T) {
	quality := codec.Fullband{}
	known := model.QualityInput{Action: model.DefaultAction(), BurstRatio: 1}
	for name, in := range map[string]model.QualityInput{
		"no action": {BurstRatio: 1},
		"no loss":   {Action: model.DefaultAction(), Loss: math.NaN(), BurstRatio: 1},
	} {
		if got := quality.MOS(in); !math.IsNaN(got) {
			t.Errorf("%s: mos %v, want NaN", name, got)
		}
	}
	unmeasured := known
	unmeasured.BurstRatio, unmeasured.OneWayDelay = math.NaN(), -1
	if got, want := quality.MOS(unmeasured), quality.MOS(known); got != want {
		t.Errorf("mos %v without burst ratio and delay, want %v", got, want)
	}
}

func TestSpeechKbps(t *testing.T) {
	a := opusAction(32, model.BandwidthFull)
	for _, test := range []struct {
		kbps, loss uint8
		want       float64
	}{{32, 0, 32}, {32, 10, 32 * 0.62}, {48, 25, 48 * 0.55}, {12, 10, 12}, {16, 10, 14}, {24, 10, 24 * 0.62}} {
		a.BitrateKbps, a.ExpectedLoss = test.kbps, test.loss
		if got := codec.SpeechKbps(a); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%d kbps, expected loss %d %%: %v kbps of speech, want %v", test.kbps, test.loss, got, test.want)
		}
	}
}

func ExampleFullband() {
	in := model.QualityInput{Action: model.DefaultAction(), Loss: 0.02, BurstRatio: 1.5, OneWayDelay: 150 * time.Millisecond}
	fmt.Printf("%.2f\n", codec.Fullband{}.MOS(in))
	// Output: 3.70
}

func BenchmarkFullband(b *testing.B) {
	in := model.QualityInput{Action: model.DefaultAction(), Loss: 0.02, BurstRatio: 1.5, OneWayDelay: 150 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		codec.Fullband{}.MOS(in)
	}
}
