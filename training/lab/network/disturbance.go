package network

import (
	"math"
	"math/rand/v2"
	"time"
)

// lossProcess is the Gilbert-Elliott chain in continuous time. A two-state chain forgets its state at a constant rate:
// the chance of being bad after a time dt is badShare + (state - badShare) * memory^(dt/LossStep), with memory = 1-P-R,
// which at dt = LossStep gives exactly P and R.
type lossProcess struct {
	model  Loss
	share  float64
	forget float64 // logarithm of memory per nanosecond; -Inf where nothing is remembered
	bad    bool
	at     time.Duration

	step time.Duration // the latest time between two packets, which most have in common
	kept float64       // what is remembered after it

	mask maskPlayer // takes the place of the chain where set
}

func newLossProcess(model Loss, random *rand.Rand) lossProcess {
	if model.Mask != nil {
		return lossProcess{mask: newMaskPlayer(model.Mask, random)}
	}
	p := lossProcess{model: model, share: model.badShare()}
	p.forget = math.Log(max(0, 1-model.P-model.R)) / float64(LossStep)
	p.bad = p.share > 0 && random.Float64() < p.share
	return p
}

// lose moves the chain to time t and draws whether a packet is lost.
func (p *lossProcess) lose(t time.Duration, random *rand.Rand) bool {
	if p.mask.mask != nil {
		return p.mask.lose(t)
	}
	if p.share > 0 && t > p.at {
		state := 0.0
		if p.bad {
			state = 1
		}
		p.bad = p.turns(random.Float64(), state, t-p.at)
	}
	p.at = max(p.at, t)
	chance := p.model.Good
	if p.bad {
		chance = p.model.Bad
	}
	return chance > 0 && random.Float64() < chance
}

// turns reports whether the chain is bad a time dt after it was in a state, given a draw. Since exp(x) is between 1+x
// and 1, most draws are decided without it; the margin is far above what rounding could change.
func (p *lossProcess) turns(draw, state float64, dt time.Duration) bool {
	const margin = 1e-9
	if least := 1 + p.forget*float64(dt); least > 0 {
		now, then := p.share+(state-p.share), p.share+(state-p.share)*least
		if draw < min(now, then)-margin {
			return true
		}
		if draw >= max(now, then)+margin {
			return false
		}
	}
	if dt != p.step {
		p.step, p.kept = dt, exp(p.forget*float64(dt))
	}
	return draw < p.share+(state-p.share)*p.kept
}

// draw is one extra delay.
func (j *Jitter) draw(random *rand.Rand) time.Duration {
	var ms float64
	switch j.Distribution {
	case JitterLogNormal:
		ms = j.Millis * exp(j.Spread*random.NormFloat64())
	case JitterNormal:
		ms = j.Millis + j.Spread*random.NormFloat64()
	default:
		return 0
	}
	limit := j.MaxMillis
	if limit == 0 {
		limit = 1000
	}
	return millis(min(max(ms, 0), limit))
}

// bucket is a token bucket kept as one time, as in the generic cell rate algorithm (ITU-T I.371, annex A): full is when
// the bucket would be full again.
type bucket struct {
	blocked       bool
	bitsPerSecond int64
	depth         time.Duration // time to fill an empty bucket
	full          time.Duration
}

func newBucket(p Police) bucket {
	b := bucket{blocked: p.Blocked, bitsPerSecond: int64(math.Round(p.RateKbps * 1000))}
	if b.bitsPerSecond > 0 {
		b.depth = b.duration(p.BurstBytes)
	}
	return b
}

// duration is how long the tokens for some bytes take to come in.
func (b *bucket) duration(bytes int) time.Duration {
	return time.Duration(int64(bytes) * 8 * int64(time.Second) / b.bitsPerSecond)
}

// pass takes the tokens for a packet, or drops it.
func (b *bucket) pass(now time.Duration, bytes int) DropReason {
	if b.blocked {
		return DroppedBlocked
	}
	if b.bitsPerSecond == 0 {
		return Delivered
	}
	full := max(b.full, now) + b.duration(bytes)
	if full-now > b.depth {
		return DroppedPoliced
	}
	b.full = full
	return Delivered
}
