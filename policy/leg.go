package policy

import (
	"fmt"
	"math"
	"time"

	"github.com/attune-calls/attune/model"
)

// leg is the course of one call leg: the segment that runs and what the next decision needs. One goroutine owns it.
type leg struct {
	policy  *Policy
	refused *Policy // a policy that could not be used, so that it is not tried each second
	arm     uint8
	decider *Decider

	context  model.Context // static fields, and the last measured ones
	measured model.Measurement
	live     bool // media flows
	red      bool // decisions may choose RED: the peer takes it, or has not been heard yet

	segment     model.Segment // the one that runs; its Action is the action in force
	interval    *time.Timer   // fires at due; nil without a clock of its own, see Stepped
	due         time.Time     // of the next decision; zero before media flows
	pending     TransportLock // asked for, not yet confirmed
	replaced    TransportLock // in force before it
	pendingTill time.Time
	keepTill    time.Time // no transport is proposed until then
}

const (
	policyPoll = time.Second
	// switchPatience is how long an ICE restart may take before a client that does not confirm is taken to be done.
	switchPatience = 15 * time.Second
	// switchPause is how long no switch is proposed after one failed: an ICE restart disturbs the call.
	switchPause = time.Minute
)

// start makes the first decision.
func (f *Factory) start() {
	f.leg.context = f.options.context
	f.leg.measured = model.Unmeasured()
	f.adoptPolicy()
	f.decide(model.CauseStart)
}

// run is the goroutine that decides.
func (f *Factory) run() {
	l := &f.leg
	l.interval = time.NewTimer(math.MaxInt64)
	defer l.interval.Stop()
	poll := time.NewTicker(policyPoll)
	defer poll.Stop()
	for {
		select {
		case <-f.closing:
			if !f.inert.Load() {
				f.guard("last segment", func() { f.endSegment(f.now()) })
			}
			return
		case <-f.meter.sent.began:
			f.step("first packet", f.mediaBegan)
		case <-f.mail.wake:
			f.step("mail", f.readMail)
		case <-poll.C:
			f.step("policy check", f.checkPolicy)
		case <-l.interval.C:
			f.step("interval", f.intervalPassed)
		}
	}
}

func (f *Factory) step(what string, run func()) {
	if !f.inert.Load() {
		f.guard(what, run)
	}
}

func (f *Factory) mediaBegan() {
	if !f.leg.live {
		if f.red.Load() == nil && !f.stepped {
			f.redIs(false) // the client has not said whether the peer takes it
		}
		f.leg.live = true
		f.meter.beginMedia(f.now())
		f.arm()
	}
}

// arm sets the time of the next decision, one interval from now.
func (f *Factory) arm() {
	length := f.intervalLength()
	f.leg.due = f.now().Add(length)
	if f.leg.interval != nil {
		f.leg.interval.Reset(length)
	}
}

func (f *Factory) intervalLength() time.Duration {
	if f.options.interval > 0 {
		return f.options.interval
	}
	return f.leg.policy.Interval()
}

func (f *Factory) intervalPassed() {
	if _, packets := f.meter.age(f.now()); packets == 0 {
		// Nothing was sent, as on hold: there is nothing to learn from, and nothing to decide anew.
		f.meter.begin(f.now(), false)
		f.arm()
		return
	}
	f.next(model.CauseInterval, nil)
}

// next ends the segment and begins another, on another network if one is given. Before media flows nothing has come of
// the last decision, so a new one takes its place.
func (f *Factory) next(cause model.Cause, network *model.Context) {
	if f.leg.live {
		f.endSegment(f.now())
		f.arm()
	} else {
		cause = model.CauseStart
	}
	if network != nil {
		f.leg.context = *network
		f.leg.keepTill = time.Time{}
		f.meter.forgetPath()
	}
	f.adoptPolicy()
	f.decide(cause)
}

func (f *Factory) checkPolicy() {
	p := f.options.source.Current()
	if p != f.leg.policy && p != f.leg.refused && p.Version() != f.leg.policy.Version() {
		f.next(model.CausePolicy, nil)
	}
}

