package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// Setting up a call as the clients of package lab do: the caller gathers its candidates, then the callee does, then both
// ask the relay to let the other in, ICE checks the pair (RFC 8445), and DTLS shakes hands (RFC 6347 section 4.2.4: two
// round trips with the cookie), the callee as its client. The signalling of the laboratory takes no time.

// exchange is a packet there and one back, the first repeated until the second comes: after a time, then after twice that,
// and so on up to a most.
type exchange struct {
	there, back  int // bytes that the packets have beyond the header of RTP and the tag of SRTP, as all that is sent
	repeat, most time.Duration
}

// The packets of pion, as one sees them on the wire. ICE repeats its own on a beat, see beats.
var (
	check     = exchange{there: 112 - 22, back: 64 - 22} // by the caller
	handshake = [...]exchange{
		{there: 116 - 22, back: 149 - 22},                  // the caller names the pair; ClientHello
		{48 - 22, 169 - 22, time.Second, 4 * time.Second},  // HelloVerifyRequest; ClientHello with the cookie
		{623 - 22, 554 - 22, time.Second, 4 * time.Second}, // ServerHello to ServerHelloDone; Certificate to Finished
	}
)

const dtlsRepeat = time.Second // pion's first; each further one is twice as long

const finished = 75 - 22 // the last flight of DTLS, which the caller does not wait for an answer to

// What is asked of a relay takes as much there as back here; it counts with the larger.
var (
	hello      = exchange{there: 1851 - 22, repeat: time.Hour, most: time.Hour}               // TLS 1.3, over a stream that repeats by itself
	allocate   = exchange{there: 76 - 22, repeat: checkEvery, most: 1600 * time.Millisecond}  // refused for want of a nonce (RFC 8656, section 7)
	allocated  = exchange{there: 124 - 22, repeat: checkEvery, most: 1600 * time.Millisecond} // with it
	permission = exchange{there: 128 - 22, repeat: checkEvery, most: 1600 * time.Millisecond} // for the other side (RFC 8656, section 9)
)

// setUp makes the call ready for media from the time it returns, or gives up.
func (c *call) setUp() (ready time.Duration, ok bool) {
	paths, now, ok := c.connect()
	for _, e := range handshake {
		if ok {
			now, ok = c.over(e, paths, now, setupPatience)
		}
	}
	if ok {
		paths[caller].send(now, finished, packet{kind: kindOther})
	}
	c.sides[callee].created = c.offered
	for i, s := range c.sides {
		s.clocks[clockConsent] = c.beats.at[i]
	}
	c.use(paths)
	return now, ok
}

// wayPatience is how long a client that has other candidates waits for those it prefers. ICE checks them side by side
// (RFC 8445, section 6.1.4); one after the other takes a call some seconds longer to be set up, and ends at the same pair.
const wayPatience = 3 * time.Second

// connect finds the path that the call is set up by: that of the first decision, or, where the rule knows others, the first
// that works.
func (c *call) connect() (paths [2]path, now time.Duration, ok bool) {
	driver := c.sides[caller].driver
	action := driver.Action()
	first := policy.TransportLock{Transport: action.Transport, Site: action.Site}
	ways := append([]policy.TransportLock{first}, driver.Ways()...)
	for i, way := range ways {
		deadline := setupPatience
		if i < len(ways)-1 {
			deadline = min(now+wayPatience, setupPatience)
		}
		c.move.former = c.beyond.begin(policyTransport{way.Transport, way.Site})
		if paths, now, ok = c.establish(now, c.move.former, deadline); ok {
			break
		}
	}
	return paths, now, ok
}

// use makes both sides send by a path.
func (c *call) use(paths [2]path) {
	for i, s := range c.sides {
		s.out = paths[i]
	}
}

// establish makes the path of a transport, by a relay site, and sends the first check over it.
func (c *call) establish(now time.Duration, t policyTransport, deadline time.Duration) (paths [2]path, ready time.Duration, ok bool) {
	wires := [2]wire{c.sides[0].wire, c.sides[1].wire}
	paths = [2]path{void{}, void{}} // as long as there is none
	var toRelay [2]path
	var made [2]path
	switch t.transport {
	case model.TransportRelayTCP, model.TransportRelayTLS:
		s := newStreams(wires, t, &c.beyond)
		for side := range made {
			c.offered = now // at last, when the callee's turn comes
			made[side], toRelay[side] = lane{s, side}, echo{s, side}
			if now, ok = s.connect(now, side, deadline); ok && t.transport == model.TransportRelayTLS {
				now, ok = c.ask(hello, toRelay[side], now, deadline)
			}
			if ok {
				now, ok = c.gather(toRelay[side], now, deadline)
			}
			if !ok {
				return paths, now, false
			}
		}
	default:
		for side := range made {
			c.offered = now // at last, when the callee's turn comes
			d := c.memory.lend(newDatagrams(wires, side, t, &c.beyond))
			d.severed = t.transport == model.TransportDirect && !c.plan.Profile.DirectPath(c.plan.Profile)
			made[side] = d
			if t.transport == model.TransportDirect {
				continue
			}
			toRelay[side] = c.memory.lend(newLoop(wires, side, t, &c.beyond))
			if now, ok = c.gather(toRelay[side], now, deadline); !ok {
				return paths, now, false
			}
		}
	}
	if t.transport != model.TransportDirect {
		for side := range toRelay {
			if now, ok = c.ask(permission, toRelay[1-side], now, deadline); !ok {
				return paths, now, false
			}
		}
	}
	c.beats = beats{at: [2]time.Duration{caller: now + checkEvery, callee: now}}
	now, ok = c.over(check, made, now, deadline)
	return made, now, ok
}

