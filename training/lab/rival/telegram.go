package rival

import (
	"math"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// Telegram follows libtgvoip with the values that Telegram's servers pushed unchanged from 2017 to 2020 (its
// VoIPServerConfig): frames of 60 ms; a bitrate that moves by 1 kbps a second so that the bytes in flight stay near the
// congestion window of 1024 bytes; extra error correction above 2 % loss, at the lowest rate.
//
// What differs: the bytes in flight are the rate times the round trip, since the client counts those its peer has not
// acknowledged; extra error correction, which repeats earlier frames in each packet, is Opus with RED; the client's own
// relays, reflectors that it pings all the time, are the one relay of the laboratory, taken when the direct path is dead.
func Telegram() Rival {
	return Rival{
		Name: "telegram", About: "libtgvoip: 8..20 kbps by bytes in flight, 60 ms, repeats frames above 2 % loss", Every: time.Second,
		New: func(relay model.Site) policy.Rule { return &telegram{escape: escape{relay: relay}} },
	}
}

const (
	telegramWindow = 1024.0 // bytes
	telegramStep   = 1      // kbps
	telegramMin    = 8
	telegramStart  = 16
	telegramMax    = 20
	telegramEdge   = 16 // audio_max_bitrate_edge
	telegramGPRS   = 8  // audio_max_bitrate_gprs and _saving
)

// telegramLevels are the losses above which each level of extra error correction begins.
var telegramLevels = []struct {
	loss  float64
	depth uint8
}{{0.08, 3}, {0.05, 2}, {0.02, 1}}

type telegram struct {
	escape
	kbps int
}

func (t *telegram) Decide(c *model.Context, m *model.Measurement) model.Action {
	highest, start := telegramMax, telegramStart
	if c.Network == model.Network2G {
		highest, start = telegramEdge, telegramMin
	}
	if t.kbps == 0 {
		t.kbps = start
	} else if m.RoundTripTime > 0 && !math.IsNaN(m.SentKbps) {
		inFlight := float64(t.kbps) * 1000 / 8 * m.RoundTripTime.Seconds()
		switch {
		case inFlight > telegramWindow*1.1:
			t.kbps -= telegramStep
		case inFlight < telegramWindow*0.9:
			t.kbps += telegramStep
		}
	}
	t.kbps = min(max(t.kbps, telegramMin), highest)
	a := model.Action{
		Codec: model.CodecOpus, BitrateKbps: uint8(t.kbps), Bandwidth: model.AutomaticBandwidth(uint8(t.kbps)), FrameMillis: 60,
		Transport: model.TransportDirect,
	}
	for _, level := range telegramLevels {
		if m.LossBefore > level.loss {
			a.Codec, a.REDDepth = model.CodecOpusRED, level.depth
			a.BitrateKbps, a.Bandwidth = telegramMin, model.AutomaticBandwidth(telegramMin)
			break
		}
	}
	return t.apply(a, m)
}
