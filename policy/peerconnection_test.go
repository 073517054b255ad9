package policy_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/transport/v4/vnet"
	"github.com/pion/webrtc/v4"
)

// peer is one client with a real peer connection on a virtual network.
type peer struct {
	connection *webrtc.PeerConnection
	factory    *policy.Factory
	segments   *recorder
	track      *webrtc.TrackLocalStaticRTP
	heard      player
	connected  chan struct{}
}

// player stands in for a jitter buffer: it plays what comes and makes up what is missing.
type player struct {
	mu      sync.Mutex
	started bool
	highest uint16
	totals  model.Playout
}

func (p *player) play(sequence uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	step := uint16(1)
	if p.started {
		step = sequence - p.highest
	}
	p.started, p.highest = true, sequence
	p.totals.Received++
	p.totals.Expected += uint32(step)
	p.totals.TotalSamples += uint64(step) * 960
	p.totals.ConcealedSamples += uint64(step-1) * 960
	if step > 1 {
		p.totals.LossRuns++
	}
	p.totals.JitterBufferDelay = 40 * time.Millisecond
}

func (p *player) Playout() model.Playout {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.totals
}

func newPeer(t *testing.T, network *vnet.Net) *peer {
	t.Helper()
	p := &peer{segments: &recorder{t: t}, connected: make(chan struct{})}
	factory, err := policy.NewInterceptor(
		policy.WithRecorder(p.segments), policy.WithPlayout(&p.heard), policy.WithQuality(codec.Measured{}),
		policy.WithInterval(3*time.Second), policy.WithContext(model.Context{Network: model.NetworkWiFi}),
	)
	if err != nil {
		t.Fatal(err)
	}
	p.factory = factory

	var media webrtc.MediaEngine
	registry := new(interceptor.Registry)
	registry.Add(factory)
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	if err := webrtc.RegisterDefaultInterceptors(&media, registry); err != nil {
		t.Fatal(err)
	}
	var settings webrtc.SettingEngine
	settings.SetNet(network)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings))
	if p.connection, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	p.track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "speech", "call")
	if err != nil {
		t.Fatal(err)
	}
	sender, err := p.connection.AddTrack(p.track)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // pion hands RTCP to interceptors as the client reads it
		buffer := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(buffer); err != nil {
				return
			}
		}
	}()
	p.connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			p.heard.play(packet.SequenceNumber)
		}
	})
	p.connection.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(p.connected)
		}
	})
	return p
}

// talk sends Opus-sized packets until the deadline.
func (p *peer) talk(t *testing.T, until time.Time) {
	packet := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: 65000}, Payload: make([]byte, 80)}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for now := range ticker.C {
		if now.After(until) {
			return
		}
		if err := p.track.WriteRTP(packet); err != nil {
			t.Error(err)
			return
		}
		packet.SequenceNumber++
		packet.Timestamp += 960
	}
}

func connect(t *testing.T, from, to *peer) {
	t.Helper()
	describe := func(p *peer, make func() (webrtc.SessionDescription, error)) webrtc.SessionDescription {
		t.Helper()
		description, err := make()
		if err != nil {
			t.Fatal(err)
		}
		gathered := webrtc.GatheringCompletePromise(p.connection)
		if err := p.connection.SetLocalDescription(description); err != nil {
			t.Fatal(err)
		}
		<-gathered
		return *p.connection.LocalDescription()
	}
	offer := describe(from, func() (webrtc.SessionDescription, error) { return from.connection.CreateOffer(nil) })
	if err := to.connection.SetRemoteDescription(offer); err != nil {
		t.Fatal(err)
	}
	answer := describe(to, func() (webrtc.SessionDescription, error) { return to.connection.CreateAnswer(nil) })
	if err := from.connection.SetRemoteDescription(answer); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{from, to} {
		select {
		case <-p.connected:
		case <-time.After(20 * time.Second):
			t.Fatal("no connection within 20 s")
		}
	}
}

