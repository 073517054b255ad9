package network_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
)

func TestInterruptionsStopBothDirections(t *testing.T) {
	p := &network.Profile{
		Up:     network.Direction{Capacity: network.Capacity{Kbps: 1000}},
		Events: network.Events{Outages: network.Interruption{EveryMillis: 4000, MeanMillis: 1000}},
	}
	var held, total float64
	for seed := range uint64(20) {
		up, down := p.Links(seed)
		var lastUp, lastDown time.Duration
		for now := time.Duration(0); now < 200*time.Second; now += 10 * time.Millisecond {
			a, _ := up.Send(now, 10, network.UDP)
			b, _ := down.Send(now, 10, network.UDP)
			if a < lastUp || b < lastDown {
				t.Fatalf("seed %d at %v: arrivals go back", seed, now)
			}
			lastUp, lastDown = a, b
			total++
			if b > now+time.Millisecond {
				held++
				if a < b {
					t.Fatalf("seed %d at %v: down waits until %v, up arrives at %v", seed, now, b, a)
				}
			}
		}
	}
	if got := held / total; math.Abs(got-0.2) > 0.03 { // 1 s in 5 s
		t.Errorf("%.3f of the time is interrupted, want 0.2", got)
	}
}

func TestHandoverShiftsTheDelay(t *testing.T) {
	p := &network.Profile{Events: network.Events{Handovers: network.Interruption{EveryMillis: 1000, MeanMillis: 50, ShiftMillis: 40}}}
	up, down := p.Links(1)
	delays := make(map[time.Duration]bool)
	for now := time.Duration(0); now < 60*time.Second; now += 10 * time.Millisecond {
		a, _ := up.Send(now, 100, network.UDP)
		b, _ := down.Send(now, 100, network.UDP)
		if a != b {
			t.Fatalf("at %v: up arrives at %v, down at %v", now, a, b)
		}
		delays[a-now] = true
	}
	if len(delays) < 40 {
		t.Errorf("%d different delays in a minute, want about one for each handover", len(delays))
	}
}

func TestCrossTrafficTakesItsShare(t *testing.T) {
	d := network.Direction{
		Capacity:     network.Capacity{Kbps: 1000},
		Queue:        network.Queue{Bytes: 50_000},
		CrossTraffic: network.CrossTraffic{Kbps: 800, OnMillis: 1000, OffMillis: 1000, PacketBytes: 500},
	}
	// We offer 700 kbit/s: alone that fits, while the others are on half as much again is offered as the capacity.
	lost := func(d network.Direction) float64 {
		link, n := network.NewLink(d, 7), 0
		for i := range 50_000 {
			if _, dropped := link.Send(time.Duration(i)*5714*time.Microsecond, 500, network.UDP); dropped != network.Delivered {
				n++
			}
		}
		return float64(n) / 50_000
	}
	if got := lost(d); got < 0.05 || got > 0.4 {
		t.Errorf("lost %.3f beside the others, want about a sixth", got)
	}
	without := d
	without.CrossTraffic = network.CrossTraffic{}
	if got := lost(without); got != 0 {
		t.Errorf("lost %.3f without the others", got)
	}
	// Without anything of ours the load is the mean of its on and off times.
	alone := network.NewLink(network.Direction{Capacity: network.Capacity{Kbps: 1600}, CrossTraffic: d.CrossTraffic}, 7)
	busy, n := 0.0, 0
	for now := time.Duration(0); now < 400*time.Second; now += time.Millisecond {
		n++
		if alone.QueuedBytes(now) > 0 {
			busy++
		}
	}
	if share := busy / float64(n); math.Abs(share-0.25) > 0.03 { // 400 of 1600 kbit/s
		t.Errorf("busy %.3f of the time, want 0.25", share)
	}
}

func TestCoDelKeepsTheQueueShort(t *testing.T) {
	delay := func(codel *network.CoDel) (mean time.Duration, lost float64) {
		link := network.NewLink(network.Direction{
			Capacity: network.Capacity{Kbps: 1000}, Queue: network.Queue{Bytes: 200_000, CoDel: codel},
		}, 1)
		n, arrived := 0, 0
		var sum time.Duration
		for now := time.Duration(0); now < 60*time.Second; now += 7500 * time.Microsecond { // 1067 kbit/s
			n++
			if arrival, dropped := link.Send(now, 1000, network.UDP); dropped == network.Delivered {
				sum += arrival - now
				arrived++
			}
		}
		return sum / time.Duration(arrived), 1 - float64(arrived)/float64(n)
	}
	plain, _ := delay(nil)
	short, lost := delay(&network.CoDel{TargetMillis: 5, IntervalMillis: 100})
	if plain < 500*time.Millisecond || short > 150*time.Millisecond {
		t.Errorf("mean delay %v without and %v with CoDel", plain, short)
	}
	if lost < 0.05 || lost > 0.2 {
		t.Errorf("lost %.3f, want little more than the 0.06 that do not fit", lost)
	}
	// A link that is not overloaded loses nothing, however slow it is.
	link := network.NewLink(network.Direction{
		Capacity: network.Capacity{Kbps: 64}, Queue: network.Queue{Bytes: 5000, CoDel: &network.CoDel{TargetMillis: 5, IntervalMillis: 100}},
	}, 1)
	for i := range 3000 {
		if _, dropped := link.Send(time.Duration(i)*20*time.Millisecond, 150, network.UDP); dropped != network.Delivered {
			t.Fatalf("packet %d: %v", i, dropped)
		}
	}
}

