package sim_test

import (
	"math"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// lossy is Wi-Fi whose sending direction loses a tenth of the packets, most of them alone, some in runs.
func lossy(t testing.TB) *network.Profile {
	t.Helper()
	p := *profile(t, "wifi")
	p.Up.Loss = network.Loss{P: 0.08, R: 0.72, Bad: 1, Source: "test"}
	return &p
}

func redundant(depth uint8, a model.Action) model.Action {
	a.Codec, a.REDDepth = model.CodecOpusRED, depth
	return a
}

// TestClocksAgreeOnRED: redundancy repairs as much in real calls as in simulated ones.
func TestClocksAgreeOnRED(t *testing.T) {
	t.Parallel()
	const duration = 40 * time.Second
	p := lossy(t)
	plain := opus(24, model.BandwidthSuperWide, 20, 0, model.TransportDirect)
	fec := opus(24, model.BandwidthFull, 20, 20, model.TransportDirect)
	long := opus(16, model.BandwidthWide, 60, 0, model.TransportDirect)
	dtx := plain
	dtx.DTX = true
	for _, test := range []struct {
		a          model.Action
		less, more float64 // what the loss after repair lies between
	}{
		{plain, 0.09, 0.13},
		{redundant(1, plain), 0, 0.05},
		{redundant(2, plain), 0, 0.03},
		{redundant(1, fec), 0, 0.05},
		{redundant(1, dtx), 0, 0.05},
		{redundant(1, long), 0, 0.04},
	} {
		inReal, inVirtual := real(t, p, test.a, 2, duration), virtual(t, p, test.a, 40, duration)
		t.Logf("%-47v real %+.3v, simulated %+.3v", test.a, inReal, inVirtual)
		if !(math.Abs(inReal.mos-inVirtual.mos) <= 0.15) || !(math.Abs(inReal.after-inVirtual.after) <= 0.01) {
			t.Errorf("%v: the clocks disagree: real %+v, simulated %+v", test.a, inReal, inVirtual)
		}
		if after := inVirtual.after; after < test.less || after > test.more || inVirtual.loss < 0.09 {
			t.Errorf("%v: loss %v before repair, %v after, want %v..%v", test.a, inVirtual.loss, after, test.less, test.more)
		}
	}
}
