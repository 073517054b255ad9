package rival

import (
	"math"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// Telegram follows libtgvoip with the values that Telegram's servers pushed unchanged from 2017 to 2020 (its
// VoIPServerConfig): frames of 60 ms; a bitrate that moves by 1 kbps a second so that the bytes in flight stay near the
// congestion window of 1024 bytes; above 2 % loss the lowest rate, and each packet repeats up to four frames; a relay when
// its pings are that much faster than the path in use.
//
// What differs: the bytes in flight are the rate times the round trip, since the client counts those its peer has not
// acknowledged; error correction, frames coded once more at a low rate, is Opus with RED; 2G is EDGE and the data saver is
// off, as both were for most; the jitter buffer is that of the laboratory instead of 2 to 10 frames; changing to a relay is
// an ICE restart, which is heard; a call that relays does not come back to the direct path, as nothing tells its round trip
// then.
func Telegram() Rival {
	return Rival{
		Name: "telegram", About: "libtgvoip: 8..20 kbps by bytes in flight, 60 ms, repeats frames above 2 % loss, relays by ping", Every: time.Second,
		New: func(relay model.Site) policy.Rule { return &telegram{escape: escape{relay: relay}} },
	}
}

const (
	telegramWindow    = 1024.0 // bytes
	telegramStep      = 1      // kbps
	telegramMin       = 8
	telegramStart     = 16
	telegramStartEDGE = 8
	telegramMax       = 20
	telegramMaxEDGE   = 16

	// A path is left for a relay whose round trip is below so much of its own. One over TCP counts twice.
	telegramToRelay      = 0.6 // from the direct path: p2p_to_relay_switch_threshold
	telegramBetweenRelay = 0.8 // relay_switch_threshold
	telegramTCPCounts    = 2
)

// telegramLevels are the losses above which each level of extra error correction begins: so many frames are repeated.
var telegramLevels = []struct {
	loss    float64
	repeats uint8
}{{0.08, 4}, {0.05, 3}, {0.02, 2}}

type telegram struct {
	escape
	kbps     int
	direct   pings
	udp, tcp pings // of the relay
}

// Relay is the one that is pinged.
func (t *telegram) Relay() model.Site { return t.relay }

// Pinged takes the round trip of a ping of the relay.
func (t *telegram) Pinged(transport model.Transport, roundTrip time.Duration) {
	if transport == model.TransportRelayUDP {
		t.udp.add(roundTrip)
	} else {
		t.tcp.add(roundTrip)
	}
}

func (t *telegram) Decide(c *model.Context, m *model.Measurement) model.Action {
	highest, start := telegramMax, telegramStart
	if c.Network == model.Network2G {
		highest, start = telegramMaxEDGE, telegramStartEDGE
	}
	repeats := uint8(0)
	for _, level := range telegramLevels {
		if m.LossBefore > level.loss {
			repeats = level.repeats
			break
		}
	}
	switch {
	case t.kbps == 0:
		t.kbps = start
	case repeats > 0:
		t.kbps = telegramMin
	case m.RoundTripTime > 0 && !math.IsNaN(m.SentKbps):
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
	}
	if repeats > 0 {
		a.Codec, a.REDDepth = model.CodecOpusRED, repeats
	}
	a = t.apply(a, c, m)
	if relay := t.faster(a.Transport, m.RoundTripTime); relay != model.TransportUnknown {
		t.at = relay
		a.Transport, a.Site = relay, t.relay
	}
	return a
}

// faster is the relay to change to from a transport that has that round trip, or none.
func (t *telegram) faster(from model.Transport, roundTrip time.Duration) model.Transport {
	udp, tcp := t.udp.mean(), telegramTCPCounts*t.tcp.mean()
	best, to := tcp, model.TransportRelayTCP
	if tcp <= 0 || udp > 0 && udp <= tcp {
		best, to = udp, model.TransportRelayUDP
	}
	switch from {
	case model.TransportDirect:
		if roundTrip > 0 {
			t.direct.add(roundTrip)
		}
		if current := t.direct.mean(); best > 0 && current > 0 && best < telegramToRelay*current {
			return to
		}
	case model.TransportRelayUDP:
		if tcp > 0 && udp > 0 && tcp < telegramBetweenRelay*udp {
			return model.TransportRelayTCP
		}
	case model.TransportRelayTCP:
		if tcp > 0 && udp > 0 && udp < telegramBetweenRelay*tcp {
			return model.TransportRelayUDP
		}
	}
	return model.TransportUnknown
}

// pings are the last round trips of a path, in seconds; mean is 0 without any.
type pings struct {
	last [6]float64
	n    int
}

func (p *pings) add(roundTrip time.Duration) {
	p.last[p.n%len(p.last)] = roundTrip.Seconds()
	p.n++
}

func (p *pings) mean() float64 {
	n := min(p.n, len(p.last))
	if n == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range p.last[:n] {
		sum += v
	}
	return sum / float64(n)
}
