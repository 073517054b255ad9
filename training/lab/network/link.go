package network

import (
	"math/rand/v2"
	"time"
)

// Header bytes of a packet beyond its payload, for the caller of Link.Send to add.
const (
	UDPHeaderBytes = 28 // IPv4 (20) and UDP (8)
	TCPHeaderBytes = 40 // IPv4 (20) and TCP without options (20)
)

// Protocol is the transport protocol of a packet, which is all that policing looks at.
type Protocol uint8

// The values of Protocol.
const (
	UDP Protocol = iota
	TCP
	TCP443 // TCP to or from port 443, which some operators let pass when they stop all else
)

// DropReason says why a packet did not arrive.
type DropReason uint8

// The values of DropReason.
const (
	Delivered      DropReason = iota // it did arrive
	DroppedQueue                     // the queue was full, or its CoDel dropped the packet
	DroppedLoss                      // lost on the way, after it took its share of the capacity
	DroppedPoliced                   // above the rate the operator grants the protocol
	DroppedBlocked                   // the protocol is blocked
)

// DropReasonCount is the number of values of DropReason.
const DropReasonCount = 5

func (d DropReason) String() string {
	names := [DropReasonCount]string{"delivered", "queue", "loss", "policed", "blocked"}
	if int(d) < len(names) {
		return names[d]
	}
	return "invalid"
}

// Counts is what a Link has seen so far, indexed by what became of it.
type Counts struct {
	Packets [DropReasonCount]uint64
	Bytes   [DropReasonCount]uint64 // headers included
}

// Link is one direction of a network at work. It has no clock: the caller gives the time of each packet, measured from
// any fixed start, and learns when the packet arrives. The same direction, seed and packets give the same result on
// every run. A Link is for one goroutine at a time.
type Link struct {
	random    *rand.Rand
	now       time.Duration
	server    server
	limit     int // of the bytes that wait; 0 = none
	waiting   queue
	loss      lossProcess
	constant  time.Duration // delay that never changes
	jitter    extraDelay
	reorder   bool          // it may
	except443 bool          // from the policing of TCP
	busy      bool          // codel, cross or events is set
	last      time.Duration // latest arrival so far
	counts    Counts
	police    [2]bucket
	varying   seriesPlayer
	codel     *codel // nil, as the next two, where there is none
	cross     *crossLoad
	events    *interruptions
}

// NewLink starts a direction of a network. The seed drives capacity, jitter and loss. Changes of the capacity and spells
// of loss depend on the seed alone, so that two calls on the same seed live through the same ones whatever they send. The
// direction is one that Profile.Validate would accept, but for the sources, or leaves parts at zero for "no limit".
func NewLink(d Direction, seed uint64) *Link {
	return newLink(d, seed, -1)
}

// Links starts both directions of a profile. Traces of both start at the same place, as they were recorded together, and
// events come at the same times.
func (p *Profile) Links(seed uint64) (up, down *Link) {
	up, down = pair(&p.Up, &p.Down, seed)
	up.events, down.events = newInterruptions(p.Events, mix(seed, 3)), newInterruptions(p.Events, mix(seed, 3))
	for _, l := range []*Link{up, down} {
		l.busy = l.busy || l.events != nil
	}
	return up, down
}

// newLink starts traces at a given place, or at a random one if it is negative.
func newLink(d Direction, seed uint64, traceStart time.Duration) *Link {
	l := &Link{
		random: rand.New(rand.NewPCG(seed, 0x6c696e6b)), limit: d.Queue.Bytes, reorder: d.Jitter.Reorder, except443: d.Policing.TCP.Except443,
	}
	l.server = newServer(d.Capacity, rand.New(rand.NewPCG(seed, 0x6361706163697479)), traceStart)
	l.loss = newLossProcess(d.Loss, rand.New(rand.NewPCG(seed, 0x6c6f7373)))
	l.jitter = newExtraDelay(&d.Jitter)
	l.constant = d.Propagation.Duration()
	if d.Propagation.Series != nil {
		l.varying = newSeriesPlayer(d.Propagation, l.random)
	}
	l.codel = newCoDel(d.Queue.CoDel)
	l.cross = newCrossLoad(d.CrossTraffic, seed)
	l.busy = l.codel != nil || l.cross != nil
	l.police = [2]bucket{UDP: newBucket(d.Policing.UDP), TCP: newBucket(d.Policing.TCP)}
	return l
}

