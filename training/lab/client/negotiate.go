package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/attune-calls/attune/model"
)

const (
	// switchTimeout bounds an ICE restart: a path that needs longer is no better than the one it would replace. Twice
	// this, there and back, is within the time in which the policy expects to be told.
	switchTimeout = 6 * time.Second
	// gatherTimeout bounds the gathering of candidates. Those there are by then are offered.
	gatherTimeout = 10 * time.Second
)

// What Answer says to an offer that it does not take.
var (
	// ErrEnded means that the call an offer belongs to has ended.
	ErrEnded = errors.New("the call has ended")
	// ErrBusy means that an offer belongs to another call.
	ErrBusy = errors.New("busy with another call")
)

// path is the transport in force on one leg. Who negotiates holds it: one offer or answer changes it at a time.
type path struct {
	free      token // there when nobody negotiates
	transport model.Transport
	site      model.Site
	peer      string // the DTLS fingerprint of the other side; empty before the first description
	gathered  token  // there when a gathering phase is complete
	connected token  // there when ICE has connected since it last began to check
}

func newPath() path {
	p := path{free: newToken(), gathered: newToken(), connected: newToken()}
	p.free.put()
	return p
}

// dial makes the first offer. It goes by the transport of the first decision, over a relay this client knows.
func (c *Client) dial(ctx context.Context) error {
	<-c.path.free
	defer c.path.free.put()
	action := c.factory.Action()
	if err := c.offer(ctx, action.Transport, c.config.known(action.Transport, action.Site), nil); err != nil {
		return err
	}
	if c.path.site != action.Site {
		c.factory.TransportChanged(c.path.transport, c.path.site)
	}
	return nil
}

// SwitchTransport moves the running call to another transport by an ICE restart (RFC 8445, section 2.4), in the
// background. pion leaves the old path before it tries the new one, so the call is silent meanwhile. A path that does
// not connect is left again for the one before it, and the factory is told which transport is really in force. It
// implements policy.TransportSwitcher.
func (c *Client) SwitchTransport(transport model.Transport, site model.Site) error {
	if !c.connected.happened() {
		return errors.New("switch transport: the call is not connected yet")
	}
	if _, _, err := c.config.iceServers(transport, site); err != nil {
		return fmt.Errorf("switch transport: %w", err)
	}
	if !c.path.free.take() {
		return errors.New("switch transport: another negotiation is under way")
	}
	if c.closing.Err() != nil {
		c.path.free.put()
		return fmt.Errorf("switch transport: %w", ErrEnded)
	}
	go func() { // end waits until the path is free
		defer c.path.free.put()
		wasTransport, wasSite := c.path.transport, c.path.site
		if c.restart(transport, site) != nil && c.closing.Err() == nil {
			// Either path may still be down; ICE goes on checking, and the call ends as dropped if it stays so.
			_ = c.restart(wasTransport, wasSite)
		}
		if c.closing.Err() == nil {
			c.factory.TransportChanged(c.path.transport, c.path.site)
		}
	}()
	return nil
}

// restart offers the peer another transport and waits until it carries packets. The caller holds the path.
func (c *Client) restart(transport model.Transport, site model.Site) error {
	ctx, cancel := context.WithTimeout(c.closing, switchTimeout)
	defer cancel()
	c.path.connected.take()
	if err := c.offer(ctx, transport, site, &webrtc.OfferOptions{ICERestart: true}); err != nil {
		return errors.Join(err, c.withdraw())
	}
	select {
	case <-c.path.connected:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("connect by %v: %w", transport, ctx.Err())
	}
}

// withdraw ends an offer that was not answered, so that another can be made. pion knows no rollback (RFC 8829, section
// 4.1.10.2), but takes the peer's last answer once more. It leads nowhere; the next offer does.
func (c *Client) withdraw() error {
	last := c.peer.CurrentRemoteDescription()
	if last == nil || c.peer.SignalingState() != webrtc.SignalingStateHaveLocalOffer {
		return nil
	}
	if err := c.peer.SetRemoteDescription(*last); err != nil {
		return fmt.Errorf("withdraw offer: %w", err)
	}
	return nil
}

// offer describes this side for a transport, has the peer answer, and applies the answer. The caller holds the path.
func (c *Client) offer(ctx context.Context, transport model.Transport, site model.Site, options *webrtc.OfferOptions) error {
	site, err := c.gatherFrom(transport, site)
	if err != nil {
		return err
	}
	offer, err := c.peer.CreateOffer(options)
	if err != nil {
		return fmt.Errorf("create offer: %w", err)
	}
	description := Description{Type: webrtc.SDPTypeOffer, Transport: transport, Site: site}
	if d := c.decided.Load(); d != nil {
		description.Policy, description.Arm = d.policy, d.arm
	}
	if description.SDP, err = c.describe(ctx, offer, transport); err != nil {
		return err
	}
	answer, err := c.signaller.Exchange(ctx, description)
	if err != nil {
		if errors.Is(err, ErrEnded) {
			c.hungUp.happen() // its own word for it may not have come through
		}
		return fmt.Errorf("exchange descriptions: %w", err)
	}
	if err := c.apply(answer, webrtc.SDPTypeAnswer); err != nil {
		return err
	}
	c.factory.Negotiated(description.SDP, answer.SDP)
	c.path.transport, c.path.site = transport, site
	return nil
}

