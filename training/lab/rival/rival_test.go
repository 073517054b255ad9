package rival_test

import (
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/rival"
)

// measured is a second in which so much was lost, with that round trip.
func measured(loss float64, roundTrip time.Duration) *model.Measurement {
	m := model.Unmeasured()
	m.LossBefore, m.RoundTripTime, m.SentKbps = loss, roundTrip, 40
	return &m
}

func nothing() *model.Measurement {
	m := model.Unmeasured()
	return &m
}

// run lets a rule decide once with nothing measured and then n times.
func run(t *testing.T, name string, n int, network model.NetworkType, relay model.Site, m *model.Measurement) []model.Action {
	t.Helper()
	r, err := rival.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	rule := r.New(relay)
	c := model.Context{Network: network}
	var actions []model.Action
	for i := range n + 1 {
		given := m
		if i == 0 {
			given = nothing()
		}
		a := rule.Decide(&c, given)
		if err := a.Validate(); err != nil {
			t.Fatalf("%s, decision %d: %v", name, i, err)
		}
		c.Previous = a
		actions = append(actions, a)
	}
	return actions
}

func last(actions []model.Action) model.Action { return actions[len(actions)-1] }

const ms = time.Millisecond

func TestTelegramFollowsTheBytesInFlight(t *testing.T) {
	up := run(t, "telegram", 30, model.NetworkWiFi, 0, measured(0, 50*ms))
	if up[0].BitrateKbps != 16 || up[1].BitrateKbps != 17 || last(up).BitrateKbps != 20 || last(up).FrameMillis != 60 {
		t.Errorf("on a short path: %v, %v .. %v, want 16, 17 .. 20 kbps", up[0], up[1], last(up))
	}
	// 8 kbps for 2 s are 2000 bytes, twice the window.
	if down := last(run(t, "telegram", 30, model.NetworkWiFi, 0, measured(0, 2000*ms))); down.BitrateKbps != 8 {
		t.Errorf("on a long path: %v, want 8 kbps", down)
	}
	for loss, depth := range map[float64]uint8{0.01: 0, 0.03: 2, 0.06: 3, 0.2: 4} {
		a := last(run(t, "telegram", 3, model.NetworkWiFi, 0, measured(loss, 50*ms)))
		if a.REDDepth != depth || depth > 0 && a.BitrateKbps != 8 {
			t.Errorf("at %v loss: %v, want %d repeated frames at 8 kbps", loss, a, depth)
		}
	}
	if a := run(t, "telegram", 30, model.Network2G, 0, measured(0, 50*ms)); a[0].BitrateKbps != 8 || last(a).BitrateKbps != 16 {
		t.Errorf("on 2G: from %v to %v, want 8 to 16 kbps", a[0], last(a))
	}
}

// bottleneck is a path of a capacity with a queue, in steps of a second: what a sender that does not react is told.
type bottleneck struct {
	kbps    float64
	base    time.Duration
	queued  float64 // kbit
	deepest float64 // kbit
}

func (b *bottleneck) carry(a model.Action) *model.Measurement {
	sent := a.WireKbps()
	b.queued += sent - b.kbps
	lost := max(0, b.queued-b.deepest)
	b.queued = min(max(b.queued, 0), b.deepest)
	m := model.Unmeasured()
	m.SentKbps, m.LossBefore = sent, lost/sent
	m.RoundTripTime = b.base + time.Duration(b.queued/b.kbps*float64(time.Second))
	return &m
}

// over lets a rule decide for n seconds on a path, and gives the last action, the mean rate on the wire and the mean queue
// of the second half.
func over(rule policy.Rule, c *model.Context, b *bottleneck, n int) (last model.Action, kbps float64, queue time.Duration) {
	m := nothing()
	for i := range n {
		last = rule.Decide(c, m)
		c.Previous = last
		m = b.carry(last)
		if i >= n/2 {
			kbps += m.SentKbps / float64(n-n/2)
			queue += (m.RoundTripTime - b.base) / time.Duration(n-n/2)
		}
	}
	return last, kbps, queue
}

func TestTgcallsStaysInItsRange(t *testing.T) {
	up := run(t, "tgcalls", 60, model.NetworkWiFi, 0, measured(0, 50*ms))
	if up[0].BitrateKbps != 8 || up[0].FrameMillis != 120 || last(up).BitrateKbps != 32 {
		t.Errorf("from %v to %v, want 8 to 32 kbps at 120 ms", up[0], last(up))
	}
	down := last(run(t, "tgcalls", 60, model.NetworkWiFi, 0, measured(0.3, 50*ms)))
	if down.BitrateKbps != 6 || down.ExpectedLoss != 30 {
		t.Errorf("at 30 %% loss %v, want 6 kbps, expecting 30 %%", down)
	}
}

