package codec_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attune-calls/attune/codec"
)

const ms = time.Millisecond

func TestCheckPoints(t *testing.T) {
	rating := func(s codec.Scale, ie, bpl, loss float64, delay time.Duration) float64 {
		return s.MOS(s.Rating(s.EffectiveImpairment(ie, bpl, loss, 1), s.DelayImpairment(delay)))
	}
	for _, test := range []struct {
		name      string
		got, want float64
		tolerance float64
	}{
		// R at the default values, before any impairment: clause 7.7 of G.107, G.107.1 and G.107.2.
		{"narrowband default R", codec.Narrowband.Rating(0, 0), 93.2, 0},
		{"wideband default R", codec.Wideband.Rating(0, 0), 129, 0},
		{"fullband default R", codec.Full.Rating(0, 0), 148, 0},
		// MOS of R: ITU-T G.107, annex B (R = 93.2 is 4.41; table B.1: 90, 80, 70, 60 and 50).
		{"narrowband ideal", codec.Narrowband.MOS(93.2), 4.41, 0.005},
		{"R 90", codec.Narrowband.MOS(90), 4.34, 0.005},
		{"R 80", codec.Narrowband.MOS(80), 4.03, 0.007},
		{"R 70", codec.Narrowband.MOS(70), 3.60, 0.005},
		{"R 60", codec.Narrowband.MOS(60), 3.10, 0.005},
		{"R 50", codec.Narrowband.MOS(50), 2.58, 0.006},
		// The ends of the scale: 1 at R = 0 and 4.5 from 100 on (G.107, eq. B-4), of R/1.29 (G.107.1, annex A) and R/1.48
		// (G.107.2, annex A).
		{"R 0", codec.Narrowband.MOS(0), 1, 0},
		{"R 100", codec.Narrowband.MOS(100), 4.5, 0},
		{"wideband R 129", codec.Wideband.MOS(129), 4.5, 0},
		{"wideband R 90 x 1.29", codec.Wideband.MOS(90 * 1.29), 4.34, 0.005},
		{"fullband R 148", codec.Full.MOS(148), 4.5, 0},
		{"fullband R 90 x 1.48", codec.Full.MOS(90 * 1.48), 4.34, 0.005},
		// ITU-T G.113 (09/2024), table IV.1: Ie,wb of AMR-WB, in R of G.107.1, clause 7.1, and MOS of its annex A.
		{"wideband ie 8", rating(codec.Wideband, 8, 1, 0, 0), 4.42, 0.005},
		{"wideband ie 13", rating(codec.Wideband, 13, 1, 0, 0), 4.337096, 5e-7},
		{"wideband ie 26", rating(codec.Wideband, 26, 1, 0, 0), 4.02, 0.005},
		{"wideband ie 41", rating(codec.Wideband, 41, 1, 0, 0), 3.51, 0.005},
		// G.107.2, clauses 7.1, 7.4, 7.5 and annex A, with the values a media server uses for any fullband codec.
		{"fullband 0 ms 0 %", rating(codec.Full, 10.2, 4.3, 0, 0), 4.41, 0.005},
		{"fullband 140 ms 3 %", rating(codec.Full, 10.2, 4.3, 3, 140*ms), 3.06, 0.005},
		// The improved simplified E-model of 2013.
		{"simplified 0 ms 0 %", codec.SimplifiedG711(0, 0), 4.34, 0.005},
		{"simplified 140 ms 3 %", codec.SimplifiedG711(3, 140*ms), 3.65, 0.005},
		// The whole of G.107 (clauses 7.1, 7.4 and 7.5) for G.711, which no PLC helps: far below the simplified one.
		{"narrowband 140 ms 3 %", rating(codec.Narrowband, 0, 4.3, 3, 140*ms), 2.79, 0.005},
		// Ie,eff of clause 7.5 (G.107, eq. 7-29) by hand: 13 + 82 * 4 / (4/2 + 18).
		{"ie,eff", codec.Wideband.EffectiveImpairment(13, 18, 4, 2), 29.4, 1e-9},
		// Idd of clause 7.4 (G.107, eq. 7-27 and 7-28; G.107.2 takes it by 1.48) by hand at 200 ms: 25 * (2^(1/6) - 3 (1+3^-6)^(1/6) + 2).
		{"idd 200 ms", codec.Narrowband.DelayImpairment(200 * ms), 3.0443, 1e-3},
		{"idd 200 ms, fullband", codec.Full.DelayImpairment(200 * ms), 1.48 * 3.0443, 1e-3},
		{"idd 100 ms", codec.Full.DelayImpairment(100 * ms), 0, 0},
	} {
		if math.IsNaN(test.got) || math.Abs(test.got-test.want) > test.tolerance {
			t.Errorf("%s: got %.6f, want %.6f", test.name, test.got, test.want)
		}
	}
}

func TestScalesAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom([]codec.Scale{codec.Narrowband, codec.Wideband, codec.Full}).Draw(t, "scale")
		ie := rapid.Float64Range(0, 90).Draw(t, "ie")
		bpl := rapid.Float64Range(1, 40).Draw(t, "bpl")
		loss, more := ordered(t, "loss", 0, 100)
		burst, burstier := ordered(t, "burst", 0, 100)
		fast, slow := ordered(t, "delay ms", 0, 3000)
		r, higher := ordered(t, "rating", -50, 160)
		impairment := s.EffectiveImpairment(ie, bpl, loss, burst)
		if impairment < ie || impairment > s.Worst {
			t.Fatalf("effective impairment %v outside %v..%v", impairment, ie, s.Worst)
		}
		if s.EffectiveImpairment(ie, bpl, more, burst) < impairment-1e-9 {
			t.Fatal("more loss, less impairment")
		}
		if s.EffectiveImpairment(ie, bpl, loss, burstier) < impairment-1e-9 {
			t.Fatal("longer bursts, less impairment")
		}
		if s.DelayImpairment(millis(slow)) < s.DelayImpairment(millis(fast))-1e-9 {
			t.Fatal("more delay, less impairment")
		}
		if mos := s.MOS(r); mos < 1 || mos > 4.5 || s.MOS(higher) < mos-1e-9 {
			t.Fatalf("mos %v of rating %v, %v of %v", mos, r, s.MOS(higher), higher)
		}
	})
}

func ordered(t *rapid.T, name string, low, high float64) (a, b float64) {
	a, b = rapid.Float64Range(low, high).Draw(t, name), rapid.Float64Range(low, high).Draw(t, name)
	return min(a, b), max(a, b)
}

func millis(v float64) time.Duration { return time.Duration(v * float64(ms)) }

func ExampleScale() {
	// G.729A with VAD on the narrowband scale: Ie 11, Bpl 19 (ITU-T G.113, table I.4), 2 % loss, 180 ms.
	s := codec.Narrowband
	r := s.Rating(s.EffectiveImpairment(11, 19, 2, 1), s.DelayImpairment(180*time.Millisecond))
	fmt.Printf("R %.1f, MOS %.2f\n", r, s.MOS(r))
	// Output: R 72.9, MOS 3.73
}
