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
			return &tgcalls{escape: escape{relay: relay}, estimate: newEstimate(8, 6, 32)}
		},
	}
}

type tgcalls struct {
	escape
	estimate estimate
}

const tgcallsFrame = 120

func (t *tgcalls) Decide(_ *model.Context, m *model.Measurement) model.Action {
	kbps := int(t.estimate.next(m))
	return t.apply(model.Action{
		Codec: model.CodecOpus, BitrateKbps: uint8(kbps), Bandwidth: model.AutomaticBandwidth(uint8(kbps)), FrameMillis: tgcallsFrame,
		ExpectedLoss: expected(m.LossBefore), Transport: model.TransportDirect,
	}, m)
}

// expected is the loss WebRTC tells its encoder when FEC is on: what receiver reports show, in percent. At 0 the encoder
// adds nothing.
func expected(loss float64) uint8 {
	if !(loss >= 0.01) {
		return 0
	}
	return uint8(min(100*loss, model.MaxExpectedLoss))
}
