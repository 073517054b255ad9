package rival

import (
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// Adaptor is WebRTC's audio network adaptor: four controllers, for bitrate, frame length, FEC and DTX, each with
// other thresholds for going in than for coming back (modules/audio_coding/audio_network_adaptor). The thresholds are
// those of its tests: of the frame-length controller for all of 20, 40, 60 and 120 ms, of which a client that shipped had
// the same for 20, 60 and 120; of the controller manager for FEC and DTX. The bandwidth comes from an estimate of WebRTC's
// kind.
func Adaptor() Rival {
	return Rival{
		Name: "ana", About: "WebRTC's audio network adaptor: bitrate, frame length, FEC and DTX with hysteresis", Every: time.Second,
		New: func(relay model.Site) policy.Rule {
			return &adaptor{escape: escape{relay: relay}, estimate: newEstimate(64, 6, 300), frame: 20}
		},
	}
}

type adaptor struct {
	escape
	estimate estimate // of the whole path, headers included
	frame    uint8
	fec, dtx bool
}

const (
	adaptorMax      = 32 // kbps: WebRTC's default for mono Opus
	adaptorMin      = 6
	adaptorHeadroom = 5 // kbps above the least rate that a frame length must leave

	dtxIn, dtxOut = 55, 65 // kbps

	framesLongerLoss  = 0.04 // frames may become longer up to this loss
	framesShorterLoss = 0.05 // and become shorter from this loss on
)

// The bandwidths in kbps at which frames become longer, and shorter again.
var (
	longer  = map[uint8]struct{ to, below uint8 }{20: {40, 45}, 40: {60, 40}, 60: {120, 30}}
	shorter = map[uint8]struct{ to, above uint8 }{40: {20, 50}, 60: {40, 45}, 120: {60, 40}}
)

// curve is a line in the plane of bandwidth and loss between two points; left of the first it is a wall, right of the
// second it is level.
type curve struct{ lowKbps, lowLoss, highKbps, highLoss float64 }

var (
	fecIn  = curve{17, 0.10, 64, 0.05}
	fecOut = curve{15, 0.08, 64, 0.01}
)

// above reports whether a point lies right of the wall and above the line.
func (c curve) above(kbps, loss float64) bool {
	switch {
	case kbps < c.lowKbps:
		return false
	case kbps >= c.highKbps:
		return loss >= c.highLoss
	default:
		share := (kbps - c.lowKbps) / (c.highKbps - c.lowKbps)
		return loss >= c.lowLoss+share*(c.highLoss-c.lowLoss)
	}
}

func (a *adaptor) Decide(c *model.Context, m *model.Measurement) model.Action {
	transport := c.Previous.Transport
	bandwidth := a.estimate.take(m, transport)
	loss := max(m.LossBefore, 0)
	if m.LossBefore != m.LossBefore { // NaN
		loss = 0
	}
	a.frameLength(bandwidth, loss, transport)
	if a.fec {
		a.fec = fecOut.above(bandwidth, loss)
	} else {
		a.fec = fecIn.above(bandwidth, loss)
	}
	if a.dtx {
		a.dtx = bandwidth < dtxOut
	} else {
		a.dtx = bandwidth <= dtxIn
	}
	kbps := uint8(min(max(audioKbps(bandwidth, transport, a.frame), adaptorMin), adaptorMax))
	action := model.Action{
		Codec: model.CodecOpus, BitrateKbps: kbps, Bandwidth: model.AutomaticBandwidth(kbps), FrameMillis: a.frame, DTX: a.dtx,
	}
	if a.fec {
		action.ExpectedLoss = max(expected(m.LossBefore), 1)
	}
	return a.apply(action, c, m)
}

// frameLength makes frames longer where headers cost too much, and shorter where there is room or loss.
func (a *adaptor) frameLength(bandwidth, loss float64, transport model.Transport) {
	fits := func(frame uint8) bool {
		return bandwidth > adaptorMin+adaptorHeadroom+overheadKbps(transport, frame)
	}
	if step, ok := longer[a.frame]; ok &&
		(!fits(a.frame) || bandwidth <= float64(step.below) && loss <= framesLongerLoss) {
		a.frame = step.to
		return
	}
	if step, ok := shorter[a.frame]; ok && fits(step.to) &&
		(bandwidth >= float64(step.above) || loss >= framesShorterLoss) {
		a.frame = step.to
	}
}
