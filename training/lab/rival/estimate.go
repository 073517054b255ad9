package rival

import (
	"math"
	"time"

	"github.com/attune-calls/attune/model"
)

// estimate is a bandwidth estimate in the manner of Google congestion control (draft-ietf-rmcat-gcc-02), of the whole path
// with all headers, from what is measured once a second, where GCC looks at each packet:
//
//   - section 5.5: when a queue builds up, 0.85 times what came through; while it drains, nothing; otherwise 8 % more each
//     second, and never more than 1.5 times what came through and 10 kbps, as a stream that does not fill a path does not
//     tell how wide it is
//   - section 6: above 10 % loss less by half of it, below 2 % room for more, in between nothing
//
// A queue is a round trip well above the shortest of the last seconds. So a path that has become longer, after a handover or
// a move to a relay, counts as congested for that time only.
type estimate struct {
	kbps, least, most float64
	trips             [baseWindow]time.Duration // the last round trips; negative ones are unknown
	next              int
	before            time.Duration // the round trip of the last second
	at                model.Transport
}

func newEstimate(start, least, most float64) estimate {
	e := estimate{kbps: start, least: least, most: most}
	e.forget()
	return e
}

// forget starts over on another path, with the rate of the one before.
func (e *estimate) forget() {
	for i := range e.trips {
		e.trips[i] = -1
	}
	e.before = -1
}

const (
	baseWindow = 10 // seconds
	backOff    = 0.85
	rise       = 1.08
	queueing   = 50 * time.Millisecond // of queue that counts as overuse

	// What came through allows a rate of so much.
	mostOfReceived = 1.5
	beyondReceived = 10 // kbps

	lossStays, lossFalls = 0.02, 0.10
)

// take takes the measurement of the last second, made on a transport, and gives the rate of the path in kbps.
func (e *estimate) take(m *model.Measurement, t model.Transport) float64 {
	if math.IsNaN(m.SentKbps) {
		return e.kbps
	}
	if t != e.at {
		e.at = t
		e.forget()
	}
	loss := m.LossBefore
	if math.IsNaN(loss) {
		loss = 0
	}
	received := m.SentKbps * (1 - loss)
	overuse, draining := e.queue(m.RoundTripTime)
	switch {
	case overuse:
		e.kbps = min(e.kbps, backOff*received)
	case loss > lossFalls:
		e.kbps *= 1 - 0.5*loss
	case loss < lossStays && !draining:
		e.kbps = max(e.kbps, min(e.kbps*rise, mostOfReceived*received+beyondReceived))
	}
	e.kbps = min(max(e.kbps, e.least), e.most)
	return e.kbps
}

// queue tells from a round trip whether a queue stands that does not drain, or does.
func (e *estimate) queue(trip time.Duration) (overuse, draining bool) {
	if trip < 0 {
		return false, false
	}
	e.trips[e.next] = trip
	e.next = (e.next + 1) % baseWindow
	base := trip
	for _, t := range e.trips {
		if t >= 0 {
			base = min(base, t)
		}
	}
	stands := trip-base > queueing
	draining = stands && e.before >= 0 && trip < e.before
	e.before = trip
	return stands && !draining, draining
}

// audioKbps is what a rate of the path leaves for audio in frames of a length.
func audioKbps(path float64, t model.Transport, frame uint8) float64 {
	return path - overheadKbps(t, frame)
}

// overheadKbps is what headers cost.
func overheadKbps(t model.Transport, frame uint8) float64 {
	return float64(t.OverheadBytes()) * 8 / float64(frame)
}
