package sim

import (
	"sync"
	"time"

	"github.com/attune-calls/attune/codec/playout"
)

// memory is what a call needs much of, and leaves to a later one.
type memory struct {
	buffers  [2]*playout.Buffer
	reported [2][]told
	rings    [][]arriving[packet] // of datagrams
	lent     []*datagrams         // whose rings come back
}

var memories = sync.Pool{New: func() any {
	return &memory{buffers: [2]*playout.Buffer{newBuffer(), newBuffer()}}
}}

// giveBack leaves the memory of a call that is over to others.
func (m *memory) giveBack(sides [2]*side) {
	for i, s := range sides {
		if s == nil {
			continue
		}
		m.buffers[i].Reset()
		m.reported[i] = s.reported[:0]
	}
	for _, d := range m.lent {
		m.rings = append(m.rings, d.flying.ring)
		d.flying = arrivals[packet]{}
	}
	clear(m.lent)
	m.lent = m.lent[:0]
	memories.Put(m)
}

// lend gives datagrams a ring of before.
func (m *memory) lend(d *datagrams) *datagrams {
	if last := len(m.rings) - 1; last >= 0 {
		d.flying.ring, m.rings = m.rings[last], m.rings[:last]
	}
	m.lent = append(m.lent, d)
	return d
}

func newBuffer() *playout.Buffer {
	return playout.New(playout.Config{
		Duration:   func(p []byte) time.Duration { return time.Duration(p[0]) * playout.Tick },
		Redundancy: func(p []byte) time.Duration { return time.Duration(p[1]) * playout.Tick },
	})
}
