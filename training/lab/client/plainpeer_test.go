package client_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/codec/opus"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/client"
	"github.com/attune-calls/attune/training/lab/vnet"
)

// plainPeer is a pion client that knows nothing of the policy. It keeps the packets it gets, as they come.
type plainPeer struct {
	t          testing.TB
	connection *webrtc.PeerConnection
	track      *webrtc.TrackLocalStaticRTP

	mu  sync.Mutex
	got []*rtp.Packet
}

func newPlainPeer(t testing.TB, host *vnet.Host, media *webrtc.MediaEngine, sends string) *plainPeer {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetNet(host)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	p := &plainPeer{t: t}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(new(interceptor.Registry)))
	var err error
	if p.connection, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	p.connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.got = append(p.got, packet)
			p.mu.Unlock()
		}
	})
	p.track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: sends, ClockRate: 48000, Channels: 2}, "audio", "plain")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.connection.AddTrack(p.track); err != nil {
		t.Fatal(err)
	}
	return p
}

// describe makes an offer or an answer with all candidates.
func (p *plainPeer) describe(what func() (webrtc.SessionDescription, error)) client.Description {
	p.t.Helper()
	d, err := what()
	if err != nil {
		p.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.connection)
	if err := p.connection.SetLocalDescription(d); err != nil {
		p.t.Fatal(err)
	}
	<-gathered
	return client.Description{Type: d.Type, SDP: p.connection.LocalDescription().SDP, Transport: model.TransportDirect}
}

func (p *plainPeer) answer(offer client.Description) client.Description {
	p.t.Helper()
	if err := p.connection.SetRemoteDescription(webrtc.SessionDescription{Type: offer.Type, SDP: offer.SDP}); err != nil {
		p.t.Fatal(err)
	}
	return p.describe(func() (webrtc.SessionDescription, error) { return p.connection.CreateAnswer(nil) })
}

// packets are those that came, by payload type.
func (p *plainPeer) packets() map[uint8][]*rtp.Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[uint8][]*rtp.Packet)
	for _, packet := range p.got {
		all[packet.PayloadType] = append(all[packet.PayloadType], packet)
	}
	return all
}

// TestPlainPeerWithoutRED: pion's own codecs have no redundant audio.
func TestPlainPeerWithoutRED(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "ethernet", holding(static(t, 3, repeating(1, speak(model.TransportDirect)))))
		media := new(webrtc.MediaEngine)
		if err := media.RegisterDefaultCodecs(); err != nil {
			t.Fatal(err)
		}
		peer := newPlainPeer(t, l.hosts[1], media, webrtc.MimeTypeOpus)
		caller, err := client.Dial(t.Context(), l.caller.config, exchange(func(offer client.Description) (client.Description, error) {
			answer := peer.answer(offer)
			if strings.Contains(strings.ToLower(answer.SDP), " red/48000") {
				t.Errorf("pion takes redundant audio by itself now:\n%s", answer.SDP)
			}
			return answer, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := caller.Run(t.Context(), 5*time.Second); err != nil {
			t.Fatal(err)
		}
		if err := peer.connection.Close(); err != nil {
			t.Fatal(err)
		}
		got := peer.packets()
		if len(got) != 1 || len(got[111]) < 200 {
			t.Errorf("%d payload types, %d packets of Opus", len(got), len(got[111]))
		}
		for _, packet := range got[111] {
			if d := opus.PacketDuration(packet.Payload); d != 20*time.Millisecond {
				t.Fatalf("a packet of %v", d)
			}
		}
		if len(l.caller.segments) == 0 || l.caller.segments[0].Action != model.DefaultAction() {
			t.Errorf("%v", l.caller.segments)
		}
	})
}

// TestPlainPeerWithRED: a peer with payload types of its own gets redundant audio with them, and what it repeats is played.
func TestPlainPeerWithRED(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "ethernet", holding(static(t, 3, repeating(1, speak(model.TransportDirect)))))
		media := new(webrtc.MediaEngine)
		for payloadType, c := range map[webrtc.PayloadType]webrtc.RTPCodecCapability{
			96: {MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"},
			97: {MimeType: "audio/red", ClockRate: 48000, Channels: 2, SDPFmtpLine: "96/96"},
		} {
			if err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: c, PayloadType: payloadType}, webrtc.RTPCodecTypeAudio); err != nil {
				t.Fatal(err)
			}
		}
		peer := newPlainPeer(t, l.hosts[0], media, "audio/red")
		offer := peer.describe(func() (webrtc.SessionDescription, error) { return peer.connection.CreateOffer(nil) })
		callee, answer, err := client.Accept(t.Context(), l.callee.config, offer)
		if err != nil {
			t.Fatal(err)
		}
		if err := peer.connection.SetRemoteDescription(webrtc.SessionDescription{Type: answer.Type, SDP: answer.SDP}); err != nil {
			t.Fatal(err)
		}
		var talking sync.WaitGroup
		talking.Go(func() { peer.talk(96, 400) })
		if err := callee.Run(t.Context(), 6*time.Second); err != nil {
			t.Error(err)
		}
		talking.Wait()
		if err := peer.connection.Close(); err != nil {
			t.Error(err)
		}
		got := peer.packets()
		if len(got[97]) < 200 {
			t.Errorf("%d packets of RED, %d of Opus in\n%s", len(got[97]), len(got[96]), answer.SDP)
		}
		var before []byte
		for _, packet := range got[97] {
			blocks, err := codec.ParseRED(packet.Payload, nil)
			if err != nil || len(blocks) != 2 || blocks[0].PayloadType != 96 || blocks[1].PayloadType != 96 || blocks[0].Offset != 960 {
				t.Fatalf("%v: %+v", err, blocks)
			}
			if before != nil && !bytes.Equal(blocks[0].Payload, before) {
				t.Fatal("a packet repeats something else than the one before")
			}
			before = blocks[1].Payload
		}
		// Every fifth packet was left out, but not its repetition.
		played := callee.Playout()
		lost := played.Expected - played.Received
		if lost < 40 || played.FECSamples < uint64(lost-3)*960 || played.ConcealedSamples > 10*960 {
			t.Errorf("%+v", played)
		}
	})
}

// talk sends 20 ms packets of RED that repeat the one before, and leaves every fifth out.
func (p *plainPeer) talk(primary uint8, packets int) {
	for p.connection.ConnectionState() != webrtc.PeerConnectionStateConnected {
		time.Sleep(20 * time.Millisecond)
	}
	encoder, err := opus.NewEncoder(opus.Config{})
	if err != nil {
		p.t.Error(err)
		return
	}
	speech, position := voice(), 0
	var before []byte
	pcm := make([]int16, 960)
	for n := range packets {
		position += copy(pcm, speech[position%len(speech):])
		frame, err := encoder.Encode(pcm)
		if err != nil {
			p.t.Error(err)
			return
		}
		blocks := []codec.REDBlock{{PayloadType: primary, Payload: frame.Payload}}
		if before != nil {
			blocks = append([]codec.REDBlock{{PayloadType: primary, Offset: 960, Payload: before}}, blocks...)
		}
		payload, err := codec.AppendRED(nil, blocks)
		if err != nil {
			p.t.Error(err)
			return
		}
		before = bytes.Clone(frame.Payload)
		if n%5 != 4 {
			packet := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(n * 960)}, Payload: payload}
			if err := p.track.WriteRTP(packet); err != nil {
				return // the callee has hung up
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}
