package rival

import (
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// Tgcalls is Telegram's client of today: WebRTC's encoder with 6, 8 and 32 kbps as least, first and highest bitrate, frames of
// 120 ms, FEC on, driven by WebRTC's estimate of the bandwidth.
func Tgcalls() Rival {
	return Rival{
		Name: "tgcalls", About: "WebRTC at 6..32 kbps from 8, 120 ms frames, FEC on", Every: time.Second,
		New: func(relay model.Site) policy.Rule {
			headers := overheadKbps(model.TransportDirect, tgcallsFrame)
			return &tgcalls{escape: escape{relay: relay}, estimate: newEstimate(tgcallsStart+headers, tgcallsMin, 300)}
		},
	}
}

type tgcalls struct {
	escape
	estimate estimate
}

const (
	tgcallsFrame                         = 120
	tgcallsMin, tgcallsStart, tgcallsMax = 6, 8, 32 // kbps
)

func (t *tgcalls) Decide(c *model.Context, m *model.Measurement) model.Action {
	path := t.estimate.take(m, c.Previous.Transport)
	kbps := uint8(min(max(audioKbps(path, c.Previous.Transport, tgcallsFrame), tgcallsMin), tgcallsMax))
	return t.apply(model.Action{
		Codec: model.CodecOpus, BitrateKbps: kbps, Bandwidth: model.AutomaticBandwidth(kbps), FrameMillis: tgcallsFrame,
		ExpectedLoss: expected(m.LossBefore),
	}, c, m)
}

// expected is the loss WebRTC tells its encoder when FEC is on: what receiver reports show, in percent. At 0 the encoder
// adds nothing.
func expected(loss float64) uint8 {
	if !(loss >= 0.01) {
		return 0
	}
	return uint8(min(100*loss, model.MaxExpectedLoss))
}
