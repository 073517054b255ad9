package sim_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
)

// twoSites is a network with a near site that loses packets and a far one that does not.
func twoSites(t testing.TB) *network.Profile {
	t.Helper()
	p := *profile(t, "ethernet")
	lossy := network.Direction{
		Propagation: network.Propagation{Millis: 5, Source: "test"},
		Loss:        network.Loss{P: 0.02, R: 0.38, Bad: 1, Source: "test"}, // 5 %
	}
	far := network.Direction{Propagation: network.Propagation{Millis: 75, Source: "test"}}
	p.Paths.Sites = []network.Site{{Name: "near", Up: lossy, Down: lossy}, {Name: "far", Up: far, Down: far}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return &p
}

func at(site model.Site, a model.Action) model.Action {
	a.Site = site
	return a
}

// overCalls is what both clocks say of an action: the mean MOS, loss before and after repair and round trip time.
type overCalls struct{ mos, loss, after, roundTrip float64 }

func measured(events []policy.Event) overCalls {
	var o overCalls
	var n [4]float64
	for _, e := range events {
		m := &e.Measurement
		if e.Kind != policy.EventSegment {
			continue
		}
		for i, v := range []struct {
			into *float64
			v    float64
		}{{&o.mos, m.MOS}, {&o.loss, m.LossBefore}, {&o.after, m.LossAfter}, {&o.roundTrip, m.RoundTripTime.Seconds()}} {
			if !math.IsNaN(v.v) && v.v >= 0 {
				*v.into += v.v
				n[i]++
			}
		}
	}
	return overCalls{o.mos / n[0], o.loss / n[1], o.after / n[2], o.roundTrip / n[3]}
}

func real(t *testing.T, p *network.Profile, a model.Action, calls uint64, duration time.Duration) overCalls {
	var events []policy.Event
	speech := voice(12)
	for seed := range calls {
		synctest.Test(t, func(t *testing.T) {
			var legs [2][]policy.Event
			party := func(i int) lab.Party {
				return lab.Party{Policy: always(t, a), Events: func(e policy.Event) { legs[i] = append(legs[i], e) }}
			}
			r := lab.Call(t.Context(), lab.Plan{
				Profile: p, Seed: seed, Duration: duration, Speech: speech,
				Parties: func(context.Context) (lab.Party, lab.Party, func(), error) { return party(0), party(1), nil, nil },
			})
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			events = append(append(events, legs[0]...), legs[1]...)
		})
	}
	return measured(events)
}

func virtual(t *testing.T, p *network.Profile, a model.Action, calls uint64, duration time.Duration) overCalls {
	var events []policy.Event
	options := []policy.Option{
		policy.WithSource(always(t, a)), policy.WithQuality(codec.Measured{}), policy.WithEvents(func(e policy.Event) { events = append(events, e) }),
	}
	for seed := range calls {
		mustCall(t, sim.Plan{Profile: p, Seed: seed, Duration: duration, Frames: frames, Caller: options, Callee: options})
	}
	return measured(events)
}

// TestClocksAgreeOnSites: a far relay adds its delay and a lossy one loses, in real calls as in simulated ones.
func TestClocksAgreeOnSites(t *testing.T) {
	t.Parallel()
	const duration = 30 * time.Second
	p := twoSites(t)
	p.Paths.Direct = &network.Direction{Propagation: network.Propagation{Millis: 60, Source: "test"}}
	plain := opus(32, model.BandwidthFull, 20, 0, model.TransportRelayUDP)
	direct := opus(32, model.BandwidthFull, 20, 0, model.TransportDirect)
	stream := opus(32, model.BandwidthFull, 20, 0, model.TransportRelayTCP)
	for _, test := range []struct {
		name      string
		a         model.Action
		roundTrip float64 // at least, in seconds; and 0.1 more at most
		loss      float64
	}{
		{"near, UDP", at(1, plain), 0.02, 0.0975},
		{"far, UDP", at(2, plain), 0.3, 0},
		{"near, TCP", at(1, stream), 0.02, 0},
		{"far, TCP", at(2, stream), 0.3, 0},
		{"direct", direct, 0.12, 0},
	} {
		inReal, inVirtual := real(t, p, test.a, 2, duration), virtual(t, p, test.a, 20, duration)
		t.Logf("%-10s real %+.3v, simulated %+.3v", test.name, inReal, inVirtual)
		if !(math.Abs(inReal.mos-inVirtual.mos) <= 0.15) || !(math.Abs(inReal.loss-inVirtual.loss) <= 0.01) ||
			!(math.Abs(inReal.roundTrip-inVirtual.roundTrip) <= 0.02) {
			t.Errorf("%s: the clocks disagree: real %+v, simulated %+v", test.name, inReal, inVirtual)
		}
		if v := inVirtual; !(v.roundTrip >= test.roundTrip && v.roundTrip <= test.roundTrip+0.1 && math.Abs(v.loss-test.loss) <= 0.01) {
			t.Errorf("%s: %+v, want a round trip of %v s and loss of %v", test.name, v, test.roundTrip, test.loss)
		}
	}
}

// TestMoveBetweenSites: a policy that names a far site at first and a near one later moves the running call, and a site
// that is none is the first one at the start and no place to move to.
func TestMoveBetweenSites(t *testing.T) {
	p := twoSites(t)
	plain := opus(32, model.BandwidthFull, 20, 0, model.TransportRelayUDP)
	for _, test := range []struct {
		name        string
		first, then model.Site
		end         model.Site
	}{
		{"near to far", 1, 2, 2}, {"far to near", 2, 1, 1}, {"to none", 2, 7, 2}, {"from none", 7, 7, 1},
	} {
		rule := &twoPhases{first: at(test.first, plain), then: at(test.then, plain), at: 4}
		r := mustCall(t, sim.Plan{
			Profile: p, Seed: 1, Duration: 40 * time.Second, Frames: frames, Caller: []policy.Option{
				policy.WithRule(rule), policy.WithInterval(4 * time.Second), policy.WithQuality(codec.Measured{}),
			},
		})
		for _, leg := range []*sim.Leg{&r.Caller, &r.Callee} {
			if last := leg.Segments[len(leg.Segments)-1].Action; last.Site != test.end {
				t.Errorf("%s: the call ends at site %d, want %d", test.name, last.Site, test.end)
			}
		}
		if moved := test.first != test.end && test.first != 7; r.Stage != model.StageEnded || (r.Moves > 0) != moved {
			t.Errorf("%s: stage %v, %d moves", test.name, r.Stage, r.Moves)
		}
	}
}

// twoPhases decides for one action, and from a decision on for another.
type twoPhases struct {
	first, then model.Action
	at, made    int
}

func (p *twoPhases) Decide(*model.Context, *model.Measurement) model.Action {
	if p.made++; p.made > p.at {
		return p.then
	}
	return p.first
}
