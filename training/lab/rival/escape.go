package rival

import (
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// escape is how a client comes to a relay: where no direct path can be set up, and where nothing has come through for a
// while, as any client does in the end that gathers relay candidates. Without a relay it stays.
type escape struct {
	relay model.Site
	dead  int // decisions in a row
	at    model.Transport
}

// patience is how many decisions without anything heard a client waits.
const patience = 5

// Ways are the candidates behind the direct one, in the order of preference of ICE (RFC 8445, section 5.1.2).
func (e *escape) Ways() []policy.TransportLock {
	if e.relay == 0 {
		return nil
	}
	return []policy.TransportLock{
		{Transport: model.TransportRelayUDP, Site: e.relay},
		{Transport: model.TransportRelayTCP, Site: e.relay},
		{Transport: model.TransportRelayTLS, Site: e.relay},
	}
}

// apply gives a the transport that the client is at, or moves to.
func (e *escape) apply(a model.Action, c *model.Context, m *model.Measurement) model.Action {
	if t := c.Previous.Transport; t != model.TransportUnknown {
		e.at = t
	}
	if m.LossBefore >= 0.9 { // not when NaN
		e.dead++
	} else {
		e.dead = 0
	}
	if e.relay != 0 && e.dead >= patience && (e.at == model.TransportDirect || e.at == model.TransportRelayUDP) {
		e.at, e.dead = model.TransportRelayTCP, 0
	}
	a.Transport = model.TransportDirect
	if e.at != model.TransportUnknown && e.at != model.TransportDirect {
		a.Transport, a.Site = e.at, e.relay
	}
	return a
}
