// Package tcp is TCP as a pure state machine in virtual time: it is told the time, what the application writes and
// reads and which segments arrive, and it tells which segments to send and when to be woken. It holds what a voice call
// feels of TCP: a lost segment is retransmitted and everything behind it waits; the sending rate follows slow start and
// congestion avoidance; acknowledgements cost packets; a full buffer holds the writer back.
//
// Kept: RFC 9293 (reliable ordered bytes, handshake, half-close, reset, flow control with window probes), RFC 5681 slow
// start and congestion avoidance with the initial window of RFC 6928, selective acknowledgement (RFC 2018) with the
// loss rule of RFC 6675 and the time rule of RFC 8985, retransmission timeout of RFC 6298 with the 200 ms floor that
// systems use, timestamps (RFC 7323) by which a needless timeout is seen and undone (RFC 3522, RFC 4015), delayed
// acknowledgements (RFC 1122, 40 ms). The options ride for free: a header counts 40 bytes. Left out, because no call of ours would notice: window
// scaling on the wire, urgent data, TIME-WAIT, Nagle's algorithm (clients of calls switch it off), sequence numbers that
// wrap.
package tcp

import (
	"errors"
	"time"
)

// MSS is the most payload a segment carries.
const MSS = 1400

// The constants of a connection.
const (
	initialWindow     = 10 * MSS // RFC 6928
	minimumTimeout    = 200 * time.Millisecond
	initialTimeout    = time.Second // RFC 6298
	maximumTimeout    = 60 * time.Second
	delayedAck        = 40 * time.Millisecond
	duplicateAcks     = 3                 // RFC 6675, DupThresh
	handshakePatience = 20 * time.Second  // a SYN is repeated after 1, 3, 7 and 15 s
	patience          = 924 * time.Second // without any progress: 15 timeouts, what systems have for R2 of RFC 9293
	lingerPatience    = 30 * time.Second  // for the peer's FIN after Close

	// DefaultSendBuffer is how much may wait in an Endpoint, sent and unacknowledged or not yet sent.
	DefaultSendBuffer = 64 << 10
	// ReceiveBuffer is how much may wait to be read.
	ReceiveBuffer = 256 << 10
)

// Errors that end a connection.
var (
	ErrReset   = errors.New("connection reset by peer")
	ErrRefused = errors.New("connection refused")
	ErrTimeout = errors.New("connection timed out")
)

// Range is a stretch of sequence numbers, [From, To).
type Range struct{ From, To uint64 }

// Segment is what one side sends to the other. Sequence numbers start at 0 with the SYN and do not wrap; the SYN and the
// FIN take one each.
type Segment struct {
	Seq     uint64
	Ack     uint64 // next sequence number expected; counts if HasAck
	Window  int    // bytes the sender of the segment can take beyond Ack
	SYN     bool
	FIN     bool
	RST     bool
	HasAck  bool
	Sack    [3]Range      // received beyond Ack; an empty range ends the list
	Stamp   time.Duration // when it was sent (RFC 7323); more than 0
	Echo    time.Duration // Stamp of the segment that is acknowledged; 0 = none
	Payload []byte        // valid until the next call of the endpoint it comes from
}

// end is the sequence number after the segment.
func (s *Segment) end() uint64 {
	end := s.Seq + uint64(len(s.Payload))
	if s.SYN {
		end++
	}
	if s.FIN {
		end++
	}
	return end
}

// state is how far a connection is set up.
type state uint8

const (
	synSent state = iota
	synReceived
	established
	closed
)

// Endpoint is one side of a connection. It is for one goroutine at a time, and times given to it never go back. After
// every other call the owner takes Output until it has nothing more, and arranges for Tick at Deadline.
type Endpoint struct {
	state state
	err   error // why it is closed, if not orderly
	begun time.Duration

	out outgoing
	in  incoming

	closing      bool // the application has called Close
	closeLimit   time.Duration
	resetPending bool
}

// Dial begins a connection.
func Dial(now time.Duration) *Endpoint {
	e := &Endpoint{state: synSent, begun: now}
	e.out.start(now)
	return e
}

// Accept answers the SYN of a peer.
func Accept(now time.Duration, syn *Segment) *Endpoint {
	e := &Endpoint{state: synReceived, begun: now}
	e.out.start(now)
	e.in.next = syn.Seq + 1
	e.in.echo = syn.Stamp
	e.out.peerWindow = syn.Window
	return e
}

// Established reports whether the handshake is done and the connection is not closed.
func (e *Endpoint) Established() bool { return e.state == established }

// Done reports whether nothing more will be sent or delivered; the owner may forget the endpoint once Output is empty.
func (e *Endpoint) Done() bool { return e.state == closed }

// Err is why the connection ended, nil while it lives and after an orderly end.
func (e *Endpoint) Err() error { return e.err }

// Write takes as much of b as fits the send buffer and returns how much that was; 0 asks the writer to wait. Nothing is
// taken after CloseWrite.
func (e *Endpoint) Write(b []byte) int {
	if e.state == closed || e.out.finQueued {
		return 0
	}
	return e.out.write(b)
}

// WriteClosed reports whether Write takes nothing any more.
func (e *Endpoint) WriteClosed() bool { return e.state == closed || e.out.finQueued }

// SetSendBuffer changes the size of the send buffer; at least one segment always fits.
func (e *Endpoint) SetSendBuffer(bytes int) { e.out.limit = max(bytes, MSS) }

