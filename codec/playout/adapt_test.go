package playout_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/attune-calls/attune/codec/playout"
)

// call plays frames of the given ticks for a while over a network that delays frame n by delay(n) (negative = lost),
// and calls each after every tick.
func call(b *playout.Buffer, ticks int, length time.Duration, delay func(n int, sent time.Duration) time.Duration,
	each func(now time.Duration, s playout.Step),
) {
	var list []arrival
	for n := range int(length/playout.Tick) / ticks {
		sent := time.Duration(n*ticks) * playout.Tick
		if d := delay(n, sent); d >= 0 {
			list = append(list, arrival{at: sent + d, number: n, stamp: n * ticks, ticks: ticks})
		}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return int(a.at - b.at) })
	next := 0
	for now := time.Duration(0); now < length; now += playout.Tick {
		for next < len(list) && list[next].at <= now {
			a := list[next]
			b.Push(a.at, sequence(a.number), timestamp(a.stamp), packet(a.ticks, a.fec, a.number))
			next++
		}
		each(now, b.Next(now))
	}
}

// delayOf is how long after it was sent a decoded frame is played.
func delayOf(now time.Duration, s playout.Step, ticks int) time.Duration {
	return now - time.Duration(number(s.Payload)*ticks)*playout.Tick
}

func TestTargetFollowsJitter(t *testing.T) {
	const length, calm = 120 * time.Second, 30 * time.Second
	random := rand.New(rand.NewPCG(1, 2))
	b := playout.New(config())
	var atCalm, concealedAtCalm uint64
	var last time.Duration
	call(b, 1, length, func(_ int, sent time.Duration) time.Duration {
		if sent < calm {
			return 50*ms + time.Duration(random.Int64N(int64(120*ms)))
		}
		return 50 * ms
	}, func(now time.Duration, s playout.Step) {
		if now == calm {
			if target := b.Target(now); target < 100*ms || target > 160*ms {
				t.Errorf("target delay %v under 120 ms of jitter", target)
			}
			stats := b.Stats()
			concealedAtCalm, atCalm = stats.ConcealedSamples, stats.TotalSamples
		}
		if s.Kind == playout.Decode {
			last = delayOf(now, s, 1)
		}
	})
	if share := float64(concealedAtCalm) / float64(atCalm); share > 0.03 {
		t.Errorf("%.1f %% concealed under 120 ms of jitter, want at most 3", 100*share)
	}
	if target := b.Target(length); target != 40*ms {
		t.Errorf("target delay %v long after the jitter ended, want 40ms", target)
	}
	if last > 130*ms { // 50 of the network, 40 of target, up to 30 before it pays to adapt, and the tick
		t.Errorf("frames play %v after they were sent, long after the jitter ended", last)
	}
	if stats := b.Stats(); stats.ConcealedSamples != concealedAtCalm {
		t.Errorf("%d samples concealed after the jitter ended", stats.ConcealedSamples-concealedAtCalm)
	}
}

func TestLatePacketRaisesTargetAtOnce(t *testing.T) {
	b := playout.New(config())
	before, after := time.Duration(0), time.Duration(0)
	call(b, 1, 12*time.Second, func(n int, _ time.Duration) time.Duration {
		if n == 500 {
			return 250 * ms
		}
		return 20 * ms
	}, func(now time.Duration, _ playout.Step) {
		switch now {
		case 9980 * ms:
			before = b.Target(now)
		case 10280 * ms:
			after = b.Target(now)
		}
	})
	if before != 40*ms || after < 200*ms {
		t.Errorf("target %v before and %v after a packet that came 250 ms late", before, after)
	}
}

func TestClockDrift(t *testing.T) {
	for _, perMillion := range []int{-300, 300} {
		b := playout.New(config())
		worst := time.Duration(0)
		call(b, 1, 10*time.Minute, func(_ int, sent time.Duration) time.Duration {
			return 200*ms + sent/1e6*time.Duration(perMillion)
		}, func(now time.Duration, s playout.Step) {
			if s.Kind == playout.Decode {
				network := 200*ms + now/1e6*time.Duration(perMillion)
				worst = max(worst, delayOf(now, s, 1)-network)
			}
		})
		stats := b.Stats()
		if share := float64(stats.ConcealedSamples) / float64(stats.TotalSamples); share > 0.001 {
			t.Errorf("%d ppm: %.2f %% concealed", perMillion, 100*share)
		}
		if worst > 120*ms {
			t.Errorf("%d ppm: frames wait up to %v", perMillion, worst)
		}
	}
}

// TestOutage: nothing comes for a while, and then everything at once.
func TestOutage(t *testing.T) {
	for _, outage := range []time.Duration{500 * ms, 4 * time.Second} {
		for _, ticks := range []int{1, 3} {
			b := playout.New(config())
			var wait time.Duration
			call(b, ticks, 60*time.Second, func(_ int, sent time.Duration) time.Duration {
				if sent > 10*time.Second && sent < 10*time.Second+outage {
					return 10*time.Second + outage - sent
				}
				return 30 * ms
			}, func(now time.Duration, s playout.Step) {
				if s.Kind == playout.Decode {
					wait = delayOf(now, s, ticks)
				}
				if stats := b.Stats(); stats.JitterBufferDelay > 1600*ms {
					t.Fatalf("outage %v: packets wait %v at %v", outage, stats.JitterBufferDelay, now)
				}
			})
			if wait > 150*ms {
				t.Errorf("outage %v, %d ticks: frames still play %v after they were sent", outage, ticks, wait)
			}
			stats := b.Stats()
			concealed := time.Duration(stats.ConcealedSamples) * time.Second / 48000
			if concealed > outage+200*ms {
				t.Errorf("outage %v, %d ticks: %v concealed", outage, ticks, concealed)
			}
		}
	}
}

