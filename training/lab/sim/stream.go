package sim

import (
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/network/tcp"
)

// streams is the path of a call whose sides each reach the relay over TCP: two connections, with the relay between.
// Whatever one loses, everything behind it waits for.
type streams struct {
	sides   [2]connection
	core    time.Duration
	proto   network.Protocol
	extra   int                    // bytes of a message beyond the payload of RTP: headers, SRTP tag, TURN framing, TLS record
	flying  [2][2]arrivals[flight] // to each end of each side's connection
	sent    uint64                 // segments
	segment tcp.Segment            // at hand
	now     time.Duration          // up to which time has passed
	waiting []waiting              // to be sent later
	arrived [2][]packet            // at the sides, in order, not delivered yet
	// When something happens next at each end, so that looking for it is quick: a segment arrives, a deadline passes.
	arrivals, deadlines [2][2]time.Duration
}

// The ends of a connection.
const (
	client = iota
	relay
)

// connection is one TCP connection between a side and the relay.
type connection struct {
	ends    [2]*tcp.Endpoint
	links   [2]*network.Link // of the access network, that each end sends on
	via     [2]*network.Link // beyond it; nil across the core
	queues  [2]queue         // of messages that each end has to send
	carried [2]carried       // by each end
}

// queue holds messages that do not fit the send buffer yet.
type queue struct {
	messages fifo
	written  int // bytes of the first one
}

// message is a packet in a stream.
type message struct {
	bytes  int
	packet packet
}

// carried is what an end has written and the other has not read in full.
type carried struct {
	messages fifo
	read     int // bytes of the first one
}

// fifo is a queue that uses its memory again.
type fifo struct {
	all  []message
	head int
}

func (f *fifo) n() int          { return len(f.all) - f.head }
func (f *fifo) first() *message { return &f.all[f.head] }
func (f *fifo) put(m message)   { f.all = append(f.all, m) }

func (f *fifo) drop() {
	if f.head++; 2*f.head >= len(f.all) { // each message is moved once at most, on average
		f.all = f.all[:copy(f.all, f.all[f.head:])]
		f.head = 0
	}
}

// relayQueue is how many messages wait before further ones are lost, as in the clients of package lab.
const relayQueue = 64

func newStreams(wires [2]wire, t policyTransport, b *beyond) *streams {
	s := &streams{core: b.core, proto: network.TCP, extra: t.transport.OverheadBytes() - network.TCPHeaderBytes}
	if t.transport == model.TransportRelayTLS { // the relay's port for TLS is 443
		s.proto = network.TCP443
	}
	for side := range s.sides {
		s.arrivals[side], s.deadlines[side] = [2]time.Duration{never, never}, [2]time.Duration{never, never}
		c := &s.sides[side]
		c.links = [2]*network.Link{client: wires[side].up, relay: wires[side].down}
		around := b.site(side, t.site)
		c.via = [2]*network.Link{client: around.up, relay: around.down}
	}
	return s
}

// connect sets a side's connection up.
func (s *streams) connect(now time.Duration, side int, deadline time.Duration) (done time.Duration, ok bool) {
	s.open(now, side)
	for !s.sides[side].up() {
		if now = max(s.soonest(), now); now >= deadline {
			return deadline, false
		}
		s.advance(now)
	}
	return now, true
}

// open begins to set a side's connection up.
func (s *streams) open(now time.Duration, side int) {
	s.advance(now)
	s.sides[side].ends[client] = tcp.Dial(now)
	s.flush(now, side, client)
}

func (c *connection) up() bool { return c.ends[client].Established() }

// send gives a side's connection a message.
func (s *streams) send(now time.Duration, side, bytes int, p packet) {
	w := waiting{now, side, message{channelData(bytes) + s.extra, p}}
	if now > s.now { // what is on its way by then goes first
		s.waiting = append(s.waiting, w)
		return
	}
	s.put(w)
}

// waiting is a message that is sent at a time.
type waiting struct {
	at      time.Duration
	side    int
	message message
}

func (s *streams) put(w waiting) {
	s.sides[w.side].put(client, w.message)
	s.flush(w.at, w.side, client)
}

func (c *connection) put(end int, m message) {
	if q := &c.queues[end]; q.messages.n() < relayQueue {
		q.messages.put(m)
	}
}

// zeros stands for what is sent: only lengths matter.
var zeros [64 << 10]byte

// flush writes what fits and sends what may be sent.
func (s *streams) flush(now time.Duration, side, end int) {
	c := &s.sides[side]
	e, q := c.ends[end], &c.queues[end]
	if e == nil {
		return
	}
	for q.messages.n() > 0 {
		m := *q.messages.first()
		n := e.Write(zeros[:m.bytes-q.written])
		if q.written += n; q.written < m.bytes {
			break
		}
		c.carried[end].messages.put(m)
		q.messages.drop()
		q.written = 0
	}
	for e.Output(now, &s.segment) {
		s.segment.Payload = zeros[:len(s.segment.Payload)]
		s.cross(now, side, end, 0)
	}
	deadline, set := e.Deadline()
	if !set {
		deadline = never
	}
	s.deadlines[side][end] = deadline
}

// hops is how many links or cores a segment crosses.
const hops = 2