func TestOnlyPort443Passes(t *testing.T) {
	link := network.NewLink(network.Direction{Policing: network.Policing{
		UDP: network.Police{Blocked: true}, TCP: network.Police{Blocked: true, Except443: true},
	}}, 1)
	for protocol, want := range map[network.Protocol]network.DropReason{
		network.UDP: network.DroppedBlocked, network.TCP: network.DroppedBlocked, network.TCP443: network.Delivered,
	} {
		if _, got := link.Send(0, 100, protocol); got != want {
			t.Errorf("protocol %d: %v, want %v", protocol, got, want)
		}
	}
	all := network.NewLink(network.Direction{Policing: network.Policing{TCP: network.Police{Blocked: true}}}, 1)
	if _, got := all.Send(0, 100, network.TCP443); got != network.DroppedBlocked {
		t.Errorf("port 443 without an exception: %v", got)
	}
}

func TestDirectPathNeedsOneOpenSide(t *testing.T) {
	open, closed := &network.Profile{}, &network.Profile{NAT: network.NAT{Symmetric: true}}
	if !open.DirectPath(open) || !open.DirectPath(closed) || !closed.DirectPath(open) || closed.DirectPath(closed) {
		t.Error("only two symmetric translators are in each other's way")
	}
}

func TestEventsAreValidated(t *testing.T) {
	for insert, want := range map[string]string{
		`"events": {"outages": {"everyMillis": 0, "meanMillis": 5, "source": "x"}},`: "events.outages.everyMillis is 0",
		`"events": {"handovers": {"everyMillis": 10, "meanMillis": 5}},`:             "events.handovers.source is empty",
		`"events": {"handover": {}},`:                                                `unknown key "handover" in events`,
		`"nat": {"symmetric": true},`:                                                "nat.source is empty",
	} {
		_, err := network.ParseProfile([]byte(strings.Replace(valid, `"reach"`, insert+`"reach"`, 1)), "x")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", insert, err, want)
		}
	}
	for insert, want := range map[string]string{
		`"crossTraffic": {"kbps": 0, "onMillis": 5, "offMillis": 5, "source": "x"},`: "up.crossTraffic.kbps is 0",
		`"crossTraffic": {"kbps": 5, "onMillis": 5, "offMillis": 5},`:                "up.crossTraffic.source is empty",
		`"policing": {"udp": {"blocked": true, "except443": true, "source": "x"}},`:  "up.policing.udp.except443",
	} {
		_, err := network.ParseProfile([]byte(strings.Replace(valid, `"capacity"`, insert+`"capacity"`, 1)), "x")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", insert, err, want)
		}
	}
	codel := strings.Replace(valid, `"bytes": 5000`, `"bytes": 5000, "codel": {"targetMillis": 0, "intervalMillis": 100}`, 1)
	if _, err := network.ParseProfile([]byte(codel), "x"); err == nil || !strings.Contains(err.Error(), "up.queue.codel.targetMillis is 0") {
		t.Errorf("error %v", err)
	}
}

func TestSendWithEverythingDoesNotAllocate(t *testing.T) {
	p := &network.Profile{
		Up: network.Direction{
			Capacity: network.Capacity{Kbps: 500}, Queue: network.Queue{Bytes: 20_000, CoDel: &network.CoDel{TargetMillis: 5, IntervalMillis: 100}},
			Loss:         network.Loss{Mask: loadMask(t)},
			CrossTraffic: network.CrossTraffic{Kbps: 600, OnMillis: 500, OffMillis: 500},
		},
		Events: network.Events{Outages: network.Interruption{EveryMillis: 5000, MeanMillis: 300, ShiftMillis: 10}},
	}
	link, _ := p.Links(1)
	twin, _ := p.Links(1)
	var now time.Duration
	send := func() {
		now += 5 * time.Millisecond
		link.Send(now, 150, network.TCP)
	}
	for range 20_000 {
		send()
	}
	for i := range 20_000 {
		twin.Send(time.Duration(i+1)*5*time.Millisecond, 150, network.TCP)
	}
	if link.Counts() != twin.Counts() {
		t.Errorf("twins differ: %+v and %+v", link.Counts(), twin.Counts())
	}
	if got := testing.AllocsPerRun(1000, send); got != 0 {
		t.Errorf("%v allocations a packet", got)
	}
}

// TestInterruptionsTakeTheirTime: a service that is interrupted takes as much longer as the interruptions last, however many
// there are in it.
func TestInterruptionsTakeTheirTime(t *testing.T) {
	for _, kbps := range []float64{20, 2000} { // 600 and 6 ms a packet
		p := network.Profile{Up: network.Direction{Capacity: network.Capacity{Kbps: kbps}}}
		p.Events.Outages = network.Interruption{EveryMillis: 100, MeanMillis: 50}
		p.Events.Handovers = network.Interruption{EveryMillis: 1000, MeanMillis: 100}
		up, _ := p.Links(1)
		var last time.Duration
		var packets float64
		for last < 600*time.Second {
			last, _ = up.Send(last, 1500, network.UDP)
			packets++
		}
		// Both kinds are independent: the times without the one are the same share within the other.
		want := kbps * 100 / 150 * 1000 / 1100
		if got := packets * 12 / last.Seconds(); math.Abs(got-want) > 0.04*want {
			t.Errorf("%v kbit/s, interrupted: %.2f, want %.2f", kbps, got, want)
		}
	}
}
