package client_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// repeating is a's frames, each repeated in so many packets.
func repeating(depth uint8, a model.Action) model.Action {
	a.Codec, a.REDDepth = model.CodecOpusRED, depth
	return a
}

// several is a static policy of the first action that knows the others too, and explores a fifth of the time.
func several(t testing.TB, actions ...model.Action) *policy.Policy {
	t.Helper()
	d := policy.Document{
		Format: policy.Format, FeatureSpec: model.FeatureSpec, Version: 3,
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		Catalogue: actions, Sites: []policy.Site{{ID: site, Name: "lab", URLs: []string{"turn:" + relayIP}}},
		Price: model.DefaultPrice(), IntervalSeconds: 2, Envelope: policy.SafeEnvelope(),
		Arms: []policy.Arm{{
			Name: "a", Weight: policy.WeightScale, Default: map[model.NetworkType]int{model.NetworkUnknown: 0},
			Exploration: policy.Exploration{Share: map[model.NetworkType]float64{model.NetworkUnknown: 0.2}},
		}},
	}
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRED: both sides offer redundancy, so decisions may choose it and packets have it.
func TestRED(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		red := repeating(2, speak(model.TransportDirect))
		l := newLab(t, "ethernet", holding(static(t, 3, red)))
		d := new(direct)
		caller, callee := l.dial(d)
		if sdp := d.offers[0].SDP; !strings.Contains(sdp, "a=rtpmap:63 red/48000/2") || !strings.Contains(sdp, "a=fmtp:63 111/111") {
			t.Errorf("the offer has no redundant audio:\n%s", sdp)
		}
		if a, b := run(t.Context(), caller, callee, 8*time.Second, 8*time.Second); a != nil || b != nil {
			t.Fatal(a, b)
		}
		for _, s := range []*side{&l.caller, &l.callee} {
			if len(s.segments) < 3 || len(s.faults) > 0 {
				t.Fatalf("%d segments, faults %v", len(s.segments), s.faults)
			}
			// Three times 24 kbit/s and headers while there is speech; without redundancy there would be 44.
			if rates := wireRates(s.segments); slices.Max(rates) < 70 || slices.Max(rates) > 110 {
				t.Errorf("%v kbit/s", rates)
			}
			for _, segment := range s.segments {
				if segment.Action != red {
					t.Errorf("%v", segment.Action)
				}
			}
		}
	})
}

// wireRates is what segments sent, in kbit/s.
func wireRates(segments []model.Segment) (rates []float64) {
	for _, s := range segments {
		rates = append(rates, model.ScaleRate.Value(s.Outcome.Rate))
	}
	return rates
}

// TestPeerWithoutRED: whichever side does not take redundancy, none is sent, chosen or explored, and the propensities are
// those of the actions that there are.
func TestPeerWithoutRED(t *testing.T) {
	plain := speak(model.TransportDirect)
	slow := plain
	slow.BitrateKbps = 16
	red := repeating(1, plain)
	for _, old := range []string{"caller", "callee"} {
		for seed := range uint64(3) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, "ethernet", holding(several(t, red, plain, slow)))
				l.caller.config.ExplorationSeed, l.callee.config.ExplorationSeed = seed+1, seed+100
				forbidding := &l.caller
				if old == "callee" {
					forbidding = &l.callee
				}
				forbidding.config.Limits.ForbiddenCodecs = []model.Codec{model.CodecOpusRED}
				d := new(direct)
				caller, callee := l.dial(d)
				if offered := strings.Contains(d.offers[0].SDP, "red/48000"); offered != (old == "callee") {
					t.Errorf("old %s: redundancy offered: %v", old, offered)
				}
				if a, b := run(t.Context(), caller, callee, 5*time.Second, 5*time.Second); a != nil || b != nil {
					t.Fatal(a, b)
				}
				for _, s := range []*side{&l.caller, &l.callee} {
					if len(s.segments) < 2 {
						t.Fatalf("%d segments", len(s.segments))
					}
					for _, segment := range s.segments {
						// The default is out of reach; the one closest to it takes its place. Two are explored.
						want := map[model.Action]uint32{plain: 900_000, slow: 100_000}[segment.Action]
						if segment.Propensity != want {
							t.Errorf("old %s: %v with propensity %d, want %d", old, segment.Action, segment.Propensity, want)
						}
					}
				}
			})
		}
	}
}

// TestREDIsTurnedOnAndOff in mid-call, on a path without loss: nobody hears it.
func TestREDIsTurnedOnAndOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := speak(model.TransportDirect)
		source := holding(static(t, 3, plain))
		l := newLab(t, "ethernet", source)
		caller, callee := l.dial(new(direct))
		on, off := static(t, 4, repeating(1, plain)), static(t, 5, plain)
		time.AfterFunc(5*time.Second, func() { source.Store(on) })
		time.AfterFunc(10*time.Second, func() { source.Store(off) })
		var before model.Playout
		time.AfterFunc(4*time.Second, func() { before = callee.Playout() })
		if a, b := run(t.Context(), caller, callee, 16*time.Second, 16*time.Second); a != nil || b != nil {
			t.Fatal(a, b)
		}
		after := callee.Playout()
		if lost := after.Expected - after.Received; lost > 0 || after.LateDiscarded > before.LateDiscarded || after.ConcealedSamples > before.ConcealedSamples {
			t.Errorf("%+v, after 4 s %+v", after, before)
		}
		under := make(map[uint32][]model.Segment)
		for _, s := range l.caller.segments {
			under[s.Policy] = append(under[s.Policy], s)
		}
		for version, redundant := range map[uint32]bool{3: false, 4: true, 5: false} {
			if rates := wireRates(under[version]); len(rates) == 0 || slices.Max(rates) > 55 != redundant {
				t.Errorf("rates %v under policy %d", rates, version)
			}
		}
	})
}

// TestREDSurvivesAMove: the payload types stay agreed on across an ICE restart.
func TestREDSurvivesAMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := holding(static(t, 3, repeating(1, speak(model.TransportDirect))))
		l := newLab(t, "ethernet", source)
		caller, callee := l.dial(new(direct))
		relayed := static(t, 4, repeating(1, speak(model.TransportRelayTCP)))
		time.AfterFunc(4*time.Second, func() { source.Store(relayed) })
		if a, b := run(t.Context(), caller, callee, 14*time.Second, 14*time.Second); a != nil || b != nil {
			t.Fatal(a, b)
		}
		for _, s := range []*side{&l.caller, &l.callee} {
			last := s.segments[len(s.segments)-4:]
			if rates := wireRates(last); last[0].Action != repeating(1, speak(model.TransportRelayTCP)) || slices.Max(rates) < 70 {
				t.Errorf("%v at %v kbit/s", last[0].Action, rates)
			}
		}
	})
}