func TestSenderRestart(t *testing.T) {
	b := playout.New(config())
	run(b, every(1, 50), 50)
	rogue := packet(1, false, 999)
	b.Push(time.Second, sequence(20000), timestamp(90000), rogue)
	if got := describe(b.Next(time.Second)); got == "d999" {
		t.Fatal("one stray packet restarted the stream")
	}
	for n := range 20 {
		now := time.Second + time.Duration(n)*playout.Tick
		b.Push(now, sequence(30000+n), timestamp(500000+n), packet(1, false, 100+n))
		b.Next(now)
	}
	if got, want := describe(b.Next(1400*ms)), "d118"; got != want {
		t.Errorf("after a restart of the sender: %s, want %s", got, want)
	}
	if stats := b.Stats(); stats.Expected != 50+19 || stats.Received != 50+1+20 {
		t.Errorf("%d packets received, %d expected", stats.Received, stats.Expected)
	}
}

func TestLossRuns(t *testing.T) {
	b := playout.New(config())
	run(b, every(1, 100, lose(10, 20, 21, 22, 40, 42)), 110)
	if stats := b.Stats(); stats.LossRuns != 4 || stats.Expected-stats.Received != 6 {
		t.Errorf("%d runs of %d losses, want 4 of 6", stats.LossRuns, stats.Expected-stats.Received)
	}
}

func TestRedundancyCountsAsRecovered(t *testing.T) {
	b := playout.New(config())
	for n := range 30 {
		now := time.Duration(n) * playout.Tick
		if n > 0 {
			b.PushRedundant(now, sequence(n-1), timestamp(n-1), packet(1, false, n-1))
		}
		if n%5 != 4 {
			b.Push(now, sequence(n), timestamp(n), packet(1, false, n))
		}
		b.Next(now)
	}
	stats := b.Stats()
	if stats.FECSamples != 5*960 || stats.ConcealedSamples != 0 || stats.Received != 24 {
		t.Errorf("totals %+v, want 5 frames recovered, none concealed, 24 received", stats)
	}
}

// TestRedundancyOfLongFrames: what restores a frame comes one frame later, so for 10 s after a loss the buffer waits longer
// by that.
func TestRedundancyOfLongFrames(t *testing.T) {
	const frame = 3 // ticks
	b := playout.New(config())
	var longest time.Duration
	for n := range 400 {
		now := time.Duration(n*frame) * playout.Tick
		if n != 100 && n != 101 {
			if n > 0 {
				b.PushRedundant(now, sequence(n-1), timestamp((n-1)*frame), packet(frame, false, n-1))
			}
			b.Push(now, sequence(n), timestamp(n*frame), packet(frame, false, n))
		}
		for tick := range frame {
			b.Next(now + time.Duration(tick)*playout.Tick)
		}
		longest = max(longest, b.Target(now))
		if target, lossy := b.Target(now), n > 101 && n < 250; lossy && target < frame*playout.Tick+40*ms || n == 99 && target != 40*ms {
			t.Fatalf("target %v after %v", target, now)
		}
	}
	if target := b.Target(400 * frame * playout.Tick); target >= longest {
		t.Errorf("target %v long after the loss, %v at most before", target, longest)
	}
}

func TestUnplayablePayloads(t *testing.T) {
	b := playout.New(config())
	b.Push(0, 1, 0, nil)
	b.Push(0, 2, 960, make([]byte, playout.MaxPayload+1))
	b.Push(0, 3, 1920, packet(7, false, 3))
	b.Push(0, 4, 2880, packet(0, false, 4))
	for n := range 10 {
		if s := b.Next(time.Duration(n) * playout.Tick); s.Kind != playout.Silence {
			t.Fatalf("step %v of a payload that cannot be played", describe(s))
		}
	}
}

func TestNoAllocation(t *testing.T) {
	b := playout.New(config())
	payload := packet(1, true, 0)
	n := 0
	step := func() {
		now := time.Duration(n) * playout.Tick
		if n%7 != 3 {
			b.Push(now, sequence(n), timestamp(n), payload)
			b.PushRedundant(now, sequence(n-1), timestamp(n-1), payload)
		}
		b.Next(now)
		n++
	}
	for range 2 * playout.MaxPackets {
		step()
	}
	if allocs := testing.AllocsPerRun(1000, step); allocs != 0 {
		t.Errorf("%v allocations a tick", allocs)
	}
}

func BenchmarkBuffer(b *testing.B) {
	buffer := playout.New(config())
	payload := packet(1, false, 0)
	b.ReportAllocs()
	for n := range b.N {
		now := time.Duration(n) * playout.Tick
		buffer.Push(now, uint16(n), uint32(n*960), payload)
		buffer.Next(now)
	}
}
