package model

import (
	"fmt"
	"strings"
	"time"
)

// Site is a relay site, an index into the policy's list of sites; 0 means none, as a direct path has.
type Site uint8

// Action is one way to run the sending side of a call. The zero Action is no action and never valid.
type Action struct {
	Codec        Codec          `json:"codec"`
	BitrateKbps  uint8          `json:"bitrateKbps"`
	Bandwidth    AudioBandwidth `json:"bandwidth"`
	FrameMillis  uint8          `json:"frameMillis"`            // 20, 40, 60 or 120
	ExpectedLoss uint8          `json:"expectedLoss,omitempty"` // percent the in-band FEC is told to expect; 0 = FEC off
	REDDepth     uint8          `json:"redDepth,omitempty"`     // earlier frames repeated in each packet, for CodecOpusRED
	DTX          bool           `json:"dtx,omitempty"`          // send nothing during silence
	Transport    Transport      `json:"transport"`              //
	Site         Site           `json:"site,omitempty"`         // of the relay; 0 for a direct path
}

// Limits of what an Action can say at all. The safe envelope of the policy package is narrower.
const (
	MinBitrateKbps  = 6
	MaxBitrateKbps  = 128
	MaxExpectedLoss = 50
	MaxREDDepth     = 4
)

// FEC reports whether in-band forward error correction is on.
func (a Action) FEC() bool { return a.ExpectedLoss > 0 }

// FrameDuration is FrameMillis as a duration.
func (a Action) FrameDuration() time.Duration { return time.Duration(a.FrameMillis) * time.Millisecond }

// Validate names the first field that no encoder or path could honour.
func (a Action) Validate() error {
	switch {
	case a.Codec == CodecUnknown || !a.Codec.Valid():
		return fmt.Errorf("codec %v is not a choice", a.Codec)
	case a.BitrateKbps < MinBitrateKbps || a.BitrateKbps > MaxBitrateKbps:
		return fmt.Errorf("bitrate %d kbps is outside %d..%d", a.BitrateKbps, MinBitrateKbps, MaxBitrateKbps)
	case a.Bandwidth == BandwidthUnknown || !a.Bandwidth.Valid():
		return fmt.Errorf("audio bandwidth %v is not a choice", a.Bandwidth)
	case a.FrameMillis != 20 && a.FrameMillis != 40 && a.FrameMillis != 60 && a.FrameMillis != 120:
		return fmt.Errorf("frame of %d ms is not one of 20, 40, 60, 120", a.FrameMillis)
	case a.ExpectedLoss > MaxExpectedLoss:
		return fmt.Errorf("expected loss %d %% is above %d", a.ExpectedLoss, MaxExpectedLoss)
	case a.REDDepth > MaxREDDepth:
		return fmt.Errorf("redundancy depth %d is above %d", a.REDDepth, MaxREDDepth)
	case (a.REDDepth > 0) != (a.Codec == CodecOpusRED):
		return fmt.Errorf("codec %v with redundancy depth %d", a.Codec, a.REDDepth)
	case a.Transport == TransportUnknown || !a.Transport.Valid():
		return fmt.Errorf("transport %v is not a choice", a.Transport)
	case a.Transport == TransportDirect && a.Site != 0:
		return fmt.Errorf("a direct path has no relay site, got %d", a.Site)
	}
	return nil
}

// String is compact and for people: "opus 24k superwideband 20ms fec10 direct".
func (a Action) String() string {
	if a == (Action{}) {
		return "none"
	}
	parts := []string{
		a.Codec.String(), fmt.Sprintf("%dk", a.BitrateKbps), a.Bandwidth.String(), fmt.Sprintf("%dms", a.FrameMillis),
	}
	if a.FEC() {
		parts = append(parts, fmt.Sprintf("fec%d", a.ExpectedLoss))
	}
	if a.REDDepth > 0 {
		parts = append(parts, fmt.Sprintf("red%d", a.REDDepth))
	}
	if a.DTX {
		parts = append(parts, "dtx")
	}
	parts = append(parts, a.Transport.String())
	if a.Site > 0 {
		parts = append(parts, fmt.Sprintf("site%d", a.Site))
	}
	return strings.Join(parts, " ")
}

// OverheadBytes is what one packet costs on the wire beyond its RTP payload: RTP header (12), SRTP tag (10), and
// UDP/IPv4 (28), plus TURN ChannelData (4) through a relay, TCP/IPv4 instead of UDP (40, RFC 4571 framing inside
// ChannelData), and a TLS 1.3 record (22) where there is one.
func (t Transport) OverheadBytes() int {
	const rtpAndSRTP = 12 + 10
	switch t {
	case TransportRelayUDP:
		return rtpAndSRTP + 28 + 4
	case TransportRelayTCP:
		return rtpAndSRTP + 40 + 4
	case TransportRelayTLS:
		return rtpAndSRTP + 40 + 4 + 22
	default:
		return rtpAndSRTP + 28
	}
}

// WireKbps is the rate an action puts on the wire while speech is sent, headers included.
func (a Action) WireKbps() float64 {
	packetsPerSecond := 1000 / float64(a.FrameMillis)
	return float64(a.BitrateKbps)*float64(1+a.REDDepth) + packetsPerSecond*float64(a.Transport.OverheadBytes())*8/1000
}

// DefaultAction is what a client does without any policy: the settings common WebRTC clients start an Opus call with
// (RFC 7587 defaults: 20 ms frames, in-band FEC offered), on a direct path.
func DefaultAction() Action {
	return Action{
		Codec: CodecOpus, BitrateKbps: 32, Bandwidth: BandwidthFull, FrameMillis: 20, ExpectedLoss: 10,
		Transport: TransportDirect,
	}
}

// AutomaticBandwidth is the audio bandwidth that libopus chooses by itself for speech at a bitrate in kbps (libopus 1.3,
// src/opus_encoder.c, thresholds for mono voice). Superwideband lies between 13.5 and 14 kbps only, and is left out.
func AutomaticBandwidth(kbps uint8) AudioBandwidth {
	switch {
	case kbps < 9:
		return BandwidthNarrow
	case kbps < 14:
		return BandwidthWide
	default:
		return BandwidthFull
	}
}
