package network_test

import (
	"testing"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
)

// TestNetworkIsTheSameForAll: the capacity and the spells of loss of a seed do not depend on what is sent, so that
// whoever sends more lives through the same network.
func TestNetworkIsTheSameForAll(t *testing.T) {
	d := network.Direction{
		Capacity: network.Capacity{States: []network.State{{Kbps: 1000, MeanDwellMillis: 300}, {Kbps: 100, MeanDwellMillis: 200}}},
		Jitter:   network.Jitter{Distribution: network.JitterLogNormal, Millis: 5, Spread: 0.5},
		Loss:     network.Loss{P: 0.05, R: 0.2, Bad: 1},
	}
	still := d
	still.Jitter = network.Jitter{}
	const seed, every = 7, 50 * time.Millisecond
	sparse, busy := network.NewLink(still, seed), network.NewLink(d, seed)
	lost, slow := 0, 0
	for at := time.Duration(0); at < 20*time.Second; at += every {
		_, reason := busy.Send(at, 100, network.UDP)
		arrival, want := sparse.Send(at, 100, network.UDP)
		if reason != want {
			t.Fatalf("at %v: %v for one who sends more, %v for one who sends less", at, reason, want)
		}
		if reason == network.DroppedLoss {
			lost++
		} else if arrival-at > 5*time.Millisecond {
			slow++
		}
		for k := range 3 { // more, after which the queue is empty again by the next
			busy.Send(at+time.Duration(9+k)*time.Millisecond, 20, network.UDP)
		}
	}
	if lost == 0 || slow == 0 {
		t.Errorf("%d lost and %d slow packets: the test saw no spell", lost, slow)
	}
}
