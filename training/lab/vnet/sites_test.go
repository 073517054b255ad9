package vnet_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/vnet"
)

// TestStretchesTakeThePlaceOfTheCore: to relay sites and back, and between two hosts; other servers stay across the core.
func TestStretchesTakeThePlaceOfTheCore(t *testing.T) {
	stretch := func(ms float64) network.Direction {
		return network.Direction{Propagation: network.Propagation{Millis: ms}}
	}
	blocked := stretch(1)
	blocked.Policing.UDP.Blocked = true
	direct := stretch(50)
	p := &network.Profile{Up: stretch(10), Down: stretch(20), Paths: network.Paths{
		Direct: &direct,
		Sites:  []network.Site{{Name: "near", Up: stretch(3), Down: stretch(7)}, {Name: "none", Up: stretch(100), Down: blocked}},
	}}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		caller, callee := host(t, n, "10.0.0.1", p), host(t, n, "10.0.0.2", p)
		var servers []*vnet.Host
		for i, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} { // the third is site 3, which the profile does not have
			s, err := n.AddSite(ip, model.Site(1+i))
			if err != nil {
				t.Fatal(err)
			}
			servers = append(servers, s)
		}
		if _, err := n.AddSite("192.0.2.1", 4); err == nil {
			t.Error("an address twice")
		}
		a, b := listenUDP(t, caller, ":5000"), listenUDP(t, callee, ":5000")
		for _, test := range []struct {
			name     string
			from, to net.PacketConn
			want     time.Duration // 0 = it does not arrive
		}{
			{"direct", a, b, (10 + 50 + 20) * time.Millisecond},
			{"and back", b, a, (10 + 50 + 20) * time.Millisecond},
			{"to the near site", a, listenUDP(t, servers[0], ":1"), (10 + 3) * time.Millisecond},
			{"from the near site", listenUDP(t, servers[0], ":2"), a, (7 + 20) * time.Millisecond},
			{"to the other site", b, listenUDP(t, servers[1], ":1"), (10 + 100) * time.Millisecond},
			{"from the other site", listenUDP(t, servers[1], ":2"), b, 0},
			{"to a server", a, listenUDP(t, servers[2], ":1"), 10*time.Millisecond + vnet.DefaultCore},
			{"between servers", listenUDP(t, servers[0], ":3"), listenUDP(t, servers[1], ":3"), vnet.DefaultCore},
		} {
			begun := time.Now()
			if _, err := test.from.WriteTo([]byte("x"), test.to.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if err := test.to.SetReadDeadline(begun.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			_, _, err := test.to.ReadFrom(make([]byte, 10))
			if took := time.Since(begun); (err == nil) != (test.want > 0) || err == nil && (took < test.want || took > test.want+vnet.DefaultGranularity) {
				t.Errorf("%s: %v, %v, want %v", test.name, took, err, test.want)
			}
		}
	})
}
