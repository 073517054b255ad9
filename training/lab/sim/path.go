package sim

import (
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// packet is what travels.
type packet struct {
	at       time.Duration // of arrival
	sent     time.Duration // of a sender report
	stamp    uint32
	number   int32 // of a packet of media, counted from 0; of an exchange; index of what a packet of RTCP tells
	sequence uint16
	ticks    uint8
	fec      uint8
	red      uint8 // frames of packets before this one that it repeats
	kind     kind
	repeats  [model.MaxREDDepth]repeated // the latest first; red of them
}

// repeated is a frame that a packet repeats.
type repeated struct {
	back  uint8 // ticks from its beginning to that of the packet's own frame: at most 17 (codec.MaxREDOffset)
	ticks uint8
	fec   uint8
}

// kind is what a packet carries.
type kind uint8

const (
	kindMedia        kind = iota
	kindFeedback          // Attune's APP packet
	kindReport            // a receiver report
	kindSenderReport      // which the next receiver report answers
	kindConsent           // a request of ICE, which is answered
	kindRelay             // a request that the relay answers
	kindOther             // what only takes room: ICE and DTLS
)

// wire is one access network of a call: both directions.
type wire struct{ up, down *network.Link }

// path carries the packets of one direction from the sender to the receiver.
type path interface {
	// send puts a packet with so many bytes of RTP or RTCP payload on its way.
	send(now time.Duration, bytes int, p packet)
	// next is when something happens next; never, if nothing is on its way.
	next() time.Duration
	// advance lets time pass up to now, and calls deliver for each packet that arrives until then, in order. The packet is
	// deliver's until it returns.
	advance(now time.Duration, deliver func(*packet))
}

// datagrams is the path over UDP: up the sender's access network, through the core or the stretches that the profile
// declares, past the relay if there is one, down the receiver's access network. Only the packets of one direction use a
// link in that direction, and arrivals at its far end keep the order they were sent in (network.Link sees to it), so the
// whole way can be computed when a packet is sent. Only behind a link whose jitter reorders do packets wait for
// the time they get there, so that the next link takes them in the order of their arrival.
type datagrams struct {
	way      [4]*network.Link // one after the other
	links    int              // of way
	middle   time.Duration    // across the core, before the last link
	overhead int              // bytes on the wire beyond the payload
	relayed  bool
	severed  bool      // no address translator lets it through
	between  []between // sorted by time
	flying   arrivals[packet]
}

// between is a packet that has passed a link that reorders, before the next one takes it.
type between struct {
	at        time.Duration
	next      int // index of the link
	wireBytes int
	packet    packet
}

// newDatagrams makes the path from a side to the other.
func newDatagrams(wires [2]wire, from int, t policyTransport, b *beyond) *datagrams {
	d := &datagrams{overhead: t.transport.OverheadBytes()}
	via := [2]*network.Link{b.direct[from]}
	if t.transport != model.TransportDirect {
		d.relayed = true
		d.middle = b.core
		via = [2]*network.Link{b.site(from, t.site).up, b.site(1-from, t.site).down}
	}
	if via[0] == nil {
		d.middle += b.core
	} else {
		d.middle = 0
	}
	d.by(wires[from].up, via[0], via[1], wires[1-from].down)
	return d
}

// by sets the way, without the links that there are none of.
func (d *datagrams) by(way ...*network.Link) {
	for _, link := range way {
		if link != nil {
			d.way[d.links] = link
			d.links++
		}
	}
}

// newLoop is the way of a side to the relay and back.
func newLoop(wires [2]wire, side int, t policyTransport, b *beyond) *datagrams {
	around := b.site(side, t.site)
	d := &datagrams{overhead: t.transport.OverheadBytes() - turnHeader}
	if around.up == nil {
		d.middle = 2 * b.core
	}
	d.by(wires[side].up, around.up, around.down, wires[side].down)
	return d
}

// turnHeader is that of a ChannelData message, which the relay's own messages do without.
const turnHeader = 4

func (d *datagrams) send(now time.Duration, bytes int, p packet) {
	if d.relayed {
		bytes = channelData(bytes)
	}
	d.pass(0, now, bytes+d.overhead, p)
}

// pass sends a packet on from a link of the way.
func (d *datagrams) pass(from int, at time.Duration, wireBytes int, p packet) {
	for i := from; i < d.links; i++ {
		var dropped network.DropReason
		if at, dropped = d.way[i].Send(at, wireBytes, network.UDP); dropped != network.Delivered || d.severed {
			return
		}
		if i == d.links-2 {
			at += d.middle
		}
		if i < d.links-1 && d.way[i].Reorders() {
			d.wait(between{at, i + 1, wireBytes, p})
			return
		}
	}
	p.at = at
	*d.flying.put(at) = p
}

// wait keeps a packet until it gets to its next link.
func (d *datagrams) wait(b between) {
	i := len(d.between)
	for i > 0 && d.between[i-1].at > b.at {
		i--
	}
	d.between = slices.Insert(d.between, i, b)
}

// channelData is a payload with what brings its packet to a multiple of 4 bytes in the ChannelData message of a relay
// (RFC 8656, section 12.5; over UDP too, as pion does). RTP header and SRTP tag take 22.
func channelData(bytes int) int { return (bytes+22+3)&^3 - 22 }

func (d *datagrams) next() time.Duration {
	next := d.flying.next()
	if len(d.between) > 0 {
		next = min(next, d.between[0].at)
	}
	return next
}

func (d *datagrams) advance(now time.Duration, deliver func(*packet)) {
	for len(d.between) > 0 && d.between[0].at <= now {
		b := d.between[0]
		d.between = slices.Delete(d.between, 0, 1)
		d.pass(b.next, b.at, b.wireBytes, b.packet)
	}
	for d.flying.next() <= now {
		deliver(d.flying.first())
		d.flying.drop()
	}
}
