package model_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attune-calls/attune/model"
)

var scales = []*model.Scale{
	model.ScaleRoundTripTime, model.ScaleJitter, model.ScaleLoss, model.ScaleBurst, model.ScaleBandwidth,
	model.ScaleMOS, model.ScaleOutcomeLoss, model.ScaleDelay, model.ScaleRate,
}

func TestScales(t *testing.T) {
	for _, s := range scales {
		t.Run(s.Name, func(t *testing.T) {
			if s.Buckets() > 254 {
				t.Fatalf("%d buckets do not fit a byte", s.Buckets())
			}
			last := math.Inf(-1)
			for b := model.Bucket(1); s.Valid(b); b++ {
				v := s.Value(b)
				if !(v > last) || v < s.Lower || v > s.Upper {
					t.Errorf("bucket %d has value %v after %v, outside %v..%v or not ascending", b, v, last, s.Lower, s.Upper)
				}
				if got := s.Bucket(v); got != b {
					t.Errorf("value %v of bucket %d falls into bucket %d", v, b, got)
				}
				last = v
			}
			for i, step := range s.Steps {
				if got := s.Bucket(step); got != model.Bucket(i+2) {
					t.Errorf("bound %v falls into bucket %d, want the one above it, %d", step, got, i+2)
				}
				if got := s.Bucket(math.Nextafter(step, math.Inf(-1))); got != model.Bucket(i+1) {
					t.Errorf("just below %v falls into bucket %d, want %d", step, got, i+1)
				}
			}
			for v, want := range map[float64]model.Bucket{
				math.Inf(-1): 1, s.Lower: 1, s.Upper: model.Bucket(s.Buckets()), math.Inf(1): model.Bucket(s.Buckets()),
			} {
				if got := s.Bucket(v); got != want {
					t.Errorf("%v falls into bucket %d, want %d", v, got, want)
				}
			}
			if s.Bucket(math.NaN()) != 0 || !math.IsNaN(s.Value(0)) || !s.Valid(0) {
				t.Error("bucket 0 is not \"not measured\"")
			}
			if off := model.Bucket(s.Buckets() + 1); s.Valid(off) || !math.IsNaN(s.Value(off)) {
				t.Errorf("bucket %d is off the scale, yet valid", off)
			}
		})
	}
}

// Bucket jumps to where the search begins; counting the bounds does not.
func TestBucketCountsTheBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(scales).Draw(t, "scale")
		v := rapid.OneOf(rapid.Float64Range(s.Lower-1, 2*s.Upper), rapid.Float64(), rapid.SampledFrom(s.Steps)).Draw(t, "v")
		want := model.Bucket(1)
		for _, step := range s.Steps {
			if step <= v {
				want++
			}
		}
		if got := s.Bucket(v); got != want {
			t.Errorf("%s: %v falls into bucket %d, want %d", s.Name, v, got, want)
		}
	})
}

func TestMeasurementQuantizes(t *testing.T) {
	nothing := model.Unmeasured()
	if o := nothing.Outcome(); o != (model.Outcome{}) {
		t.Errorf("nothing measured gives %+v", o)
	}
	c := model.Context{Network: model.NetworkWiFi, Loss: 3, RoundTripTime: 2, Jitter: 1, Burst: 1, Bandwidth: 1}
	nothing.Describe(&c)
	if c != (model.Context{Network: model.NetworkWiFi}) {
		t.Errorf("nothing measured gives %+v", c)
	}

	m := nothing
	m.MOS, m.LossBefore, m.LossAfter, m.SentKbps, m.AvailableKbps, m.BurstRatio = 4.02, 0.03, 0, 50, 90, 1.3
	m.RoundTripTime, m.Jitter, m.JitterBufferDelay = 120*time.Millisecond, 7*time.Millisecond, 0
	o := m.Outcome()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	for name, pair := range map[string][2]float64{
		"MOS":          {model.ScaleMOS.Value(o.MOS), 4.025},
		"sent bitrate": {model.ScaleRate.Value(o.Rate), 50},
		"round trip":   {model.ScaleDelay.Value(o.RoundTripTime), 120},
		"loss before":  {model.ScaleOutcomeLoss.Value(o.LossBefore), 0.03},
	} {
		if math.Abs(pair[0]-pair[1]) > 0.13*pair[1] {
			t.Errorf("%s is %v, want about %v", name, pair[0], pair[1])
		}
	}
	if o.LossAfter != 1 || o.JitterBufferDelay != 1 || o.Concealed != 0 {
		t.Errorf("no loss, no delay and nothing known of concealment give %+v", o)
	}
	m.Describe(&c)
	want := model.Context{Network: model.NetworkWiFi, RoundTripTime: 4, Jitter: 3, Loss: 5, Burst: 2, Bandwidth: 6}
	if c != want {
		t.Errorf("context %+v, want %+v", c, want)
	}
}

