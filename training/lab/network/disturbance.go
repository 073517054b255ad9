package network

import (
	"math"
	"math/rand/v2"
	"time"
)

// lossProcess is the Gilbert-Elliott chain in continuous time. The chance of being bad a time dt after a known state is
// badShare + (state - badShare) * memory^(dt/LossStep), with memory = 1-P-R, which at dt = LossStep gives exactly P and
// R. Such a chain stays in each state for an exponentially distributed time; the spells are drawn as such, from numbers
// of their own, so that they come at the same times whatever is sent.
type lossProcess struct {
	model  Loss
	spells *rand.Rand
	stay   [2]float64 // mean nanoseconds in the good and in the bad state
	state  int        // 1 = bad
	end    time.Duration

	forgetful bool // without memory there are no spells: each packet finds a state of its own
	at        time.Duration

	mask maskPlayer // takes the place of the chain where set
}

func newLossProcess(model Loss, spells *rand.Rand) lossProcess {
	if model.Mask != nil {
		return lossProcess{mask: newMaskPlayer(model.Mask, spells)}
	}
	share := model.badShare()
	p := lossProcess{model: model, spells: spells, end: forever, at: -1}
	if share > 0 && spells.Float64() < share {
		p.state = 1
	}
	if share == 0 || share == 1 {
		return p
	}
	memory := 1 - model.P - model.R
	if p.forgetful = memory <= 0; p.forgetful {
		return p
	}
	step := float64(LossStep) / -math.Log(memory)
	p.stay = [2]float64{step / share, step / (1 - share)}
	p.end = 0
	p.turn()
	return p
}

// turn draws how long the state that began lasts.
func (p *lossProcess) turn() {
	stay := p.spells.ExpFloat64() * p.stay[p.state]
	p.end += time.Duration(min(max(stay, 1), float64(forever-p.end)/2))
}

// lose moves the chain to time t and draws whether a packet is lost.
func (p *lossProcess) lose(t time.Duration, random *rand.Rand) bool {
	if p.mask.mask != nil {
		return p.mask.lose(t)
	}
	if p.forgetful && t > p.at {
		p.state, p.at = 0, t
		if random.Float64() < p.model.badShare() {
			p.state = 1
		}
	}
	for p.end <= t {
		p.state = 1 - p.state
		p.turn()
	}
	chance := p.model.Good
	if p.state == 1 {
		chance = p.model.Bad
	}
	return chance > 0 && random.Float64() < chance
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

// idle reports whether everything passes.
func (b *bucket) idle() bool { return !b.blocked && b.bitsPerSecond == 0 }

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