// mix spreads related seeds apart (the finalizer of SplitMix64).
func mix(seed, stream uint64) uint64 {
	z := seed + stream*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Send takes a packet of wireBytes, headers included, at time now and tells when it arrives at the other end, or why it
// does not; then the time is 0. A packet passes the policing, the queue, the capacity, the loss process and the delays
// in this order. Times that go back count as the latest time so far. Arrivals never go back, unless the jitter may
// reorder. Send allocates nothing once the queue has found its size.
func (l *Link) Send(now time.Duration, wireBytes int, protocol Protocol) (arrival time.Duration, dropped DropReason) {
	l.now = max(l.now, now)
	wireBytes = max(wireBytes, 1)
	arrival, dropped = l.send(wireBytes, protocol)
	l.counts.Packets[dropped]++
	l.counts.Bytes[dropped] += uint64(wireBytes)
	if dropped != Delivered {
		return 0, dropped
	}
	return arrival, Delivered
}

func (l *Link) send(wireBytes int, protocol Protocol) (time.Duration, DropReason) {
	if protocol == TCP443 && !l.except443 {
		protocol = TCP
	}
	if int(protocol) < len(l.police) && !l.police[protocol].idle() {
		if reason := l.police[protocol].pass(l.now, wireBytes); reason != Delivered {
			return 0, reason
		}
	}
	departure := l.now
	switch {
	case l.busy:
		if l.cross != nil {
			l.load()
		}
		var ok bool
		if departure, ok = l.enqueue(l.now, wireBytes); !ok {
			return 0, DroppedQueue
		}
	case l.server != nil: // as enqueue does, without what is not there: most links are such
		l.waiting.leave(l.now)
		if l.limit > 0 && l.waiting.bytes+wireBytes > l.limit {
			return 0, DroppedQueue
		}
		departure = l.server.finish(max(l.now, l.waiting.last), wireBytes)
		l.waiting.join(departure, wireBytes)
	}
	if l.loss.lose(departure, l.random) {
		return 0, DroppedLoss
	}
	arrival := departure + l.constant + l.jitter.draw(l.random)
	if l.varying.series != nil {
		arrival += l.varying.delay(departure)
	}
	if l.events != nil {
		arrival += l.events.shift()
	}
	if !l.reorder {
		arrival = max(arrival, l.last)
	}
	l.last = max(l.last, arrival)
	return arrival, Delivered
}

// enqueue lets a packet wait for its service and tells when that is done, or that the packet is dropped.
func (l *Link) enqueue(now time.Duration, wireBytes int) (departure time.Duration, ok bool) {
	l.waiting.leave(now)
	if l.limit > 0 && l.waiting.bytes+wireBytes > l.limit {
		return 0, false
	}
	departure = max(now, l.waiting.last)
	if l.events != nil {
		departure = l.events.clear(departure)
	}
	if l.codel != nil && l.codel.drop(departure, departure-now, l.waiting.bytes) {
		return 0, false
	}
	if l.server != nil {
		departure = l.server.finish(departure, wireBytes)
	}
	if l.events != nil {
		departure = l.events.finish(departure)
	}
	l.waiting.join(departure, wireBytes)
	return departure, true
}

// load lets the cross traffic up to now into the queue.
func (l *Link) load() {
	if l.cross == nil || l.server == nil {
		return
	}
	for ; l.cross.next <= l.now; l.cross.step() {
		l.enqueue(l.cross.next, l.cross.bytes)
	}
}

// Reorders reports whether packets may arrive in another order than they were sent in.
func (l *Link) Reorders() bool { return l.reorder }

// Counts is what the link has carried and dropped so far, without cross traffic.
func (l *Link) Counts() Counts { return l.counts }

// QueuedBytes is what waits for the capacity at a time not before the last Send, the packet in service and cross traffic
// included.
func (l *Link) QueuedBytes(now time.Duration) int {
	l.now = max(l.now, now)
	l.load()
	l.waiting.leave(l.now)
	return l.waiting.bytes
}
