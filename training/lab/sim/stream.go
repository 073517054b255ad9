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
	extra   int // bytes of a message beyond the payload of RTP: headers, SRTP tag, TURN framing, TLS record
	flying  segments
	now     time.Duration // up to which time has passed
	waiting []waiting     // to be sent later
	arrived [2][]packet   // at the sides, in order, not delivered yet
	scratch [8 << 10]byte
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
	for {
		segment, ok := e.Output(now)
		if !ok {
			return
		}
		length := len(segment.Payload)
		segment.Payload = nil
		s.cross(flight{at: now, side: side, to: 1 - end, length: length, segment: segment})
	}
}

// cross takes a segment on to the other end: the access network is on the client's side of what lies beyond. Behind a link
// whose jitter reorders it waits for the time it gets there, so that the next one takes segments in that order.
func (s *streams) cross(f flight) {
	c, end := &s.sides[f.side], 1-f.to
	way := [2]*network.Link{c.links[end], c.via[end]}
	if end == relay {
		way[0], way[1] = way[1], way[0]
	}
	for reordered := false; f.crossed < len(way) && !reordered; f.crossed++ {
		link := way[f.crossed]
		if link == nil {
			f.at += s.core
			continue
		}
		var dropped network.DropReason
		if f.at, dropped = link.Send(f.at, f.length+network.TCPHeaderBytes, s.proto); dropped != network.Delivered {
			return
		}
		reordered = link.Reorders()
	}
	s.flying.put(f)
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
		if due {
			s.sides[side].ends[end].Tick(at)
			s.flush(at, side, end)
			continue
		}
		f := s.flying.take()
		if f.crossed < 2 {
			s.cross(f)
			continue
		}
		c := &s.sides[f.side]
		f.segment.Payload = zeros[:f.length]
		switch e := c.ends[f.to]; {
		case e != nil:
			e.Receive(at, f.segment)
		case f.to == relay && f.segment.SYN:
			c.ends[relay] = tcp.Accept(at, f.segment)
		default:
			continue
		}
		s.read(at, f.side, f.to)
		s.flush(at, f.side, f.to)
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

// next is what happens next: the arrival of a segment, or the deadline of an end.
func (s *streams) next() (at time.Duration, side, end int, due bool) {
	at = never
	if s.flying.n() > 0 {
		at = s.flying.first().at
	}
	for i := range s.sides {
		for j, e := range s.sides[i].ends {
			if e == nil {
				continue
			}
			if deadline, set := e.Deadline(); set && deadline < at {
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
	for {
		n, _ := c.ends[end].Read(s.scratch[:])
		if n == 0 {
			return
		}
		from.read += n
		for from.messages.n() > 0 && from.read >= from.messages.first().bytes {
			m := *from.messages.first()
			from.read -= m.bytes
			from.messages.drop()
			if end == relay && m.packet.kind == kindRelay {
				c.put(relay, m)
				continue
			}
			if end == relay {
				s.sides[1-side].put(relay, m)
				s.flush(now, 1-side, relay)
				continue
			}
			m.packet.at = now
			s.arrived[side] = append(s.arrived[side], m.packet)
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

func (l lane) advance(now time.Duration, deliver func(packet)) {
	l.streams.advance(now)
	got := l.streams.arrived[1-l.from]
	l.streams.arrived[1-l.from] = got[:0]
	for _, p := range got {
		deliver(p)
	}
}

// echo is the connection of a side to the relay and back.
type echo lane

func (e echo) send(now time.Duration, bytes int, p packet) { e.streams.send(now, e.from, bytes, p) }

func (e echo) next() time.Duration { return e.streams.soonest() }

func (e echo) advance(now time.Duration, deliver func(packet)) {
	lane{e.streams, 1 - e.from}.advance(now, deliver)
}

// flight is a segment on its way.
type flight struct {
	at       time.Duration
	side, to int
	crossed  int // links or cores
	length   int // of the payload, which is not kept
	order    uint64
	segment  tcp.Segment
}

// segments is a heap of flights by the time of their arrival; equal times keep the order of sending.
type segments struct {
	heap []flight
	sent uint64
}

func (s *segments) n() int         { return len(s.heap) }
func (s *segments) first() *flight { return &s.heap[0] }

func (s *segments) less(i, j int) bool {
	a, b := &s.heap[i], &s.heap[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (s *segments) put(f flight) {
	s.sent++
	f.order = s.sent
	s.heap = append(s.heap, f)
	for i := len(s.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !s.less(i, parent) {
			return
		}
		s.heap[i], s.heap[parent] = s.heap[parent], s.heap[i]
		i = parent
	}
}

func (s *segments) take() flight {
	top := s.heap[0]
	last := len(s.heap) - 1
	s.heap[0] = s.heap[last]
	s.heap = s.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && s.less(child+1, child) {
			child++
		}
		if !s.less(child, i) {
			return top
		}
		s.heap[i], s.heap[child] = s.heap[child], s.heap[i]
		i = child
	}
}
