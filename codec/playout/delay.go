package playout

import "time"

// The delay estimator follows the idea of NetEq's delay manager (WebRTC, modules/audio_coding/neteq/delay_manager.cc):
// the delay of each packet relative to the fastest one of a sliding window goes into a histogram that forgets, and the
// target is a high quantile of it. What differs:
//
//   - The window is 10 s rather than 2 s, because queues on mobile networks swing over seconds.
//   - NetEq counts one packet each 500 ms, the slowest. Here a packet weighs as much as time has passed since the one
//     before, so that a burst after a gap counts as the one event it is.
//   - The quantile is 0.99, not 0.95: on the fullband E-model 1 % of loss costs as much as going from 100 to 250 ms of
//     delay.
//   - A packet that came too late to play raises the target at once; what it raised then halves every 4 s.
const (
	delayBuckets   = 64 // of one tick each
	delayQuantile  = 0.99
	delayForget    = 0.0015 // of the histogram per tick of time: a memory of 13 s
	leastWeight    = 0.01
	delayHalfLife  = 4 * time.Second
	transitWindows = 10
	transitWindow  = time.Second
)

// delayEstimator turns transit times (arrival minus media time) into a target delay.
type delayEstimator struct {
	min, max  time.Duration
	start     time.Duration
	histogram [delayBuckets]float64
	weight    float64       // sum of the histogram
	unit      float64       // what 1 in histogram and weight stands for; it shrinks as they forget. 0 = 1, at the start
	arrived   time.Duration // the packet before

	fastest  time.Duration // transit of the fastest packet in the window
	measured bool
	window   int64 // number of the current transit window
	slot     int64 // its place in mins and filled
	ends     time.Duration
	mins     [transitWindows]time.Duration
	filled   [transitWindows]bool
	residue  time.Duration // of histogram shifts smaller than a bucket

	raised   time.Duration // what late packets raised the target to
	raisedAt time.Duration
}

// observe takes the transit of a packet of the given number of ticks, and returns its delay relative to the fastest.
func (e *delayEstimator) observe(now, transit time.Duration, ticks int) time.Duration {
	e.trackFastest(now, transit)
	relative := transit - e.fastest
	most := float64(ticks)
	weight := min(max(float64(now-e.arrived)*(1/float64(Tick)), leastWeight*most), most)
	e.arrived = now
	if e.unit *= 1 - delayForget*weight; e.unit < leastUnit {
		e.settleUnit()
	}
	weight /= e.unit
	e.histogram[min(int(relative/Tick), delayBuckets-1)] += weight
	e.weight += weight
	return relative
}

// leastUnit keeps the histogram's numbers within a range in which none of them is rounded away.
const leastUnit = 1e-3

// settleUnit makes the unit 1.
func (e *delayEstimator) settleUnit() {
	if e.unit > 0 {
		for i := range e.histogram {
			e.histogram[i] *= e.unit
		}
		e.weight *= e.unit
	}
	e.unit = 1
}

// late raises the target to what would have saved a packet that came too late. One that no target could have saved
// raises nothing.
func (e *delayEstimator) late(now, relative time.Duration) {
	if needed := ticksUp(relative); needed <= e.max && needed > e.held(now) {
		e.raised, e.raisedAt = needed, now
	}
}

// target is the delay to aim at.
func (e *delayEstimator) target(now time.Duration) time.Duration {
	quantile := e.start
	if e.weight > 0 {
		sum, enough := 0.0, delayQuantile*e.weight
		i := 0
		for ; i < delayBuckets-1; i++ {
			if sum += e.histogram[i]; sum >= enough {
				break
			}
		}
		quantile = time.Duration(i+1) * Tick
	}
	return min(max(quantile, e.held(now), e.min), e.max)
}

// held is what is left of the last raise.
func (e *delayEstimator) held(now time.Duration) time.Duration {
	age := now - e.raisedAt
	if e.raised == 0 || age >= 8*delayHalfLife || age < 0 {
		return 0
	}
	held := e.raised
	for ; age >= delayHalfLife; age -= delayHalfLife {
		held /= 2
	}
	return held - held/2*age/delayHalfLife // straight line within a half-life
}

// trackFastest keeps the least transit of the last windows. When it moves, as with clock drift or a new route, the
// histogram moves with it.
func (e *delayEstimator) trackFastest(now, transit time.Duration) {
	if e.measured && now < e.ends { // no window ends: only this packet can be faster
		if !e.filled[e.slot] || transit < e.mins[e.slot] {
			e.mins[e.slot], e.filled[e.slot] = transit, true
		}
		if transit < e.fastest {
			e.shift(transit - e.fastest)
			e.fastest = transit
		}
		return
	}
	window := int64(now / transitWindow)
	if !e.measured {
		e.window = window
	}
	for steps := 0; e.window < window && steps < transitWindows; steps++ {
		e.window++
		e.filled[e.window%transitWindows] = false
	}
	e.window = max(e.window, window)
	e.slot, e.ends = e.window%transitWindows, time.Duration(e.window+1)*transitWindow
	if !e.filled[e.slot] || transit < e.mins[e.slot] {
		e.mins[e.slot], e.filled[e.slot] = transit, true
	}
	fastest := transit
	for i, filled := range e.filled {
		if filled {
			fastest = min(fastest, e.mins[i])
		}
	}
	if e.measured {
		e.shift(fastest - e.fastest)
	}
	e.fastest, e.measured = fastest, true
}

// shift re-bases what was measured when the fastest transit grew by the given amount.
func (e *delayEstimator) shift(grown time.Duration) {
	if grown == 0 {
		return
	}
	if e.raised > 0 {
		e.raised = max(0, e.raised-grown)
	}
	e.residue += grown
	buckets := int(e.residue / Tick)
	e.residue -= time.Duration(buckets) * Tick
	if buckets == 0 {
		return
	}
	var moved [delayBuckets]float64
	for i, weight := range e.histogram {
		moved[min(max(i-buckets, 0), delayBuckets-1)] += weight
	}
	e.histogram = moved
}

// forgetTransit starts the timeline anew but keeps the histogram: the network is the same.
func (e *delayEstimator) forgetTransit() {
	e.measured, e.filled, e.residue = false, [transitWindows]bool{}, 0
}

func ticksUp(d time.Duration) time.Duration { return (d + Tick - 1) / Tick * Tick }
