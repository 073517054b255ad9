package rival_test

import (
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
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
	for loss, depth := range map[float64]uint8{0.01: 0, 0.03: 1, 0.06: 2, 0.2: 3} {
		a := last(run(t, "telegram", 3, model.NetworkWiFi, 0, measured(loss, 50*ms)))
		if a.REDDepth != depth || depth > 0 && a.BitrateKbps != 8 {
			t.Errorf("at %v loss: %v, want %d repeated frames at 8 kbps", loss, a, depth)
		}
	}
	if a := run(t, "telegram", 30, model.Network2G, 0, measured(0, 50*ms)); a[0].BitrateKbps != 8 || last(a).BitrateKbps != 16 {
		t.Errorf("on 2G: from %v to %v, want 8 to 16 kbps", a[0], last(a))
	}
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

func TestAdaptorHasHysteresis(t *testing.T) {
	r := rival.Adaptor()
	rule := r.New(0)
	c := model.Context{}
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
	narrow := step(30, measured(0, 400*ms)) // a queue stands
	if narrow.FrameMillis != 60 || !narrow.DTX || narrow.BitrateKbps != 6 {
		t.Errorf("on a congested path %v", narrow)
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
