package vnet

import (
	"math"
	"time"
)

const never = time.Duration(math.MaxInt64)

// event is something to do at a time.
type event struct {
	at     time.Duration
	order  uint64 // of scheduling: first come, first served at the same time
	kind   kind
	packet *packet  // of an entry, descent or delivery
	conn   *tcpConn // whose timer it is
}

type kind uint8

const (
	entry    kind = iota // a packet comes to the stretch beyond the access network
	descent              // a packet comes out of the core or that stretch
	delivery             // a packet reaches its host
	alarm                // a TCP timer
)

// events is a binary heap by time. container/heap would allocate for each event.
type events struct {
	heap  []event
	count uint64
}

func (q *events) before(i, j int) bool {
	a, b := &q.heap[i], &q.heap[j]
	return a.at < b.at || (a.at == b.at && a.order < b.order)
}

func (q *events) push(e event) {
	q.count++
	e.order = q.count
	q.heap = append(q.heap, e)
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.before(i, parent) {
			break
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

func (q *events) pop() event {
	top := q.heap[0]
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap[last] = event{}
	q.heap = q.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q.before(child, least) {
				least = child
			}
		}
		if least == i {
			return top
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}

// next is the time of the first event.
func (q *events) next() time.Duration {
	if len(q.heap) == 0 {
		return never
	}
	return q.heap[0].at
}

// drop forgets all events and frees their packets.
func (q *events) drop() {
	for _, e := range q.heap {
		if e.packet != nil {
			e.packet.free()
		}
	}
	q.heap = nil
}

// schedule adds an event and makes sure that the goroutine wakes for it.
func (n *Network) schedule(e event) {
	if n.closed {
		if e.packet != nil {
			e.packet.free()
		}
		return
	}
	n.events.push(e)
	if !n.moving {
		n.arm()
	}
}

// arm sets the timer for the first event, at the next multiple of the granularity.
func (n *Network) arm() {
	next := n.events.next()
	if next == never {
		return
	}
	g := n.config.Granularity
	next = (next + g - 1) / g * g
	if next < n.wakeAt {
		n.wakeAt = next
		n.wake.Reset(next - n.now())
	}
}

// run does what is due, again and again.
func (n *Network) run() {
	defer close(n.finished)
	for {
		select {
		case <-n.stop:
			return
		case <-n.wake.C:
		}
		n.mu.Lock()
		n.wakeAt = never
		n.moving = true
		for now := n.now(); !n.closed && n.events.next() <= now; {
			e := n.events.pop()
			switch e.kind {
			case entry:
				n.enter(e.at, e.packet)
			case descent:
				n.descend(e.at, e.packet)
			case delivery:
				n.hosts[e.packet.to.Addr()].receive(now, e.packet)
			case alarm:
				e.conn.alarm(now)
			}
		}
		n.moving = false
		if !n.closed {
			n.arm()
		}
		n.mu.Unlock()
	}
}
