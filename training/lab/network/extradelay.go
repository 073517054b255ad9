package network

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// extraDelay is a Jitter at work. It is drawn by inversion, the distribution's quantile at a uniform number, from a table
// with straight lines between its points: each packet of a simulated call takes two draws.
type extraDelay struct {
	points *quantiles // nil = none
	jitter shape
}

// shape is what of a Jitter its draws follow from.
type shape struct {
	logNormal             bool
	millis, spread, limit float64
}

// quantiles are those at i/quantileSteps.
type quantiles [quantileSteps + 1]time.Duration

const (
	quantileBits  = 10
	quantileSteps = 1 << quantileBits
	// tailSteps at each end are computed instead: there a straight line is no good. Elsewhere it is off by less than 0.001
	// standard deviations.
	tailSteps = 8
	// fractionBits is how fine the place between two points is.
	fractionBits = 20
)

func newExtraDelay(j *Jitter) extraDelay {
	s := shape{logNormal: j.Distribution == JitterLogNormal, millis: j.Millis, spread: j.Spread, limit: j.MaxMillis}
	if !s.logNormal && j.Distribution != JitterNormal {
		return extraDelay{}
	}
	if s.limit == 0 {
		s.limit = 1000
	}
	return extraDelay{points: tables.of(s), jitter: s}
}

// draw is one extra delay.
func (e *extraDelay) draw(random *rand.Rand) time.Duration {
	if e.points == nil {
		return 0
	}
	u := random.Uint64()
	i := u >> (64 - quantileBits)
	if i-tailSteps >= quantileSteps-2*tailSteps {
		return e.jitter.quantile((float64(u>>11) + 0.5) / (1 << 53))
	}
	low, high := e.points[i], e.points[i+1]
	return low + (high-low)*time.Duration(u>>(64-quantileBits-fractionBits)&(1<<fractionBits-1))>>fractionBits
}

// quantile is that at p, 0 < p < 1.
func (s *shape) quantile(p float64) time.Duration {
	ms := s.spread * math.Sqrt2 * math.Erfinv(2*p-1)
	if s.logNormal {
		ms = s.millis * math.Exp(ms)
	} else {
		ms += s.millis
	}
	return millis(min(max(ms, 0), s.limit))
}

// tables are the quantiles of the shapes in use, which all links of a network share.
var tables = tableCache{made: make(map[shape]*quantiles)}

type tableCache struct {
	mu   sync.RWMutex
	made map[shape]*quantiles
}

// mostTables bounds what is kept: 2 MiB. Suites have fewer shapes.
const mostTables = 256

func (c *tableCache) of(s shape) *quantiles {
	c.mu.RLock()
	q := c.made[s]
	c.mu.RUnlock()
	if q != nil {
		return q
	}
	q = new(quantiles)
	for i := range q {
		q[i] = s.quantile(min(max(float64(i), 0.5), quantileSteps-0.5) / quantileSteps) // the ends are not used
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.made) >= mostTables {
		clear(c.made)
	}
	c.made[s] = q
	return q
}