// beats is when each side of ICE sends its next check: every checkEvery until it has a pair, then once more, and from
// there on as often as it asks for consent.
type beats struct {
	at     [2]time.Duration
	paired [2]bool
}

// beat sends the checks that are due. Those of the caller are an exchange, as long as that is one of ICE.
func (c *call) beat(now time.Duration, e exchange, number int32, paths [2]path) {
	for side := range c.beats.at {
		at := &c.beats.at[side]
		for *at <= now {
			if side == caller && e.repeat == 0 {
				paths[side].send(*at, e.there, packet{kind: kindConsent, number: number})
			} else {
				paths[side].send(*at, consentBytes, packet{kind: kindConsent})
			}
			if c.beats.paired[side] {
				*at += tellEvery[clockConsent]
			} else {
				*at += checkEvery
			}
		}
	}
}

// gather asks a relay for an address.
func (c *call) gather(relay path, now, deadline time.Duration) (done time.Duration, ok bool) {
	if now, ok = c.ask(allocate, relay, now, deadline); ok {
		now, ok = c.ask(allocated, relay, now, deadline)
	}
	return now, ok
}

// ask is an exchange with a relay, which sends back what comes.
func (c *call) ask(e exchange, relay path, now, deadline time.Duration) (done time.Duration, ok bool) {
	c.exchanges++
	number, repeat := c.exchanges, e.repeat
	came := time.Duration(-1)
	answered := func(p *packet) {
		if p.number == number && came < 0 {
			came = p.at
		}
	}
	for due := now; now < deadline; {
		if now >= due {
			relay.send(now, e.there, packet{kind: kindRelay, number: number})
			due = now + repeat
			repeat = min(2*repeat, e.most)
		}
		now = min(due, max(relay.next(), now), deadline)
		relay.advance(now, answered)
		if came >= 0 {
			return came, true
		}
	}
	return now, false
}

// over sends a packet to the callee and one back, and repeats that until an answer comes.
func (c *call) over(e exchange, paths [2]path, now, deadline time.Duration) (done time.Duration, ok bool) {
	c.exchanges++
	number, repeat := c.exchanges, e.repeat
	came := time.Duration(-1)
	there := packet{kind: kindOther, number: number}
	if repeat == 0 {
		there.kind = kindConsent
	}
	again, wait := time.Duration(0), dtlsRepeat
	answer := func(p *packet) {
		if p.kind == kindConsent {
			paths[callee].send(p.at, consentedBytes, packet{kind: kindOther, number: answers(e, p.number)})
		}
		switch {
		case p.number != number: // a repetition of what was answered before
		case e == check: // triggers one of the callee (RFC 8445, section 7.3.1.4)
			paths[callee].send(p.at, consentBytes, packet{kind: kindConsent})
		case repeat > 0 || p.at >= again: // DTLS repeats by a timer, not whenever ICE does
			paths[callee].send(p.at, e.back, packet{kind: kindOther, number: number})
			again, wait = p.at+wait, 2*wait
			c.beats.paired[callee] = true
		}
	}
	answered := func(p *packet) {
		switch {
		case p.kind == kindConsent:
			paths[caller].send(p.at, consentedBytes, packet{kind: kindOther})
		case p.number == number && came < 0:
			came = p.at
			c.beats.paired[caller] = e != check
		}
	}
	paths[caller].send(now, e.there, there)
	due := never
	if repeat > 0 {
		due = now + repeat
	}
	for now < deadline {
		if now >= due {
			paths[caller].send(now, e.there, there)
			repeat = min(2*repeat, e.most)
			due = now + repeat
		}
		c.beat(now, e, number, paths)
		now = min(due, max(min(paths[caller].next(), paths[callee].next(), c.beats.at[caller], c.beats.at[callee]), now), deadline)
		paths[caller].advance(now, answer)
		paths[callee].advance(now, answered)
		if came >= 0 {
			return came, true
		}
	}
	return now, false
}

// answers is the number of the answer to a request of ICE: that of a check completes the exchange, that of the naming of
// the pair does not, as DTLS begins with it.
func answers(e exchange, request int32) int32 {
	if e == check {
		return request
	}
	return 0
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
		s.transportIs(now, m.former, c.epoch)
	}
}

// void is a path that nothing passes.
type void struct{}

func (void) send(time.Duration, int, packet)      {}
func (void) next() time.Duration                  { return never }
func (void) advance(time.Duration, func(*packet)) {}
