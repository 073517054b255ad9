package demo

import (
	"runtime"
	"time"
)

// How many real calls are made at once, and on each network, where nobody says. A call in real time is heard as it is only
// while the machine keeps up, and machines differ in what the codec costs them; so the first calls tell what one takes.
const (
	busyShare     = 0.55 // of the processors, for calls: the rest is for servers, and for what comes in bursts
	leastAtOnce   = 4
	mostAtOnce    = 24 // for each processor
	mostCalls     = 48 // on each network
	leastCalls    = 8
	experimenting = 3 * time.Minute
	settingUp     = 6 * time.Second // of a call, and its end
)

// roomFor is how many calls fit at once, when so many took that processor time in that time, side by side.
func roomFor(used, took time.Duration, calls int) int {
	processors := runtime.GOMAXPROCS(0)
	if used <= 0 || took <= 0 || calls == 0 {
		return mostAtOnce * processors / 2
	}
	each := used.Seconds() / took.Seconds() / float64(calls)
	return min(max(int(busyShare*float64(processors)/each), leastAtOnce), mostAtOnce*processors)
}

// callsFor is how many calls on each of some networks can be made in the time for them, so many at once.
func callsFor(parallel int, duration time.Duration, networks int) int {
	rounds := max(int(experimenting/(duration+settingUp)), 1)
	return min(max(rounds*parallel/networks, leastCalls), mostCalls)
}