// Two real peer connections over a virtual network of 30 ms each way, which loses every tenth speech packet of the
// caller and none of the callee.
func TestTwoPeerConnections(t *testing.T) {
	const callerIP, calleeIP = "10.1.0.2", "10.1.0.3"
	wan, err := vnet.NewRouter(&vnet.RouterConfig{
		CIDR: "10.1.0.0/24", MinDelay: 30 * time.Millisecond, LoggerFactory: logging.NewDefaultLoggerFactory(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	speech := 0
	wan.AddChunkFilter(func(c vnet.Chunk) bool {
		data := c.UserData()
		source, ok := c.SourceAddr().(*net.UDPAddr)
		rtcp := len(data) > 1 && data[1]&0x7f >= 64 && data[1]&0x7f < 96 // RFC 5761
		if !ok || source.IP.String() != callerIP || len(data) < 2 || data[0]>>6 != 2 || rtcp {
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		speech++
		return speech%10 != 0
	})
	var peers []*peer
	for _, ip := range []string{callerIP, calleeIP} {
		network, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{ip}})
		if err != nil {
			t.Fatal(err)
		}
		if err := wan.AddNet(network); err != nil {
			t.Fatal(err)
		}
		peers = append(peers, newPeer(t, network))
	}
	if err := wan.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := wan.Stop(); err != nil {
			t.Error(err)
		}
	}()
	caller, callee := peers[0], peers[1]
	connect(t, caller, callee)

	until := time.Now().Add(8 * time.Second)
	var talking sync.WaitGroup
	for _, p := range peers {
		talking.Go(func() { p.talk(t, until) })
	}
	talking.Wait()
	for _, p := range peers {
		if err := p.connection.Close(); err != nil {
			t.Error(err)
		}
		if err := p.factory.Close(); err != nil {
			t.Error(err)
		}
		if counts := p.factory.Counts(); counts.Panics != 0 || counts.BadRTCP != 0 || p.factory.Err() != nil {
			t.Errorf("%+v %v", counts, p.factory.Err())
		}
	}

	for _, c := range []struct {
		name      string
		peer      *peer
		low, high float64 // loss the far end saw
	}{{"caller", caller, 0.06, 0.14}, {"callee", callee, 0, 0.01}} {
		segments := c.peer.segments.all()
		if len(segments) < 3 {
			t.Fatalf("%s: %d segments", c.name, len(segments))
		}
		for i, s := range segments[:2] {
			o := s.Outcome
			if o.LossBefore < model.ScaleOutcomeLoss.Bucket(c.low) || o.LossBefore > model.ScaleOutcomeLoss.Bucket(c.high) ||
				o.LossAfter != o.LossBefore || o.MOS == 0 || o.Rate == 0 || o.JitterBufferDelay != model.ScaleDelay.Bucket(40) {
				t.Errorf("%s, segment %d: %+v", c.name, i, o)
			}
		}
		// Sender reports go out each second, so the second segment has round trips for sure. The upper bound leaves
		// room for a busy machine.
		second, third := segments[1], segments[2]
		if rtt := model.ScaleDelay.Value(second.Outcome.RoundTripTime); !(rtt > 50 && rtt < 2500) {
			t.Errorf("%s: round trip of %v ms", c.name, rtt)
		}
		if third.Context.RoundTripTime == 0 || third.Context.Jitter == 0 || third.Context.Loss == 0 || third.Context.Bandwidth == 0 ||
			third.Context.Network != model.NetworkWiFi || third.Context.Previous != model.DefaultAction() {
			t.Errorf("%s: the third decision knew %+v", c.name, third.Context)
		}
	}
	lossy, clean := caller.segments.all()[1].Outcome.MOS, callee.segments.all()[1].Outcome.MOS
	if lossy >= clean {
		t.Errorf("the lossy direction sounds no worse: bucket %d against %d", lossy, clean)
	}
}
