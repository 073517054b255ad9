package tcp_test

import (
	"container/heap"
	"testing"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/network/tcp"
)

// wire runs two endpoints over two links in virtual time.
type wire struct {
	t      *testing.T
	now    time.Duration
	links  [2]*network.Link // from endpoint 0 to 1, and back
	ends   [2]*tcp.Endpoint
	events events
	sent   [2]int // segments
	bytes  [2]int // headers included
	drop   func(from int, s tcp.Segment) bool
}

type event struct {
	at      time.Duration
	order   int
	to      int
	segment tcp.Segment
	call    func()
}

type events struct {
	list  []event
	count int
}

func (e *events) Len() int { return len(e.list) }
func (e *events) Less(i, j int) bool {
	if e.list[i].at != e.list[j].at {
		return e.list[i].at < e.list[j].at
	}
	return e.list[i].order < e.list[j].order
}
func (e *events) Swap(i, j int) { e.list[i], e.list[j] = e.list[j], e.list[i] }
func (e *events) Push(x any)    { e.list = append(e.list, x.(event)) }
func (e *events) Pop() any {
	last := e.list[len(e.list)-1]
	e.list = e.list[:len(e.list)-1]
	return last
}

func newWire(t *testing.T, direction network.Direction, seed uint64) *wire {
	w := &wire{t: t, links: [2]*network.Link{network.NewLink(direction, seed), network.NewLink(direction, seed+1)}}
	w.ends[0] = tcp.Dial(0)
	w.pump(0)
	return w
}

func (w *wire) schedule(e event) {
	w.events.count++
	e.order = w.events.count
	heap.Push(&w.events, e)
}

// at calls f at a time, then lets both ends send.
func (w *wire) at(t time.Duration, f func()) { w.schedule(event{at: t, call: f}) }

func (w *wire) pump(i int) {
	for w.ends[i] != nil {
		var s tcp.Segment
		if !w.ends[i].Output(w.now, &s) {
			return
		}
		w.sent[i]++
		w.bytes[i] += len(s.Payload) + network.TCPHeaderBytes
		arrival, dropped := w.links[i].Send(w.now, len(s.Payload)+network.TCPHeaderBytes, network.TCP)
		if dropped != network.Delivered || (w.drop != nil && w.drop(i, s)) {
			continue
		}
		s.Payload = append([]byte(nil), s.Payload...)
		w.schedule(event{at: arrival, to: 1 - i, segment: s})
	}
}

// run plays until a time, or until nothing can happen any more.
func (w *wire) run(until time.Duration) {
	for {
		next, timer := until, -1
		if w.events.Len() > 0 && w.events.list[0].at <= next {
			next = w.events.list[0].at
		} else if w.events.Len() == 0 {
			next = until
		}
		for i, e := range w.ends {
			if e == nil {
				continue
			}
			if d, ok := e.Deadline(); ok && d < next {
				next, timer = d, i
			}
		}
		switch {
		case timer >= 0:
			w.now = max(w.now, next)
			w.ends[timer].Tick(w.now)
		case w.events.Len() > 0 && w.events.list[0].at <= until:
			e := heap.Pop(&w.events).(event)
			w.now = e.at
			switch {
			case e.call != nil:
				e.call()
			case w.ends[e.to] == nil && e.segment.SYN:
				w.ends[e.to] = tcp.Accept(w.now, &e.segment)
			case w.ends[e.to] != nil && w.ends[e.to].Done():
				// As a host does for a connection it has forgotten: without TIME-WAIT, this ends the wait for a lost last
				// acknowledgement.
				if !e.segment.RST {
					w.schedule(event{at: w.now, to: 1 - e.to, segment: tcp.Segment{RST: true}})
				}
			case w.ends[e.to] != nil:
				w.ends[e.to].Receive(w.now, &e.segment)
			}
		default:
			w.now = until
			return
		}
		w.pump(0)
		w.pump(1)
	}
}

// read takes everything there is at an end.
func (w *wire) read(i int) []byte {
	var all []byte
	b := make([]byte, 4096)
	for {
		n, _ := w.ends[i].Read(b)
		if n == 0 {
			return all
		}
		all = append(all, b[:n]...)
	}
}
