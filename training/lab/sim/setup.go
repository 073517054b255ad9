package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/attune-calls/attune/model"
)

// Setting up: ICE checks one pair (RFC 8445), then DTLS shakes hands (RFC 6347 section 4.2.4: two round trips with the
// cookie). Each exchange is a packet there and a packet back, both repeated until the answer comes.
type exchange struct{ there, back int } // bytes of payload

var (
	check     = exchange{100, 90}
	handshake = []exchange{
		{160, 60},   // ClientHello, HelloVerifyRequest
		{180, 1100}, // ClientHello with the cookie, ServerHello to ServerHelloDone
		{1000, 300}, // Certificate to Finished, Finished
	}
	// allocation is what a relay costs before it can be used: a request that is refused for want of a nonce, a request
	// with it, and a permission (RFC 8656 sections 7 and 9), in round trips to the relay.
	allocation = 3
)

const (
	firstRepeat = 500 * time.Millisecond
	mostRepeat  = 4 * time.Second
	setupStep   = time.Millisecond
)

// setUp makes the call ready for media from the time it returns, or gives up.
func (c *call) setUp() (ready time.Duration, ok bool) {
	action := c.sides[caller].driver.Action()
	c.move.former = c.beyond.begin(policyTransport{action.Transport, action.Site})
	paths, now, ok := c.establish(0, c.move.former, setupPatience)
	for _, e := range handshake {
		if ok {
			now, ok = e.over(paths, now, setupPatience)
		}
	}
	c.use(paths)
	return now, ok
}

// use makes both sides send by a path.
func (c *call) use(paths [2]path) {
	for i, s := range c.sides {
		s.out = paths[i]
	}
}

// establish makes the path of a transport, by a relay site, and sends the first check over it. The signalling of the
// laboratory takes no time.
func (c *call) establish(now time.Duration, t policyTransport, deadline time.Duration) (paths [2]path, ready time.Duration, ok bool) {
	wires := [2]wire{c.sides[0].wire, c.sides[1].wire}
	paths = [2]path{void{}, void{}} // as long as there is none
	switch t.transport {
	case model.TransportRelayTCP, model.TransportRelayTLS:
		s := newStreams(wires, t, &c.beyond, now)
		for ; !s.ready(); now += setupStep {
			if s.advance(now); now >= deadline {
				return paths, now, false
			}
		}
		paths = [2]path{lane{s, 0}, lane{s, 1}}
	default:
		for i := range paths {
			d := newDatagrams(wires, i, t, &c.beyond)
			d.severed = t.transport == model.TransportDirect && !c.plan.Profile.DirectPath(c.plan.Profile)
			paths[i] = d
		}
	}
	if now, ok = check.over(paths, now, deadline); ok && t.transport != model.TransportDirect {
		began := now
		for range allocation {
			if now, ok = check.over(paths, now, deadline); !ok {
				break
			}
		}
		now -= (now - began) / 2 // to the relay is half the way
	}
	return paths, now, ok
}

// over sends a packet to the callee and one back, and repeats that until an answer comes.
func (e exchange) over(paths [2]path, now, deadline time.Duration) (done time.Duration, ok bool) {
	repeat, due := firstRepeat, now
	answer := func(p packet) { paths[callee].send(p.at, e.back, packet{kind: kindOther}) }
	answered := func(packet) { ok = true }
	for ; now < deadline; now += setupStep {
		if now >= due {
			paths[caller].send(now, e.there, packet{kind: kindOther})
			due = now + repeat
			repeat = min(2*repeat, mostRepeat)
		}
		paths[caller].advance(now, answer)
		paths[callee].advance(now, answered)
		if ok {
			return now, true
		}
	}
	return now, false
}

// move is an ICE restart under way: the client of package lab offers its peer the candidates of the other transport
// only, and nothing passes until a check has. One that takes too long is taken back.
type move struct {
	wanted  policyTransport // asked for, not begun
	target  policyTransport // under way
	former  policyTransport
	paths   [2]path
	readyAt time.Duration
	ok      bool
	beyond  *beyond
}

type policyTransport struct {
	transport model.Transport
	site      model.Site
}

// movePatience is the switch time-out of that client.
const movePatience = 6 * time.Second

// SwitchTransport is called by the caller's driver.
func (m *move) SwitchTransport(t model.Transport, site model.Site) error {
	if m.target != (policyTransport{}) || m.wanted != (policyTransport{}) {
		return errors.New("a move is under way")
	}
	wanted := policyTransport{t, site}
	if !m.beyond.knows(wanted) {
		return fmt.Errorf("no credentials for %v at relay site %d", t, site)
	}
	m.wanted = wanted
	return nil
}

// moveOn takes a move one step further.
func (c *call) moveOn(now time.Duration) {
	m := &c.move
	if m.wanted != (policyTransport{}) {
		m.target, m.wanted = m.wanted, policyTransport{}
		m.paths, m.readyAt, m.ok = c.establish(now, m.target, now+movePatience)
		c.use([2]path{void{}, void{}})
		c.result.Moves++
	}
	if m.target == (policyTransport{}) || now < m.readyAt {
		return
	}
	if !m.ok { // back to where the call was
		m.ok, m.target = true, m.former
		m.paths, m.readyAt, _ = c.establish(now, m.target, now+movePatience)
		return
	}
	c.use(m.paths)
	m.former, m.target = m.target, policyTransport{}
	for _, s := range c.sides {
		s.driver.TransportIs(c.epoch.Add(now), m.former.transport, m.former.site)
	}
}

// void is a path that nothing passes.
type void struct{}

func (void) send(time.Duration, int, packet)     {}
func (void) advance(time.Duration, func(packet)) {}