// cross takes the segment at hand, which has crossed some hops, on from an end to the other: the access network is on the
// client's side of what lies beyond. Behind a link whose jitter reorders it waits for the time it gets there, so that the
// next one takes segments in that order.
func (s *streams) cross(at time.Duration, side, end, crossed int) {
	c := &s.sides[side]
	way := [hops]*network.Link{c.links[end], c.via[end]}
	if end == relay {
		way[0], way[1] = way[1], way[0]
	}
	for reordered := false; crossed < hops && !reordered; crossed++ {
		link := way[crossed]
		if link == nil {
			at += s.core
			continue
		}
		var dropped network.DropReason
		if at, dropped = link.Send(at, len(s.segment.Payload)+network.TCPHeaderBytes, s.proto); dropped != network.Delivered {
			return
		}
		reordered = link.Reorders()
	}
	s.sent++
	flying := &s.flying[side][1-end]
	f := flying.put(at)
	f.order, f.crossed, f.segment = s.sent, crossed, s.segment
	s.arrivals[side][1-end] = flying.next()
}

// advance lets time pass.
func (s *streams) advance(now time.Duration) {
	for {
		at, side, end, due := s.next()
		if i := s.nextWaiting(); i >= 0 && s.waiting[i].at <= min(at, now) {
			w := s.waiting[i]
			s.waiting = slices.Delete(s.waiting, i, i+1)
			s.now = w.at
			s.put(w)
			continue
		}
		if at > now {
			s.now = max(s.now, now)
			return
		}
		s.now = max(s.now, at)
		c := &s.sides[side]
		if due {
			c.ends[end].Tick(at)
			s.flush(at, side, end)
			continue
		}
		flying := &s.flying[side][end]
		if f := flying.first(); f.crossed < hops {
			crossed := f.crossed
			s.segment = f.segment
			flying.drop()
			s.arrivals[side][end] = flying.next()
			s.cross(at, side, 1-end, crossed)
			continue
		}
		segment := &flying.first().segment
		e := c.ends[end]
		switch {
		case e != nil:
			e.Receive(at, segment)
		case end == relay && segment.SYN:
			c.ends[relay] = tcp.Accept(at, segment)
		}
		flying.drop()
		s.arrivals[side][end] = flying.next()
		if c.ends[end] != nil {
			s.read(at, side, end)
			s.flush(at, side, end)
		}
	}
}

// soonest is when something happens next.
func (s *streams) soonest() time.Duration {
	at, _, _, _ := s.next()
	if i := s.nextWaiting(); i >= 0 {
		at = min(at, s.waiting[i].at)
	}
	return at
}

// nextWaiting is the message to send first, or -1.
func (s *streams) nextWaiting() int {
	first := -1
	for i := range s.waiting {
		if first < 0 || s.waiting[i].at < s.waiting[first].at {
			first = i
		}
	}
	return first
}

// next is what happens next at an end: the arrival of a segment, or its deadline.
func (s *streams) next() (at time.Duration, side, end int, due bool) {
	at = never
	for i := range s.arrivals {
		for j, arrives := range s.arrivals[i] {
			if arrives < at || arrives == at && at < never && s.flying[i][j].first().order < s.flying[side][end].first().order {
				at, side, end = arrives, i, j
			}
		}
	}
	for i := range s.deadlines {
		for j, deadline := range s.deadlines[i] {
			if deadline < at {
				at, side, end, due = deadline, i, j, true
			}
		}
	}
	return at, side, end, due
}

const never = time.Duration(1<<63 - 1)

// read takes whole messages from an end: the relay passes them on, a side gets them.
func (s *streams) read(now time.Duration, side, end int) {
	c := &s.sides[side]
	from := &c.carried[1-end]
	from.read += c.ends[end].Skip()
	for from.messages.n() > 0 && from.read >= from.messages.first().bytes {
		m := *from.messages.first()
		from.read -= m.bytes
		from.messages.drop()
		switch {
		case end == client:
			m.packet.at = now
			s.arrived[side] = append(s.arrived[side], m.packet)
		case m.packet.kind == kindRelay:
			c.put(relay, m)
		default:
			s.sides[1-side].put(relay, m)
			s.flush(now, 1-side, relay)
		}
	}
}

// lane is the direction of streams from a side to the other.
type lane struct {
	streams *streams
	from    int
}

func (l lane) send(now time.Duration, bytes int, p packet) { l.streams.send(now, l.from, bytes, p) }

func (l lane) next() time.Duration { return l.streams.soonest() }

func (l lane) advance(now time.Duration, deliver func(*packet)) {
	l.streams.advance(now)
	got := l.streams.arrived[1-l.from]
	l.streams.arrived[1-l.from] = got[:0]
	for i := range got {
		deliver(&got[i])
	}
}

// echo is the connection of a side to the relay and back.
type echo lane

func (e echo) send(now time.Duration, bytes int, p packet) { e.streams.send(now, e.from, bytes, p) }

func (e echo) next() time.Duration { return e.streams.soonest() }

func (e echo) advance(now time.Duration, deliver func(*packet)) {
	lane{e.streams, 1 - e.from}.advance(now, deliver)
}

// flight is a segment on its way.
type flight struct {
	order   uint64 // of sending
	crossed int    // links or cores
	segment tcp.Segment
}
