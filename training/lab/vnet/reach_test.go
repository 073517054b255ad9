package vnet_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

func TestOnlyPort443Passes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		only443 := *profile(t, "wifi")
		for _, d := range []*network.Direction{&only443.Up, &only443.Down} {
			d.Policing = network.Policing{UDP: network.Police{Blocked: true}, TCP: network.Police{Blocked: true, Except443: true}}
		}
		c := newCall(t, &only443, model.TransportRelayTLS)
		if arrived, _ := talk(t, c, 50, 80, 20*time.Millisecond, time.Second); arrived < 45 {
			t.Errorf("%d of 50 packets arrived", arrived)
		}
		_, err := c.hosts[0].CreateDialer(&net.Dialer{Timeout: 3 * time.Second}).Dial("tcp", "198.51.100.1:3478")
		if err == nil {
			t.Error("another port of the relay answers")
		}
	})
}

func TestSymmetricTranslatorsNeedARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		symmetric := *profile(t, "ethernet")
		symmetric.NAT.Symmetric = true
		n := newNetwork(t)
		hosts := []interface {
			ListenPacket(network, address string) (net.PacketConn, error)
		}{host(t, n, "10.0.0.1", &symmetric), host(t, n, "10.0.0.2", &symmetric), host(t, n, "10.0.0.3", profile(t, "ethernet"))}
		var sockets []net.PacketConn
		for i, ip := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			s, err := hosts[i].ListenPacket("udp4", ip+":5000")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // of a virtual network
			sockets = append(sockets, s)
		}
		for to, want := range map[int]bool{1: false, 2: true} {
			got := false
			for range 20 { // some may be lost
				if _, err := sockets[0].WriteTo([]byte("hello"), sockets[to].LocalAddr()); err != nil {
					t.Fatal(err)
				}
				_ = sockets[to].SetReadDeadline(time.Now().Add(time.Second))
				if _, _, err := sockets[to].ReadFrom(make([]byte, 100)); err == nil {
					got = true
				}
			}
			if got != want {
				t.Errorf("to %v: got through %v, want %v", sockets[to].LocalAddr(), got, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		symmetric := *profile(t, "ethernet")
		symmetric.NAT.Symmetric = true
		c := newCall(t, &symmetric, model.TransportRelayUDP)
		if arrived, _ := talk(t, c, 50, 80, 20*time.Millisecond, time.Second); arrived < 45 {
			t.Errorf("%d of 50 packets arrived over the relay", arrived)
		}
	})
}