func TestReward(t *testing.T) {
	p := model.Price{MOSPerKbps: 0.01, MeteredFactor: 3}
	o := model.Outcome{MOS: model.ScaleMOS.Bucket(4.02), Rate: model.ScaleRate.Bucket(50)}
	kbps := model.ScaleRate.Value(o.Rate)
	for name, test := range map[string]struct {
		metered model.Metered
		outcome model.Outcome
		died    bool
		want    float64
	}{
		"free":            {model.MeteredNo, o, false, 4.025 - 0.01*kbps},
		"unknown is free": {model.MeteredUnknown, o, false, 4.025 - 0.01*kbps},
		"metered":         {model.MeteredYes, o, false, 4.025 - 0.03*kbps},
		"died":            {model.MeteredNo, o, true, model.WorstMOS - 0.01*kbps},
		"died unmeasured": {model.MeteredNo, model.Outcome{}, true, model.WorstMOS},
		"unmeasured":      {model.MeteredNo, model.Outcome{Rate: o.Rate}, false, math.NaN()},
	} {
		got := p.Reward(test.metered, test.outcome, test.died)
		if math.Abs(got-test.want) > 1e-9 || math.IsNaN(got) != math.IsNaN(test.want) {
			t.Errorf("%s: reward %v, want %v", name, got, test.want)
		}
		if low, high := p.Bounds(); got < low || got > high {
			t.Errorf("%s: reward %v is outside %v..%v", name, got, low, high)
		}
	}
	for _, bad := range []model.Price{{}, {MOSPerKbps: -1, MeteredFactor: 1}, {MOSPerKbps: math.NaN(), MeteredFactor: 1}, {MeteredFactor: 0.5}} {
		if bad.Validate() == nil {
			t.Errorf("price %+v is valid", bad)
		}
	}
	if err := model.DefaultPrice().Validate(); err != nil {
		t.Error(err)
	}
}

// BenchmarkQuantize measures what a segment costs: its outcome, and what the next decision may know of it.
func BenchmarkQuantize(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	measured := make([]model.Measurement, 1024)
	for i := range measured {
		measured[i] = model.Measurement{
			MOS: 1 + 4*rng.Float64(), LossBefore: rng.Float64() / 5, LossAfter: rng.Float64() / 10, Concealed: rng.Float64() / 10,
			RoundTripTime: time.Duration(rng.Int64N(int64(time.Second))), Jitter: time.Duration(rng.Int64N(int64(50 * time.Millisecond))),
			JitterBufferDelay: time.Duration(rng.Int64N(int64(time.Second))), BurstRatio: 1 + 3*rng.Float64(),
			SentKbps: 100 * rng.Float64(), AvailableKbps: 500 * rng.Float64(),
		}
	}
	var context model.Context
	var outcome model.Outcome
	i := 0
	for b.Loop() {
		m := &measured[i%len(measured)]
		outcome = m.Outcome()
		m.Describe(&context)
		i++
	}
	_ = outcome
}
