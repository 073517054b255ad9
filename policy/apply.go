package policy

import (
	"fmt"
	"time"

	"github.com/attune-calls/attune/model"
)

// apply puts the segment's action into force. What cannot be applied leaves the action before in force, and the
// segment says so: see forced.
func (f *Factory) apply(before model.Action, now time.Time) {
	l := &f.leg
	first := before == (model.Action{})
	if f.options.encoder != nil && (first || encoding(l.segment.Action) != encoding(before)) {
		if err := f.options.encoder.Apply(l.segment.Action); err != nil {
			f.counters.encoder.Add(1)
			f.fault(fmt.Errorf("apply %v: %w", l.segment.Action, err))
			if first {
				before = f.applyFallback()
			}
			l.forced(before)
		}
	}
	asked, inForce := transportOf(l.segment.Action), transportOf(before)
	if first || asked == inForce { // the client sets up the first transport by Action
		return
	}
	l.pending, l.replaced, l.pendingTill = asked, inForce, now.Add(switchPatience)
	// lock has seen to it that there is a switcher.
	if err := f.options.switcher.SwitchTransport(asked.Transport, asked.Site); err != nil {
		f.fault(fmt.Errorf("switch to %v: %w", asked.Transport, err))
		f.switchFailed(now)
	}
}

// applyFallback sets the encoder up when it refuses the very first decision.
func (f *Factory) applyFallback() model.Action {
	l := &f.leg
	a := l.decider.fallback(l.context.Reach, transportOf(l.segment.Action))
	if err := f.options.encoder.Apply(a); err != nil {
		f.counters.encoder.Add(1)
		f.fault(fmt.Errorf("apply %v: %w", a, err))
	}
	return a
}

// forced makes the segment say what is really in force instead of what was decided. Given what failed, no other action
// was possible: it had certainty, and was not explored.
func (l *leg) forced(a model.Action) {
	if l.segment.Action != a {
		l.segment.Action, l.segment.Propensity, l.segment.Explored = a, model.PropensityScale, false
	}
}

// switchFailed takes a transport back that never came into force.
func (f *Factory) switchFailed(now time.Time) {
	l := &f.leg
	f.counters.transport.Add(1)
	a := l.segment.Action
	a.Transport, a.Site = l.replaced.Transport, l.replaced.Site
	l.forced(a)
	l.settle()
	l.keepTill = now.Add(switchPause)
}

// settle ends the wait for a confirmation.
func (l *leg) settle() {
	l.pending, l.replaced, l.pendingTill = TransportLock{}, TransportLock{}, time.Time{}
}

func (f *Factory) readMail() {
	m := f.mail.take()
	if m.transport != nil {
		f.transportIs(*m.transport)
	}
	if m.red != nil {
		f.redIs(*m.red)
	}
	if m.network != nil {
		f.next(model.CauseNetwork, m.network)
	}
}

// transportIs takes the client's word on the transport in force.
func (f *Factory) transportIs(t TransportLock) {
	l := &f.leg
	now := f.now()
	switch {
	case t == transportOf(l.segment.Action): // as decided
		if l.pending == t {
			f.meter.forgetPath()
		}
		l.settle()
	case l.pending != TransportLock{} && t == l.replaced:
		f.switchFailed(now)
		f.setAction(l.segment.Action)
	default: // moved by the peer, or by ICE on its own
		if !f.options.controlled {
			f.counters.transport.Add(1)
			l.keepTill = now.Add(switchPause)
		}
		l.settle()
		if l.live {
			f.endSegment(now)
			f.arm()
		}
		l.segment.Action.Transport, l.segment.Action.Site = t.Transport, t.Site
		f.meter.forgetPath()
		cause := model.CauseNetwork
		if !l.live {
			cause = model.CauseStart
		}
		f.decide(cause)
	}
}

func transportOf(a model.Action) TransportLock {
	return TransportLock{Transport: a.Transport, Site: a.Site}
}

// encoding is the part of an action that concerns the encoder.
func encoding(a model.Action) model.Action {
	a.Transport, a.Site = model.TransportUnknown, 0
	return a
}
