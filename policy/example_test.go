package policy_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

// What a pion client adds: a factory per call leg, first in the registry, closed with the call.
func ExampleNewInterceptor() {
	var (
		source   policy.Holder // in a client: the client of policy/delivery
		opus     encoder       // in a client: codec/opus
		segments recorder      // in a client: telemetry's Reporter.Call
		speaker  player        // in a client: codec/playout
	)
	leg, err := policy.NewInterceptor(
		policy.WithSource(&source),
		policy.WithContext(model.Context{Network: model.Network4G, Metered: model.MeteredYes}),
		policy.WithEncoder(&opus),
		policy.WithRecorder(&segments),
		policy.WithPlayout(&speaker),
		policy.WithQuality(codec.Measured{}),
	)
	if err != nil {
		slog.Error("call", "error", err)
		return
	}
	fmt.Println("gather candidates for:", leg.Action())

	media, registry := new(webrtc.MediaEngine), new(interceptor.Registry)
	registry.Add(leg) // before the others, so that it sees their sender reports
	if err := media.RegisterDefaultCodecs(); err != nil {
		slog.Error("call", "error", err)
	}
	if err := webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		slog.Error("call", "error", err)
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry))
	connection, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		slog.Error("call", "error", err)
		return
	}
	// ... the call ...
	if err := connection.Close(); err != nil {
		slog.Error("call", "error", err)
	}
	if err := leg.Close(); err != nil {
		slog.Error("call", "error", err)
	}
	for _, s := range segments.all() {
		fmt.Println("recorded:", s.Cause, s.Action, s.Propensity)
	}
	// Output:
	// gather candidates for: opus 32k fullband 20ms fec10 direct
	// recorded: start opus 32k fullband 20ms fec10 direct 1000000
}

// A client that does redundant audio.
func ExampleWithRED() {
	media, registry := new(webrtc.MediaEngine), new(interceptor.Registry)
	red := webrtc.RTPCodecParameters{PayloadType: 63, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: "audio/red", ClockRate: 48000, Channels: 2, SDPFmtpLine: "111/111",
	}}
	leg, err := policy.NewInterceptor(policy.WithRED())
	if err := errors.Join(err, media.RegisterDefaultCodecs(), media.RegisterCodec(red, webrtc.RTPCodecTypeAudio)); err != nil {
		slog.Error("call", "error", err)
		return
	}
	registry.Add(leg)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry))
	connection, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		slog.Error("call", "error", err)
		return
	}
	player, began := playout.NewPlayer(playout.Config{}, nil), time.Now() // with a decoder
	connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, attributes, err := track.ReadRTP()
			if err != nil {
				return
			}
			now := time.Since(began)
			for _, frame := range policy.Repeated(attributes) {
				player.PushRedundant(now, frame.SequenceNumber, frame.Timestamp, frame.Payload)
			}
			player.Push(now, packet.SequenceNumber, packet.Timestamp, packet.Payload)
		}
	})
	// When offer and answer have been exchanged:
	if local, remote := connection.LocalDescription(), connection.RemoteDescription(); local != nil && remote != nil {
		leg.Negotiated(local.SDP, remote.SDP)
	}
	if _, err := connection.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio); err != nil {
		slog.Error("call", "error", err)
		return
	}
	offer, err := connection.CreateOffer(nil)
	fmt.Println("offers redundant audio:", err == nil && strings.Contains(offer.SDP, "a=rtpmap:63 red/48000/2"))
	if err := errors.Join(connection.Close(), leg.Close()); err != nil {
		slog.Error("call", "error", err)
	}
	// Output:
	// offers redundant audio: true
}

func ExampleParse() {
	d := policy.Document{
		Format: policy.Format, FeatureSpec: model.FeatureSpec, Version: 1,
		Created: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Expires: time.Date(2026, 12, 23, 0, 0, 0, 0, time.UTC),
		Catalogue: model.Catalogue{model.DefaultAction()}, Price: model.DefaultPrice(), IntervalSeconds: 5,
		Envelope: policy.SafeEnvelope(),
		Arms: []policy.Arm{{
			Name: "default", Weight: policy.WeightScale, Default: map[model.NetworkType]int{model.NetworkUnknown: 0},
		}},
	}
	encoded, err := d.Marshal()
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := policy.Parse(encoded, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("version", p.Version(), "until", p.Expires().Format(time.DateOnly))

	// One wrong byte, and nothing is taken.
	encoded[len(encoded)-3] ^= 1
	_, err = policy.Parse(encoded, nil)
	fmt.Println("refused:", err != nil)
	// Output:
	// version 1 until 2026-12-23
	// refused: true
}

func ExampleDecider_Decide() {
	p := policy.Builtin()
	decider, err := policy.NewDecider(p, p.Assign(42), policy.Limits{MaxBitrateKbps: 24})
	if err != nil {
		fmt.Println(err)
		return
	}
	behindFirewall := model.Context{Network: model.NetworkWiFi, Reach: model.ReachTCPOnly}
	decision := decider.Decide(&behindFirewall, policy.TransportLock{}, rand.New(rand.NewPCG(1, 2)))
	fmt.Println(decision.Action, decision.Propensity)
	// Output:
	// opus 24k superwideband 20ms fec10 relay-tcp 1000000
}