// Writable reports whether Write would take something.
func (e *Endpoint) Writable() bool {
	return e.state != closed && !e.out.finQueued && e.out.room() > 0
}

// Read moves received bytes into b, in order. At the end of the peer's stream it returns 0 and true.
func (e *Endpoint) Read(b []byte) (n int, end bool) {
	n = e.in.read(b)
	return n, n == 0 && e.in.finished
}

// Skip does as Read with room for all there is, for a reader to whom only lengths matter.
func (e *Endpoint) Skip() (n int) { return e.in.take(e.in.buffered()) }

// Readable reports whether Read has bytes or the end to give.
func (e *Endpoint) Readable() bool { return e.in.buffered() > 0 || e.in.finished }

// CloseWrite sends the end of the stream after everything written.
func (e *Endpoint) CloseWrite() {
	if e.state != closed {
		e.out.finQueued = true
	}
}

// Close ends both directions: what was written is still sent, what arrives from now on is refused with a reset.
func (e *Endpoint) Close(now time.Duration) {
	if e.closing || e.state == closed {
		return
	}
	e.closing = true
	e.closeLimit = now + lingerPatience
	e.out.finQueued = true
	if e.in.buffered() > 0 || e.state == synSent { // unread data: RFC 2525, 2.17
		e.Abort()
	}
}

// CloseRead drops what has arrived and what will.
func (e *Endpoint) CloseRead() { e.in.discard() }

// Abort drops everything and resets the peer.
func (e *Endpoint) Abort() {
	if e.state == closed {
		return
	}
	e.resetPending = e.state != synSent
	e.state = closed
}

func (e *Endpoint) fail(err error) {
	e.state = closed
	e.err = err
}

// Receive takes a segment from the peer. It keeps nothing of s.
func (e *Endpoint) Receive(now time.Duration, s *Segment) {
	if e.state == closed {
		return
	}
	if s.RST {
		if e.state == synSent {
			e.fail(ErrRefused)
		} else {
			e.fail(ErrReset)
		}
		return
	}
	switch e.state {
	case synSent:
		if !s.SYN || !s.HasAck {
			return
		}
		e.in.next = s.Seq + 1
		e.in.ackNow = true
		e.in.echo = s.Stamp
		e.state = established
	case synReceived:
		if !s.HasAck || s.Ack == 0 {
			return
		}
		e.state = established
	}
	if s.HasAck {
		e.out.acknowledge(now, s)
	}
	if len(s.Payload) > 0 || s.FIN {
		if e.closing && s.end() > e.in.next && len(s.Payload) > 0 {
			e.Abort()
			return
		}
		e.in.receive(now, s)
	} else if s.SYN {
		e.in.ackNow = true // a repeated SYN: our answer was lost
	}
	e.finish()
}

// finish closes the connection when both ends of stream have passed.
func (e *Endpoint) finish() {
	if e.out.finAcknowledged() && e.in.finished && (e.closing || e.in.buffered() == 0) && !e.in.ackNow {
		e.state = closed
	}
}

// Deadline is when Tick has to be called, if at all.
func (e *Endpoint) Deadline() (at time.Duration, set bool) {
	if e.state == closed {
		return 0, false
	}
	at = never
	if d, ok := e.out.deadline(); ok {
		at = d
	}
	if e.in.ackAt > 0 {
		at = min(at, e.in.ackAt)
	}
	if e.state != established {
		at = min(at, e.begun+handshakePatience)
	}
	if e.closing {
		at = min(at, e.closeLimit)
	}
	return at, at != never
}

const never = time.Duration(1<<63 - 1)

// Tick lets time pass.
func (e *Endpoint) Tick(now time.Duration) {
	if e.state == closed {
		return
	}
	if e.in.ackAt > 0 && now >= e.in.ackAt {
		e.in.ackNow = true
	}
	switch {
	case e.state != established && now >= e.begun+handshakePatience:
		e.fail(ErrTimeout)
	case e.out.expired(now):
		e.fail(ErrTimeout)
	case e.closing && now >= e.closeLimit && e.out.finAcknowledged():
		e.Abort()
	case e.closing && now >= e.closeLimit:
		e.closeLimit = now + lingerPatience
	}
}

// Output makes s the next segment to send; it is false if there is none.
func (e *Endpoint) Output(now time.Duration, s *Segment) bool {
	*s = Segment{}
	if e.state == closed {
		s.Seq, s.RST = e.out.next, e.resetPending
		e.resetPending = false
		return s.RST
	}
	if !e.out.segment(now, e.state == established, s) {
		if !e.in.ackNow {
			e.finish()
			return false
		}
		s.Seq = e.out.next
	}
	s.Stamp = now + 1 // more than 0
	if e.state != synSent {
		e.in.acknowledge(s)
	}
	return true
}

// Stats is what a connection has been through.
type Stats struct {
	RoundTripTime    time.Duration // smoothed; 0 before the first measurement
	CongestionWindow int           // bytes
	Retransmissions  int           // segments sent again
	Timeouts         int           // of the retransmission timer
	Unsent           int           // bytes written and not yet sent for the first time
	Unacknowledged   int           // bytes sent and not acknowledged
}

// Stats is a snapshot.
func (e *Endpoint) Stats() Stats { return e.out.stats() }
