package network

import "time"

// queue remembers the packets that have not left yet, oldest first, in a ring that grows to the most that ever waited. Its
// length is a power of two.
type queue struct {
	ring  []queued
	head  int
	count int
	bytes int
	last  time.Duration // when the newest packet leaves
}

type queued struct {
	departure time.Duration
	bytes     int
}

// leave forgets the packets that have left by now.
func (q *queue) leave(now time.Duration) {
	for q.count > 0 && q.ring[q.head].departure <= now {
		q.bytes -= q.ring[q.head].bytes
		q.head = (q.head + 1) & (len(q.ring) - 1)
		q.count--
	}
}

// join adds a packet that leaves at departure, not before any other.
func (q *queue) join(departure time.Duration, bytes int) {
	if q.count == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.count)&(len(q.ring)-1)] = queued{departure, bytes}
	q.count++
	q.bytes += bytes
	q.last = departure
}

func (q *queue) grow() {
	bigger := make([]queued, max(64, 2*q.count))
	n := copy(bigger, q.ring[q.head:])
	copy(bigger[n:], q.ring[:q.head])
	q.ring, q.head = bigger, 0
}
