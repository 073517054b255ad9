package network

import (
	"math"
	"time"
)

// CoDel is the active queue management of RFC 8289 on top of the limit in bytes: when packets have waited longer than
// the target for a whole interval, it drops some, ever faster, until they do not.
type CoDel struct {
	TargetMillis   float64 `json:"targetMillis"`   // 5 in RFC 8289 section 4.4
	IntervalMillis float64 `json:"intervalMillis"` // 100 in RFC 8289 section 4.3
}

// codel is the state of RFC 8289 section 5.3. A Link decides when a packet comes in what CoDel decides when it leaves:
// the queue is first in, first out, so both its waiting time and the fate of all before it are settled by then. Only
// the test whether a backlog is left differs: it looks at the bytes ahead of the packet rather than at those behind it.
type codel struct {
	target, interval time.Duration
	firstAbove       time.Duration // when the waiting time has been above target for an interval; 0 = it is not above
	dropNext         time.Duration
	count, lastCount uint64
	dropping         bool
}

func newCoDel(c *CoDel) *codel {
	if c == nil {
		return nil
	}
	return &codel{target: millis(c.TargetMillis), interval: millis(c.IntervalMillis)}
}

// drop decides about a packet that would leave the queue at a time, after it waited, with so many bytes ahead of it when
// it came.
func (c *codel) drop(leaves, waited time.Duration, ahead int) bool {
	above := c.above(leaves, waited, ahead)
	switch {
	case c.dropping && !above:
		c.dropping = false
	case c.dropping && leaves >= c.dropNext:
		c.count++
		c.dropNext = c.law(c.dropNext)
		return true
	case !c.dropping && above:
		c.dropping = true
		// Soon after the last dropping phase, go on at the rate that was right then.
		delta := c.count - c.lastCount
		c.count = 1
		if delta > 1 && leaves-c.dropNext < 16*c.interval {
			c.count = delta
		}
		c.dropNext = c.law(leaves)
		c.lastCount = c.count
		return true
	}
	return false
}

// above tells whether the waiting time has been above the target for an interval (dodequeue of the RFC).
func (c *codel) above(leaves, waited time.Duration, ahead int) bool {
	switch {
	case waited < c.target || ahead <= maxPacketBytes:
		c.firstAbove = 0
	case c.firstAbove == 0:
		c.firstAbove = leaves + c.interval
	default:
		return leaves >= c.firstAbove
	}
	return false
}

// law is control_law of the RFC: drops come closer with the root of their number.
func (c *codel) law(t time.Duration) time.Duration {
	return t + time.Duration(float64(c.interval)/math.Sqrt(float64(c.count)))
}
