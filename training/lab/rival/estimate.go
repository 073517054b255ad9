package rival

import (
	"math"
	"time"

	"github.com/attune-calls/attune/model"
)

// estimate is a bandwidth estimate in the manner of WebRTC's: loss-based (draft-ietf-rmcat-gcc-02, section 6: above 10 %
// loss the rate falls by half of it, below 2 % it rises by 5 %, in between it stays), and delay-based (section 5: when a
// queue builds up, 0.85 times what came through). Queueing is seen in the round trip, once a second, where WebRTC sees it
// in the arrival of each packet.
type estimate struct {
	kbps, least, most float64
	base              time.Duration // the shortest round trip
}

func newEstimate(start, least, most float64) estimate {
	return estimate{kbps: start, least: least, most: most, base: -1}
}

const (
	queueing = 50 * time.Millisecond // of standing queue that counts as overuse
	backOff  = 0.85
	rise     = 1.05
)

// next takes the measurement of the last second and gives the rate for the audio, in kbps.
func (e *estimate) next(m *model.Measurement) float64 {
	if math.IsNaN(m.SentKbps) {
		return e.kbps
	}
	if m.RoundTripTime >= 0 && (e.base < 0 || m.RoundTripTime < e.base) {
		e.base = m.RoundTripTime
	}
	loss := m.LossBefore
	switch {
	case m.RoundTripTime >= 0 && m.RoundTripTime-e.base > queueing:
		e.kbps *= backOff
	case loss > 0.10:
		e.kbps *= 1 - 0.5*loss
	case loss < 0.02:
		e.kbps = e.kbps*rise + 0.5
	}
	e.kbps = min(max(e.kbps, e.least), e.most)
	return e.kbps
}