// Answer applies an offer of the call's initiator, the first one or one that moves the call to another transport, and
// returns this side's answer. Its error wraps ErrEnded after hanging up, and ErrBusy for an offer of anybody else.
func (c *Client) Answer(ctx context.Context, offer Description) (Description, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.closing, func() { cancel(ErrEnded) })()
	select {
	case <-c.path.free:
	case <-ctx.Done():
		return Description{}, fmt.Errorf("answer: %w", context.Cause(ctx))
	}
	defer c.path.free.put()
	if c.closing.Err() != nil {
		return Description{}, fmt.Errorf("answer: %w", ErrEnded)
	}
	if ctx.Err() != nil { // before the old path is left for one that nobody waits for
		return Description{}, fmt.Errorf("answer: %w", context.Cause(ctx))
	}
	if err := c.path.isPeer(offer); err != nil { // before anything is changed
		return Description{}, err
	}
	site, err := c.gatherFrom(offer.Transport, c.config.known(offer.Transport, offer.Site))
	if err != nil {
		return Description{}, err
	}
	if err := c.apply(offer, webrtc.SDPTypeOffer); err != nil {
		return Description{}, err
	}
	answer, err := c.peer.CreateAnswer(nil)
	if err != nil {
		return Description{}, fmt.Errorf("create answer: %w", err)
	}
	description := Description{
		Type: webrtc.SDPTypeAnswer, Arm: offer.Arm, Policy: offer.Policy, Transport: offer.Transport, Site: site,
	}
	if description.SDP, err = c.describe(ctx, answer, offer.Transport); err != nil {
		return Description{}, err
	}
	c.path.transport, c.path.site = offer.Transport, site
	c.factory.Negotiated(description.SDP, offer.SDP)
	c.factory.TransportChanged(offer.Transport, site)
	return description, nil
}

// apply sets what the other side describes. The caller holds the path.
func (c *Client) apply(d Description, want webrtc.SDPType) error {
	if d.Type != want {
		return fmt.Errorf("apply %v: got a call description of type %v", want, d.Type)
	}
	if err := c.path.isPeer(d); err != nil {
		return err
	}
	if err := c.peer.SetRemoteDescription(webrtc.SessionDescription{Type: d.Type, SDP: d.SDP}); err != nil {
		return fmt.Errorf("apply %v: %w", want, err)
	}
	c.path.peer = fingerprint(d.SDP)
	return nil
}

// isPeer checks that a description comes from who sent the first one. pion checks the fingerprint of the first only:
// later ones would be taken from anybody, and end the call.
func (p *path) isPeer(d Description) error {
	from := fingerprint(d.SDP)
	if from == "" {
		return errors.New("call description without a DTLS fingerprint")
	}
	if p.peer != "" && p.peer != from {
		return ErrBusy
	}
	return nil
}

// fingerprint is all of an SDP's DTLS fingerprints (RFC 8122, section 5), which last as long as a peer connection.
func fingerprint(sdp string) string {
	var found []string
	for line := range strings.Lines(sdp) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "a=fingerprint:"); ok {
			found = append(found, strings.ToLower(value))
		}
	}
	return strings.Join(found, ",")
}

// gatherFrom makes the next gathering phase use the servers of a transport, and tells the site of the relay among them.
func (c *Client) gatherFrom(transport model.Transport, site model.Site) (model.Site, error) {
	servers, site, err := c.config.iceServers(transport, site)
	if err != nil {
		return 0, err
	}
	if err := c.peer.SetConfiguration(webrtc.Configuration{ICEServers: servers}); err != nil {
		return 0, fmt.Errorf("set ICE servers for %v: %w", transport, err)
	}
	c.path.gathered.take() // forget the end of an earlier phase
	return site, nil
}

// describe sets the local description and returns it with the candidates that lead by the transport.
func (c *Client) describe(ctx context.Context, description webrtc.SessionDescription, transport model.Transport) (string, error) {
	if err := c.peer.SetLocalDescription(description); err != nil {
		return "", fmt.Errorf("set local description: %w", err)
	}
	patience := time.NewTimer(gatherTimeout)
	defer patience.Stop()
	select {
	case <-c.path.gathered:
	case <-patience.C:
	case <-ctx.Done():
		return "", fmt.Errorf("gather ICE candidates: %w", context.Cause(ctx))
	}
	local := c.peer.LocalDescription()
	if local == nil {
		return "", fmt.Errorf("gather ICE candidates: %w", ErrEnded)
	}
	sdp := onlyCandidates(local.SDP, transport)
	if !strings.Contains(sdp, candidatePrefix) {
		return "", fmt.Errorf("gather ICE candidates: none for %v; is there a network, and does the relay answer?", transport)
	}
	return sdp, nil
}
