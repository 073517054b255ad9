package client

import (
	"fmt"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/webrtc/v4"

	"github.com/attune-calls/attune/model"
)

// How long ICE waits. A shaped network may be silent for seconds, so a call is disconnected later than pion's 5 s; one
// that stays silent is given up after disconnectedTimeout and failedTimeout together, 27 s, somewhat sooner than
// pion's 30 s.
const (
	disconnectedTimeout = 7 * time.Second
	failedTimeout       = 20 * time.Second
	keepAliveInterval   = 2 * time.Second
)

// connect makes the peer connection with the policy's interceptor in its chain.
func (c *Client) connect() error {
	media, err := c.config.codecs()
	if err != nil {
		return err
	}
	registry, err := c.interceptors()
	if err != nil {
		return err
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(c.settings()))
	if c.peer, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return fmt.Errorf("peer connection: %w", err)
	}
	c.peer.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil {
			c.path.gathered.put()
		}
	})
	c.peer.OnConnectionStateChange(c.stateChanged)
	c.peer.OnICEConnectionStateChange(c.iceStateChanged)
	c.peer.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		c.start(func() { c.listen(receiver) })
		c.start(func() { c.receiver.read(track) })
	})
	if c.track, err = webrtc.NewTrackLocalStaticRTP(opusCodec, "audio", "attune"); err != nil {
		return fmt.Errorf("audio track: %w", err)
	}
	sender, err := c.peer.AddTrack(c.track)
	if err != nil {
		return fmt.Errorf("add audio track: %w", err)
	}
	c.start(func() { drain(sender) })
	return nil
}

// opusCodec is what this client speaks.
var opusCodec = webrtc.RTPCodecCapability{
	MimeType: webrtc.MimeTypeOpus, ClockRate: sampleRate, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
}

// codecs is what this client offers: Opus, and Opus in redundant audio with the payload types that browsers use.
func (c *Config) codecs() (*webrtc.MediaEngine, error) {
	media := new(webrtc.MediaEngine)
	if err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opusCodec, PayloadType: 111}, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, fmt.Errorf("register opus: %w", err)
	}
	if !c.takesRED() {
		return media, nil
	}
	red := webrtc.RTPCodecCapability{MimeType: "audio/red", ClockRate: sampleRate, Channels: 2, SDPFmtpLine: "111/111"}
	if err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: red, PayloadType: 63}, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, fmt.Errorf("register redundant audio: %w", err)
	}
	return media, nil
}

// interceptors is the policy and the RTCP reports it measures by.
func (c *Client) interceptors() (*interceptor.Registry, error) {
	var registry interceptor.Registry
	registry.Add(c.factory) // first, so that it sees the sender reports the next one writes
	receiverReports, err := report.NewReceiverInterceptor()
	if err != nil {
		return nil, fmt.Errorf("receiver reports: %w", err)
	}
	senderReports, err := report.NewSenderInterceptor()
	if err != nil {
		return nil, fmt.Errorf("sender reports: %w", err)
	}
	registry.Add(receiverReports)
	registry.Add(senderReports)
	return &registry, nil
}

func (c *Client) settings() webrtc.SettingEngine {
	var settings webrtc.SettingEngine
	if c.config.Net != nil {
		settings.SetNet(c.config.Net)
	}
	settings.SetICEProxyDialer(c.relayDialer())
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	settings.DisableActiveTCP(true)
	// The profile that every WebRTC endpoint has (RFC 8827, section 6.5) before the one that pion would choose: AES-GCM makes
	// each packet 6 bytes longer, 2.4 kbit/s of a call.
	settings.SetSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AEAD_AES_128_GCM)
	settings.SetICETimeouts(disconnectedTimeout, failedTimeout, keepAliveInterval)
	// A relay candidate is the only kind offered when a relay is chosen: do not wait for a better one.
	settings.SetRelayAcceptanceMinWait(0)
	return settings
}

// start runs what ends when the connection closes at the latest; end waits for it.
func (c *Client) start(run func()) {
	c.starting.Lock()
	defer c.starting.Unlock()
	if c.closing.Err() == nil {
		c.running.Go(run)
	}
}

// drain reads the RTCP that comes for a sender, which reaches the interceptors only when somebody does.
func drain(from *webrtc.RTPSender) {
	buffer := make([]byte, 1500)
	for {
		if _, _, err := from.Read(buffer); err != nil {
			return
		}
	}
}

// stateChanged is called by pion on a goroutine for each change, so in no certain order.
func (c *Client) stateChanged(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateConnected:
		c.connected.happen()
	case webrtc.PeerConnectionStateFailed:
		c.failed.happen()
	case webrtc.PeerConnectionStateClosed: // by DTLS close_notify, or by end, when nobody looks any more
		c.hungUp.happen()
	}
}

// iceStateChanged is called by pion for one change after the other.
func (c *Client) iceStateChanged(state webrtc.ICEConnectionState) {
	switch state {
	case webrtc.ICEConnectionStateChecking:
		c.path.connected.take()
		c.stage(model.StageICE)
	case webrtc.ICEConnectionStateConnected:
		c.path.connected.put()
		c.stage(model.StageDTLS)
	}
}

// stage records how far the call got; stages only ever advance.
func (c *Client) stage(stage model.Stage) {
	if c.leg != nil {
		c.leg.Stage(stage)
	}
}

// signal is an event that happens at most once.
type signal struct {
	once *sync.Once
	done chan struct{}
}

func newSignal() signal { return signal{new(sync.Once), make(chan struct{})} }

func (s signal) happen() { s.once.Do(func() { close(s.done) }) }

func (s signal) happened() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// token is there or not: putting one where one is changes nothing.
type token chan struct{}

func newToken() token { return make(token, 1) }

func (t token) put() {
	select {
	case t <- struct{}{}:
	default:
	}
}

// take reports whether there was one.
func (t token) take() bool {
	select {
	case <-t:
		return true
	default:
		return false
	}
}
