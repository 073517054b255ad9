package policy

import (
	"slices"

	"github.com/attune-calls/attune/model"
)

// limits are those of the client, and what the peer does not take.
func (f *Factory) limits() Limits {
	l := f.options.limits
	if !f.leg.red {
		l.ForbiddenCodecs = append(slices.Clone(l.ForbiddenCodecs), model.CodecOpusRED)
	}
	return l
}

// redIs takes the client's word on whether RED can be sent. Decisions before it assumed what WithRED says. If that was
// wrong, the one in force is made anew before media flows, whatever it came to: its draw was among more actions than there
// are, so that only a new draw has an exact propensity. While media flows a decision for RED ends at once, and others stand.
func (f *Factory) redIs(taken bool) {
	l := &f.leg
	if taken == l.red {
		return
	}
	l.red = taken
	decider, err := NewDecider(l.policy, l.arm, f.limits())
	if err != nil { // not for a policy that has a decider
		f.counters.policy.Add(1)
		f.fault(err)
		return
	}
	l.decider = decider
	inForce := l.segment.Action.Codec == model.CodecOpusRED
	possible := f.options.rule == nil && slices.ContainsFunc(l.policy.document.Catalogue, func(a model.Action) bool { return a.Codec == model.CodecOpusRED })
	if inForce && !taken || possible && !l.live {
		f.next(model.CauseNetwork, nil)
	}
}
