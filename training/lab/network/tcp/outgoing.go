package tcp

import "time"

// outgoing is the sending half: the buffer, what is in flight, and congestion control.
type outgoing struct {
	buffer queue[byte] // from sequence number base on: unacknowledged, then unsent
	base   uint64
	limit  int

	una  uint64 // oldest unacknowledged
	next uint64 // next to be sent for the first time

	flight     queue[sent] // in order of sequence numbers
	marked     marks       // of flight
	peerWindow int

	finQueued bool
	finSent   bool
	finSeq    uint64

	window    int           // congestion window, bytes
	threshold int           // slow start threshold
	growth    int           // bytes by which the acknowledgement at hand may open the window
	acked     int           // bytes acknowledged since the window last grew in congestion avoidance
	cutAt     time.Duration // when the window was last cut

	timer        timer
	lastProgress time.Duration
	probe        bool          // send one byte into a closed window
	delivered    time.Duration // newest sending time of a segment known to have arrived
	undo         undo
	counted      Stats
}

// sent is a segment in flight.
type sent struct {
	seq           uint64
	length        int // in sequence numbers: SYN and FIN take one each
	at            time.Duration
	sacked, lost  bool // not both
	retransmitted bool
}

// marks sums up a flight.
type marks struct {
	pipe int // bytes that are believed to be on their way (RFC 6675)
	lost int // segments
}

// count takes a segment in, or out with sign -1: before and after each change of its marks.
func (m *marks) count(f *sent, sign int) {
	switch {
	case f.lost:
		m.lost += sign
	case !f.sacked:
		m.pipe += sign * f.length
	}
}

func (o *outgoing) start(now time.Duration) {
	*o = outgoing{
		limit: DefaultSendBuffer, base: 1, window: initialWindow, threshold: 1 << 30, peerWindow: ReceiveBuffer,
		timer: timer{timeout: initialTimeout}, lastProgress: now,
	}
}

func (o *outgoing) room() int { return o.limit - len(o.buffer.items) }

func (o *outgoing) write(b []byte) int {
	n := min(len(b), max(0, o.room()))
	o.buffer.append(b[:n]...)
	return n
}

// unsent is how many bytes have never been sent.
func (o *outgoing) unsent() int {
	if o.next == 0 || o.finSent {
		return 0
	}
	return len(o.buffer.items) - int(o.next-o.base)
}

// segment fills an empty s with the next segment that has something in it: a retransmission first, then new data, then
// the FIN.
func (o *outgoing) segment(now time.Duration, established bool, s *Segment) bool {
	if o.next == 0 { // nothing sent yet: the SYN
		o.launch(now, 1)
		s.SYN = true
		return true
	}
	pipe := o.marked.pipe
	if o.marked.lost > 0 {
		f := o.firstLost()
		if pipe > 0 && pipe+f.length > o.window {
			return false
		}
		o.marked.count(f, -1)
		f.lost, f.retransmitted, f.at = false, true, now
		o.marked.count(f, 1)
		o.counted.Retransmissions++
		o.timer.arm(now)
		o.rebuild(f, s)
		return true
	}
	if !established {
		return false
	}
	if n := min(o.unsent(), MSS); n > 0 {
		n = min(n, o.peerWindow-int(o.next-o.una))
		if n <= 0 && o.probe {
			n = 1
		}
		if n <= 0 && len(o.flight.items) == 0 && !o.timer.armed {
			o.timer.arm(now) // to probe the closed window
		}
		if n <= 0 || (pipe > 0 && pipe+n > o.window) {
			return false
		}
		o.probe = false
		s.Seq, s.Payload = o.next, o.bytes(o.next, n)
		o.launch(now, n)
		return true
	}
	if o.finQueued && !o.finSent {
		o.finSent, o.finSeq = true, o.next
		o.launch(now, 1)
		s.Seq, s.FIN = o.finSeq, true
		return true
	}
	return false
}

func (o *outgoing) firstLost() *sent {
	for i := range o.flight.items {
		if f := &o.flight.items[i]; f.lost {
			return f
		}
	}
	panic("tcp: a lost segment is counted that is not in flight")
}

// launch records a segment sent for the first time.
func (o *outgoing) launch(now time.Duration, length int) {
	if len(o.flight.items) == 0 {
		o.lastProgress = now
	}
	f := sent{seq: o.next, length: length, at: now}
	o.flight.append(f)
	o.marked.count(&f, 1)
	o.next += uint64(length)
	if !o.timer.armed {
		o.timer.arm(now)
	}
}

// rebuild makes a segment in flight again.
func (o *outgoing) rebuild(f *sent, s *Segment) {
	s.Seq = f.seq
	switch {
	case f.seq == 0:
		s.SYN = true
	case o.finSent && f.seq == o.finSeq:
		s.FIN = true
	default:
		s.Payload = o.bytes(f.seq, f.length)
	}
}

func (o *outgoing) bytes(seq uint64, n int) []byte {
	from := int(seq - o.base)
	return o.buffer.items[from : from+n : from+n]
}

func (o *outgoing) finAcknowledged() bool { return o.finSent && o.una > o.finSeq }

// acknowledge takes the acknowledgement and the window out of a segment.
func (o *outgoing) acknowledge(now time.Duration, s *Segment) {
	if s.Ack > o.next || s.Ack < o.una {
		return
	}
	o.peerWindow = s.Window
	before := o.next - o.una
	o.growth = 0
	advanced := s.Ack - o.una
	gone := 0
	for ; gone < len(o.flight.items); gone++ {
		f := &o.flight.items[gone]
		if f.seq+uint64(f.length) > s.Ack {
			break
		}
		o.deliver(now, f)
		o.marked.count(f, -1)
	}
	o.flight.drop(gone)
	for _, r := range s.Sack {
		if r.From >= r.To {
			break
		}
		o.sack(now, r)
	}
	if advanced > 0 {
		o.una = s.Ack
		o.release()
		o.lastProgress = now
		if s.Echo > 0 {
			o.timer.measure(now + 1 - s.Echo)
			o.undoTimeout(s.Echo)
		}
		o.timer.progress()
		if len(o.flight.items) > 0 {
			o.timer.arm(now)
		} else {
			o.timer.armed = false
		}
	}
	o.grow(o.growth, int(before))
	o.findLosses(now)
}

// sack marks what has arrived beyond a gap.
func (o *outgoing) sack(now time.Duration, r Range) {
	for i := range o.flight.items {
		f := &o.flight.items[i]
		if !f.sacked && f.seq >= r.From && f.seq+uint64(f.length) <= r.To {
			o.deliver(now, f)
			o.marked.count(f, -1)
			f.sacked, f.lost = true, false
			o.marked.count(f, 1)
		}
	}
}

// release forgets acknowledged bytes.
func (o *outgoing) release() {
	n := min(int(max(o.una, o.base)-o.base), len(o.buffer.items))
	o.buffer.drop(n)
	o.base += uint64(n)
}

// deliver notes that a segment has arrived.
func (o *outgoing) deliver(now time.Duration, f *sent) {
	if f.sacked {
		return
	}
	if f.retransmitted && now-f.at < o.timer.smoothed/2 {
		return // too soon: it was the first copy that arrived
	}
	o.delivered = max(o.delivered, f.at)
	if f.at >= o.cutAt {
		o.growth += f.length
	}
}

func (o *outgoing) stats() Stats {
	s := o.counted
	s.RoundTripTime = o.timer.smoothed
	s.CongestionWindow = o.window
	s.Unsent = o.unsent()
	s.Unacknowledged = int(o.next - o.una)
	return s
}
