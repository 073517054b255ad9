package sim

import (
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// pinger pings a relay for a rule that wants to know how far it is: over UDP with a packet that comes back, over TCP by
// opening a connection. Its packets share the access network with the call.
type pinger struct {
	rule  policy.Pinger
	wires [2]wire
	from  int // side
	b     *beyond
	due   time.Duration
	made  int

	udp    *datagrams
	tcp    *streams
	opened time.Duration // when the connection began to be opened
}

// How often a relay is pinged: a few times as the call begins, then now and then.
const (
	pingSoon  = 2 * time.Second
	pingLater = 10 * time.Second
	pingsSoon = 5
	pingBytes = 64 - 22
)

// newPinger is nil where the rule pings nothing.
func newPinger(rule policy.Pinger, wires [2]wire, from int, b *beyond, begin time.Duration) *pinger {
	if rule == nil || rule.Relay() == 0 {
		return nil
	}
	p := &pinger{rule: rule, wires: wires, from: from, b: b, due: begin}
	p.udp = newLoop(wires, from, policyTransport{model.TransportRelayUDP, rule.Relay()}, b)
	return p
}

// step lets time pass up to now.
func (p *pinger) step(now time.Duration) {
	if p == nil {
		return
	}
	p.udp.advance(now, func(came *packet) { p.rule.Pinged(model.TransportRelayUDP, came.at-came.sent) })
	if p.tcp != nil {
		p.tcp.advance(now)
		if p.tcp.sides[p.from].up() {
			p.rule.Pinged(model.TransportRelayTCP, now-p.opened)
			p.tcp = nil
		}
	}
	if now < p.due {
		return
	}
	p.udp.send(now, pingBytes, packet{kind: kindRelay, sent: now})
	p.tcp, p.opened = newStreams(p.wires, policyTransport{model.TransportRelayTCP, p.rule.Relay()}, p.b), now
	p.tcp.open(now, p.from)
	p.made++
	p.due = now + pingLater
	if p.made < pingsSoon {
		p.due = now + pingSoon
	}
}
