package sim_test

import (
	"testing"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
)

// TestWindows: they cover the call, and their totals are those of the result.
func TestWindows(t *testing.T) {
	for _, name := range network.Builtin() {
		p := plan(t, name, 3)
		p.Duration = 22 * time.Second
		var windows, packets [2]int
		var played, received [2]uint64
		var length, held [2]time.Duration
		p.Windows = func(side int, w *sim.Window) bool {
			windows[side]++
			packets[side] += w.Packets
			played[side] += w.Playout.TotalSamples
			received[side] += uint64(w.Playout.Received)
			length[side] += w.Length
			for _, h := range w.Actions {
				held[side] += h.For
			}
			least := (p.Profile.Up.Propagation.Millis + p.Profile.Down.Propagation.Millis) * float64(time.Millisecond)
			if w.Playout.Received > 0 && (float64(w.Transit) < least || w.Transit > 20*time.Second || w.Jitter < 0) {
				t.Errorf("%s: packets take %v, at least %v; jitter %v", name, w.Transit, time.Duration(least), w.Jitter)
			}
			return true
		}
		r := mustCall(t, p)
		if r.Setup > 0 && windows == [2]int{} {
			continue // not set up
		}
		for side, leg := range []*sim.Leg{&r.Callee, &r.Caller} { // the one who heard it
			if windows[side] != 6 || length[side] != p.Duration || held[side] != p.Duration {
				t.Errorf("%s, side %d: %d windows of %v with actions for %v", name, side, windows[side], length[side], held[side])
			}
			if played[side] != leg.Heard.TotalSamples || received[side] != uint64(leg.Heard.Received) || packets[side] < int(leg.Heard.Received) {
				t.Errorf("%s, side %d: %d samples, %d of %d packets; the result says %+v", name, side, played[side], received[side], packets[side], leg.Heard)
			}
		}
	}
}
