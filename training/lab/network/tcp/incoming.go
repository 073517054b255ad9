package tcp

import (
	"slices"
	"time"
)

// incoming is the receiving half: bytes in order for the reader, pieces beyond a gap, and when to acknowledge.
type incoming struct {
	next     uint64 // next sequence number in order
	buffer   []byte // in order, not yet read
	read0    int    // bytes of buffer already read
	pieces   []piece
	latest   uint64 // sequence number of the piece that came last
	unwanted bool   // the reader is gone
	fin      bool   // the peer's FIN has been seen
	finSeq   uint64
	finished bool // and everything before it has arrived

	echo         time.Duration // Stamp to return
	acknowledged uint64        // last told to the peer

	ackNow     bool
	ackAt      time.Duration // delayed acknowledgement; 0 = none
	unacked    int           // bytes received since the last acknowledgement
	advertised int           // window last told to the peer
}

// piece is data beyond a gap.
type piece struct {
	seq  uint64
	data []byte
}

func (p *piece) end() uint64 { return p.seq + uint64(len(p.data)) }

func (in *incoming) buffered() int { return len(in.buffer) - in.read0 }

func (in *incoming) window() int { return max(0, ReceiveBuffer-in.buffered()) }

func (in *incoming) read(b []byte) int {
	return in.take(copy(b, in.buffer[in.read0:]))
}

// take notes that the next n bytes have been read.
func (in *incoming) take(n int) int {
	in.read0 += n
	if in.read0 == len(in.buffer) {
		in.buffer, in.read0 = in.buffer[:0], 0
	}
	if in.advertised < 2*MSS && in.window() >= ReceiveBuffer/2 {
		in.ackNow = true // the window opens again: tell the peer
	}
	return n
}

// receive takes the data and the FIN of a segment.
func (in *incoming) receive(now time.Duration, s *Segment) {
	if s.FIN && !in.fin {
		in.fin, in.finSeq = true, s.Seq+uint64(len(s.Payload))
	}
	if s.Seq <= in.acknowledged && s.end() > in.acknowledged || in.echo == 0 {
		in.echo = s.Stamp // RFC 7323, 4.3: of the segment that continues what was acknowledged last
	}
	from, data := s.Seq, s.Payload
	if from < in.next { // the beginning is here already
		data = data[min(uint64(len(data)), in.next-from):]
		from = in.next
	}
	switch {
	case from > in.next+ReceiveBuffer:
		// beyond any window we offered
	case from > in.next:
		in.keep(from, data)
		in.ackNow = true // a gap: tell at once (RFC 5681, 4.2)
	case len(data) > 0:
		in.append(data)
		in.unacked += len(data)
		in.drain()
		if in.unacked >= 2*MSS || len(in.pieces) > 0 {
			in.ackNow = true
		} else if in.ackAt == 0 {
			in.ackAt = now + delayedAck
		}
	default:
		in.ackNow = true // nothing new: the peer missed our acknowledgement
	}
	if in.fin && !in.finished && in.next == in.finSeq {
		in.next++
		in.finished = true
		in.ackNow = true
	}
}

// discard drops what is there and what comes.
func (in *incoming) discard() { in.unwanted, in.buffer, in.read0 = true, nil, 0 }

func (in *incoming) append(data []byte) {
	if in.unwanted {
		in.next += uint64(len(data))
		return
	}
	if in.read0 > 0 && len(in.buffer)+len(data) > cap(in.buffer) {
		in.buffer = append(in.buffer[:0], in.buffer[in.read0:]...)
		in.read0 = 0
	}
	in.buffer = append(in.buffer, data...)
	in.next += uint64(len(data))
}

// keep stores a copy of data beyond the gap. A piece that is there already is not kept twice.
func (in *incoming) keep(from uint64, data []byte) {
	if len(data) == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(in.pieces, from, func(p piece, seq uint64) int {
		switch {
		case p.seq < seq:
			return -1
		case p.seq > seq:
			return 1
		}
		return 0
	})
	in.latest = from
	if found && len(in.pieces[i].data) >= len(data) {
		return
	}
	p := piece{from, slices.Clone(data)}
	if found {
		in.pieces[i] = p
	} else {
		in.pieces = slices.Insert(in.pieces, i, p)
	}
}

// drain moves pieces that are in order now to the reader.
func (in *incoming) drain() {
	n := 0
	for n < len(in.pieces) && in.pieces[n].seq <= in.next {
		if p := &in.pieces[n]; p.end() > in.next {
			in.append(p.data[in.next-p.seq:])
		}
		n++
	}
	if n > 0 {
		in.ackNow = true // a gap was filled (RFC 5681, 4.2)
		in.pieces = slices.Delete(in.pieces, 0, n)
	}
}

// acknowledge puts the acknowledgement on an outgoing segment.
func (in *incoming) acknowledge(s *Segment) {
	s.HasAck, s.Ack, s.Window, s.Echo = true, in.next, in.window(), in.echo
	in.acknowledged = in.next
	in.sack(&s.Sack)
	in.ackNow, in.ackAt, in.unacked = false, 0, 0
	in.advertised = s.Window
}

// sack lists up to three stretches beyond the gap, the one that grew last first (RFC 2018, 4).
func (in *incoming) sack(list *[3]Range) {
	if len(in.pieces) == 0 {
		return
	}
	n := 0
	add := func(r Range) {
		if n < len(list) && !slices.Contains(list[:n], r) {
			list[n] = r
			n++
		}
	}
	for first := range 2 {
		for i := 0; i < len(in.pieces); {
			r := Range{in.pieces[i].seq, in.pieces[i].end()}
			for i++; i < len(in.pieces) && in.pieces[i].seq <= r.To; i++ {
				r.To = max(r.To, in.pieces[i].end())
			}
			if first == 1 || (in.latest >= r.From && in.latest < r.To) {
				add(r)
			}
		}
	}
}