func TestEstimatesFollowThePath(t *testing.T) {
	for name, highest := range map[string]uint8{"ana": 32, "tgcalls": 32} {
		r, err := rival.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		rule, c := r.New(0), model.Context{}
		wide := &bottleneck{kbps: 1000, base: 40 * ms, deepest: 100}
		if a, _, _ := over(rule, &c, wide, 60); a.BitrateKbps != highest {
			t.Errorf("%s on a wide path: %v, want %d kbps", name, a, highest)
		}
		// A handover makes the path longer. That is no queue.
		wide.base = 140 * ms
		if a, _, _ := over(rule, &c, wide, 60); a.BitrateKbps != highest {
			t.Errorf("%s on a longer path: %v, want %d kbps", name, a, highest)
		}
		narrow := &bottleneck{kbps: 25, base: 40 * ms, deepest: 100}
		_, kbps, queue := over(rule, &c, narrow, 240)
		if kbps < 0.7*narrow.kbps || kbps > 1.02*narrow.kbps || queue > 300*ms {
			t.Errorf("%s on 25 kbps: sends %.1f, %v queued on average", name, kbps, queue)
		}
		if a, _, _ := over(rule, &c, wide, 60); a.BitrateKbps != highest {
			t.Errorf("%s back on a wide path: %v, want %d kbps", name, a, highest)
		}
	}
}

func TestAdaptorHasHysteresis(t *testing.T) {
	rule, c := rival.Adaptor().New(0), model.Context{}
	step := func(n int, m *model.Measurement) (a model.Action) {
		for range n {
			a = rule.Decide(&c, m)
			c.Previous = a
		}
		return a
	}
	wide := step(40, measured(0, 50*ms))
	if wide.FrameMillis != 20 || wide.BitrateKbps != 32 || wide.FEC() || wide.DTX {
		t.Errorf("on a wide path %v", wide)
	}
	if a := step(3, measured(0.06, 50*ms)); !a.FEC() {
		t.Errorf("at 6 %% loss %v, want FEC", a)
	}
	if a := step(3, measured(0.03, 50*ms)); !a.FEC() {
		t.Errorf("back at 3 %% loss %v, want FEC still", a)
	}
	if a := step(3, measured(0, 50*ms)); a.FEC() {
		t.Errorf("without loss %v", a)
	}
	path := &bottleneck{kbps: 12, base: 50 * ms, deepest: 60}
	if a, _, _ := over(rule, &c, path, 120); a.FrameMillis != 120 || !a.DTX || a.BitrateKbps > 10 {
		t.Errorf("on 12 kbps %v, want 120 ms and DTX", a)
	}
	path.kbps = 1000
	if a, _, _ := over(rule, &c, path, 60); a.FrameMillis != 20 || a.DTX || a.BitrateKbps != 32 {
		t.Errorf("back on a wide path %v", a)
	}
}

func TestTelegramChangesToAFasterRelay(t *testing.T) {
	for _, test := range []struct {
		name            string
		direct          time.Duration
		udp, tcp        time.Duration
		want, afterward model.Transport // and after the relay has become slow over UDP
	}{
		{"a relay as far", 100 * ms, 100 * ms, 100 * ms, model.TransportDirect, model.TransportDirect},
		{"at 0.65", 100 * ms, 65 * ms, 65 * ms, model.TransportDirect, model.TransportDirect},
		{"at 0.55", 100 * ms, 55 * ms, 55 * ms, model.TransportRelayUDP, model.TransportRelayTCP},
		{"UDP is throttled, TCP counts twice", 3000 * ms, 2500 * ms, 100 * ms, model.TransportRelayTCP, model.TransportRelayTCP},
		{"only TCP, too far", 100 * ms, -1, 40 * ms, model.TransportDirect, model.TransportDirect},
	} {
		rule := rival.Telegram().New(1)
		pinger := rule.(policy.Pinger)
		c := model.Context{Network: model.NetworkWiFi}
		ping := func(udp time.Duration) (a model.Action) {
			for range 6 {
				if udp > 0 {
					pinger.Pinged(model.TransportRelayUDP, udp)
				}
				pinger.Pinged(model.TransportRelayTCP, test.tcp)
				a = rule.Decide(&c, measured(0, test.direct))
				c.Previous = a
			}
			return a
		}
		if a := ping(test.udp); a.Transport != test.want {
			t.Errorf("%s: %v, want %v", test.name, a, test.want)
		}
		if test.udp > 0 {
			if a := ping(10 * time.Second); a.Transport != test.afterward {
				t.Errorf("%s, and then slow over UDP: %v, want %v", test.name, a, test.afterward)
			}
		}
	}
	if rule := rival.Telegram().New(0); rule.(policy.Pinger).Relay() != 0 {
		t.Error("pings a relay that is not there")
	}
}

func TestDeadPathsAreLeft(t *testing.T) {
	for _, name := range []string{"telegram", "ana", "tgcalls"} {
		if a := last(run(t, name, 6, model.NetworkWiFi, 1, measured(1, -1))); a.Transport != model.TransportRelayTCP || a.Site != 1 {
			t.Errorf("%s stays on %v", name, a)
		}
		if a := last(run(t, name, 6, model.NetworkWiFi, 0, measured(1, -1))); a.Transport != model.TransportDirect {
			t.Errorf("%s without a relay goes to %v", name, a)
		}
	}
	if a := last(run(t, "default", 6, model.NetworkWiFi, 1, measured(1, -1))); a != model.DefaultAction() {
		t.Errorf("default does %v", a)
	}
}

func TestUnknownRival(t *testing.T) {
	if _, err := rival.Named("skype"); err == nil {
		t.Error("no error")
	}
}
