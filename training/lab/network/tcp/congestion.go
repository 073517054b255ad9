package tcp

import "time"

// grow opens the congestion window for acknowledged bytes (RFC 5681, 3.1): by as much in slow start, at most two
// segments at a time (RFC 3465); by one segment for each window's worth in congestion avoidance. A window that was
// not half used has proven nothing and stays (RFC 7661). Only segments sent since the window was last cut count.
func (o *outgoing) grow(acked, inFlight int) {
	if 2*inFlight < o.window {
		return
	}
	if o.window < o.threshold {
		o.window += min(acked, 2*MSS)
		return
	}
	o.acked += acked
	if o.acked >= o.window {
		o.acked -= o.window
		o.window += MSS
	}
}

// findLosses marks segments lost when three later ones have arrived (RFC 6675), or when one that was sent a quarter of
// a round trip later has (RFC 8985); the second rule also sees that a retransmission was lost. The loss of a segment that
// was sent since the window was last cut halves it (RFC 5681, 3.2, once for all losses of a round trip as in RFC 9002,
// 7.3.2).
func (o *outgoing) findLosses(now time.Duration) {
	later := 0
	fresh := false
	for i := len(o.flight.items) - 1; i >= 0; i-- {
		f := &o.flight.items[i]
		if f.sacked {
			later++
			continue
		}
		overtaken := o.delivered > f.at+o.timer.smoothed/4
		if !f.lost && (overtaken || (later >= duplicateAcks && !f.retransmitted)) {
			o.marked.count(f, -1)
			f.lost = true
			o.marked.count(f, 1)
			fresh = fresh || f.at >= o.cutAt
		}
	}
	if fresh {
		o.threshold = max(o.window/2, 2*MSS)
		o.window = o.threshold
		o.acked = 0
		o.cutAt = now
	}
}

// undo remembers what a timeout changed.
type undo struct {
	set               bool
	at                time.Duration
	window, threshold int
}

// undoTimeout takes a timeout back if the first acknowledgement after it is for a segment sent before it: nothing was
// lost, only late (RFC 3522).
func (o *outgoing) undoTimeout(echo time.Duration) {
	if o.undo.set && echo <= o.undo.at {
		o.window, o.threshold = o.undo.window, o.undo.threshold
		for i := range o.flight.items {
			f := &o.flight.items[i]
			o.marked.count(f, -1)
			f.lost = false
			o.marked.count(f, 1)
		}
	}
	o.undo.set = false
}

// deadline is when the retransmission timer runs out.
func (o *outgoing) deadline() (time.Duration, bool) {
	return o.timer.at, o.timer.armed
}

// expired lets the retransmission timer run out at now, if it does; true gives the connection up.
func (o *outgoing) expired(now time.Duration) bool {
	if !o.timer.armed || now < o.timer.at {
		return false
	}
	if len(o.flight.items) == 0 {
		o.probe = o.unsent() > 0 // RFC 9293, 3.8.6.1
		o.timer.armed = false
		return false
	}
	if now-o.lastProgress >= patience {
		return true
	}
	o.counted.Timeouts++
	if !o.timer.backedOff { // RFC 5681, equation 4, once for one loss
		o.undo = undo{set: true, at: now, window: o.window, threshold: o.threshold}
		o.threshold = max(o.window/2, 2*MSS)
	}
	o.window = MSS // slow start again, RFC 5681, 3.1
	o.acked = 0
	o.cutAt = now
	for i := range o.flight.items {
		if f := &o.flight.items[i]; !f.sacked {
			o.marked.count(f, -1)
			f.lost = true
			o.marked.count(f, 1)
		}
	}
	o.timer.backOff(now)
	return false
}

// timer is the retransmission timer of RFC 6298.
type timer struct {
	armed     bool
	at        time.Duration
	timeout   time.Duration
	backedOff bool
	smoothed  time.Duration
	variation time.Duration
}

func (t *timer) arm(now time.Duration) {
	t.armed = true
	t.at = now + t.timeout
}

// measure takes one round trip into account (RFC 6298, section 2).
func (t *timer) measure(roundTrip time.Duration) {
	roundTrip = max(roundTrip, time.Microsecond)
	if t.smoothed == 0 {
		t.smoothed, t.variation = roundTrip, roundTrip/2
	} else {
		t.variation += ((t.smoothed - roundTrip).Abs() - t.variation) / 4
		t.smoothed += (roundTrip - t.smoothed) / 8
	}
	t.progress()
}

// progress ends the back-off.
func (t *timer) progress() {
	t.backedOff = false
	if t.smoothed > 0 {
		t.timeout = min(max(t.smoothed+max(4*t.variation, minimumTimeout), minimumTimeout), maximumTimeout)
	}
}

// backOff doubles the timeout (RFC 6298, 5.5).
func (t *timer) backOff(now time.Duration) {
	t.backedOff = true
	t.timeout = min(2*t.timeout, maximumTimeout)
	t.arm(now)
}