// adoptPolicy takes up the policy in force; one that cannot be used leaves the last good one.
func (f *Factory) adoptPolicy() {
	l := &f.leg
	p := f.options.source.Current()
	if p == l.policy || p == l.refused {
		return
	}
	arm := p.Assign(f.options.seed)
	if f.options.arm >= 0 && f.options.arm < p.Arms() {
		arm = uint8(f.options.arm)
	}
	decider, err := NewDecider(p, arm, f.limits())
	if err != nil {
		f.counters.policy.Add(1)
		f.fault(err)
		l.refused = p
		return
	}
	l.policy, l.arm, l.decider = p, arm, decider
	f.inArm.Store(uint32(arm))
}

// lock is what the next decision must keep.
func (f *Factory) lock(now time.Time) TransportLock {
	l := &f.leg
	inForce := TransportLock{Transport: l.segment.Action.Transport, Site: l.segment.Action.Site}
	switch {
	case inForce.Transport == model.TransportUnknown && f.options.controlled: // the first decision
		t, s := l.decider.fallbackTransport(l.context.Reach)
		return TransportLock{Transport: t, Site: s}
	case inForce.Transport == model.TransportUnknown:
		return TransportLock{}
	case f.options.controlled, f.options.switcher == nil, now.Before(l.pendingTill), now.Before(l.keepTill),
		!l.live: // the client is connecting the way the first decision said
		return inForce
	default:
		return TransportLock{}
	}
}

// decide chooses, applies and begins a segment.
func (f *Factory) decide(cause model.Cause) {
	l := &f.leg
	now := f.now()
	c := l.context
	if l.live {
		c.Previous = l.segment.Action
	}
	before := l.segment.Action
	decision := f.choose(&c, now)
	d := &l.policy.document
	l.segment = model.Segment{
		Cause: cause, Context: c, Action: decision.Action, Propensity: decision.Propensity, Explored: decision.Explored,
		Policy: d.Version, Experiment: d.Experiment.Number, Arm: l.arm,
	}
	f.apply(before, now)
	f.meter.begin(now, l.segment.Action != before || cause == model.CauseNetwork)
	f.setAction(l.segment.Action)
	f.emit(Event{
		Kind: EventDecision, At: now, Cause: cause, Context: c, Decision: decision, Action: l.segment.Action,
		Policy: d.Version, Arm: l.arm,
	})
}

// choose asks the rule, if there is one, or the policy.
func (f *Factory) choose(c *model.Context, now time.Time) Decision {
	lock := f.lock(now)
	if f.options.rule == nil {
		return f.leg.decider.Decide(c, lock, f.options.random)
	}
	a := f.options.rule.Decide(c, &f.leg.measured)
	if lock != (TransportLock{}) {
		a.Transport, a.Site = lock.Transport, lock.Site
	}
	if !f.leg.red && a.Codec == model.CodecOpusRED {
		a.Codec, a.REDDepth = model.CodecOpus, 0
	}
	return Decision{Action: a, Index: -1, Propensity: model.PropensityScale}
}

// endSegment measures the segment and hands it over.
func (f *Factory) endSegment(now time.Time) {
	l := &f.leg
	m := f.meter.measure(now, l.segment.Action, f.options.quality)
	f.leg.measured = m
	if !math.IsNaN(m.SentKbps) { // what a segment did not measure, the one before still says
		m.Describe(&l.context)
	}
	age, _ := f.meter.age(now)
	l.segment.Seconds = uint8(min(math.Round(age.Seconds()), model.MaxSegmentSeconds))
	l.segment.Outcome = m.Outcome()
	if f.options.recorder != nil {
		f.options.recorder.Record(l.segment)
	}
	f.emit(Event{Kind: EventSegment, At: now, Segment: l.segment, Measurement: m, Policy: l.segment.Policy, Arm: l.arm})
}

func (f *Factory) fault(err error) {
	f.emit(Event{Kind: EventFault, At: f.now(), Err: fmt.Errorf("policy interceptor: %w", err)})
}

func (f *Factory) emit(e Event) {
	if f.options.events != nil {
		f.options.events(e)
	}
}
