package sim

import "time"

// arrivals is a queue of what is on its way, in the order of arrival. Nearly all is put at its end. The length of the ring
// is a power of two.
type arrivals[T any] struct {
	ring []arriving[T]
	head int
	n    int
}

// arriving is one thing on its way.
type arriving[T any] struct {
	at   time.Duration
	what T
}

// put is the place for what arrives at a time: behind all that does not arrive later.
func (a *arrivals[T]) put(at time.Duration) *T {
	if a.n == len(a.ring) {
		a.grow()
	}
	last := len(a.ring) - 1
	i := a.head + a.n
	for a.n++; i > a.head; i-- {
		before := &a.ring[(i-1)&last]
		if before.at <= at {
			break
		}
		a.ring[i&last] = *before
	}
	place := &a.ring[i&last]
	place.at = at
	return &place.what
}

func (a *arrivals[T]) grow() {
	grown := make([]arriving[T], max(64, 2*a.n))
	n := copy(grown, a.ring[a.head:])
	copy(grown[n:], a.ring[:a.head])
	a.ring, a.head = grown, 0
}

// next is when the first arrives; never, if nothing is on its way.
func (a *arrivals[T]) next() time.Duration {
	if a.n == 0 {
		return never
	}
	return a.ring[a.head].at
}

// first is the first to arrive.
func (a *arrivals[T]) first() *T { return &a.ring[a.head].what }

// drop takes out the first.
func (a *arrivals[T]) drop() {
	a.head = (a.head + 1) & (len(a.ring) - 1)
	a.n--
}
