package sim_test

import (
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/rival"
	"github.com/attune-calls/attune/training/lab/sim"
)

// TestWhichTransportsGetThrough is about networks that stop some of them.
func TestWhichTransportsGetThrough(t *testing.T) {
	only443, symmetric := *profile(t, "wifi"), *profile(t, "wifi")
	for _, d := range []*network.Direction{&only443.Up, &only443.Down} {
		d.Policing = network.Policing{UDP: network.Police{Blocked: true}, TCP: network.Police{Blocked: true, Except443: true}}
	}
	symmetric.NAT.Symmetric = true
	for _, test := range []struct {
		name      string
		profile   *network.Profile
		transport model.Transport
		through   bool
	}{
		{"only 443", &only443, model.TransportDirect, false},
		{"only 443", &only443, model.TransportRelayUDP, false},
		{"only 443", &only443, model.TransportRelayTCP, false},
		{"only 443", &only443, model.TransportRelayTLS, true},
		{"symmetric NAT", &symmetric, model.TransportDirect, false},
		{"symmetric NAT", &symmetric, model.TransportRelayUDP, true},
		{"symmetric NAT", &symmetric, model.TransportRelayTCP, true},
	} {
		options := []policy.Option{policy.WithSource(always(t, opus(24, model.BandwidthWide, 20, 0, test.transport)))}
		r := mustCall(t, sim.Plan{
			Profile: test.profile, Seed: 1, Duration: 10 * time.Second, Frames: frames, Caller: options, Callee: options,
		})
		if through := r.Stage == model.StageEnded; through != test.through {
			t.Errorf("%s, %v: stage %v", test.name, test.transport, r.Stage)
		}
	}
}

// TestCallThroughInterruptions makes calls on a network with outages and cross traffic: the same plan gives the same call.
func TestCallThroughInterruptions(t *testing.T) {
	troubled := *profile(t, "4g")
	troubled.Events.Outages = network.Interruption{EveryMillis: 5000, MeanMillis: 800}
	troubled.Down.CrossTraffic = network.CrossTraffic{Kbps: 20_000, OnMillis: 500, OffMillis: 2000}
	p := plan(t, "4g", 3)
	calm := mustCall(t, p)
	p.Profile = &troubled
	first, again := mustCall(t, p), mustCall(t, p)
	if a, b := meanMOS(&first.Caller), meanMOS(&again.Caller); a != b {
		t.Errorf("the same plan gives %v and %v", a, b)
	}
	if a, b := meanMOS(&first.Caller), meanMOS(&calm.Caller); a > b-0.2 {
		t.Errorf("MOS %.2f with and %.2f without outages", a, b)
	}
}

// TestRulesThatKnowOtherWays is about clients that gather all kinds of candidates, and ping a relay.
func TestRulesThatKnowOtherWays(t *testing.T) {
	only443, symmetric := *profile(t, "wifi"), *profile(t, "wifi")
	for _, d := range []*network.Direction{&only443.Up, &only443.Down} {
		d.Policing = network.Policing{UDP: network.Police{Blocked: true}, TCP: network.Police{Blocked: true, Except443: true}}
	}
	symmetric.NAT.Symmetric = true
	call := func(r rival.Rival, p *network.Profile, relay model.Site) sim.Result {
		return mustCall(t, sim.Plan{
			Profile: p, Seed: 1, Duration: 30 * time.Second, Frames: frames, Caller: r.Options(relay), Callee: r.Options(relay),
		})
	}
	for _, r := range []rival.Rival{rival.Telegram(), rival.Adaptor(), rival.Tgcalls()} {
		for _, test := range []struct {
			name    string
			profile *network.Profile
			want    model.Transport
		}{{"only 443", &only443, model.TransportRelayTLS}, {"symmetric NAT", &symmetric, model.TransportRelayUDP}} {
			result := call(r, test.profile, 1)
			if result.Stage != model.StageEnded {
				t.Errorf("%s, %s: stage %v", r.Name, test.name, result.Stage)
				continue
			}
			for side, leg := range []sim.Leg{result.Caller, result.Callee} {
				if got := leg.Segments[1].Action.Transport; got != test.want {
					t.Errorf("%s, %s, side %d: by %v, want %v", r.Name, test.name, side, got, test.want)
				}
			}
			if result := call(r, test.profile, 0); result.Stage != model.StageICE {
				t.Errorf("%s, %s, without a relay: stage %v", r.Name, test.name, result.Stage)
			}
		}
	}
	// A ping by the relay crosses one access network, the direct path two: Telegram's law prefers the relay where that is
	// all the difference.
	result := call(rival.Telegram(), profile(t, "4g"), 1)
	last := result.Caller.Segments[len(result.Caller.Segments)-1].Action
	if last.Transport != model.TransportRelayUDP || result.Moves != 1 {
		t.Errorf("telegram ends on %v after %d moves, want the relay after one", last, result.Moves)
	}
}
