package playout

import "time"

const (
	pendingLimit = 30 // ticks, 600 ms: Opus under DTX speaks up every 400 ms, so a longer gap is loss (RFC 6716, 2.1.9)
	adaptEvery   = 500 * time.Millisecond
	hurryEvery   = 100 * time.Millisecond
	hurryAbove   = 200 * time.Millisecond
)

// Next says what to play now. Call it once every Tick.
func (b *Buffer) Next(now time.Duration) (step Step) {
	step.Duration = Tick
	if b.left > 0 {
		b.left--
		b.count(b.current, 1)
		step.Kind = Continue
		return step
	}
	head := b.head()
	if !b.playing {
		if head == nil || now < b.startAt {
			step.Kind, step.Comfort = Silence, b.last > 0
			return step
		}
		b.begin(head)
	}
	if head != nil && b.stall > 0 && !b.jump {
		b.resume(now, head)
	}
	if head != nil && (b.jump || b.slack(now) > b.config.Max+adaptEvery) {
		head = b.skip(now)
	}
	switch {
	case head == nil:
		b.wait(&step)
	case head.position > b.cursor:
		b.bridge(now, head, &step)
	default:
		b.play(now, head, &step)
	}
	return step
}

func (b *Buffer) begin(head *slot) {
	b.playing, b.jump = true, false
	b.cursor, b.end, b.played = head.position, head.position, head.sequence-1
	b.lost, b.stall = 0, 0
}

// wait fills a tick while the buffer is empty. Whether the packet is late, lost, or not sent because of DTX shows when
// the next one comes; until then the tick is not counted and the cursor stays.
func (b *Buffer) wait(step *Step) {
	b.stall++
	b.pending++
	if b.stall >= pendingLimit {
		b.settle(Conceal)
	}
	step.Kind = Conceal
}

func (b *Buffer) settle(as Kind) {
	b.count(as, b.pending)
	b.pending = 0
}

// resume decides what the ticks were that passed while the buffer was empty.
func (b *Buffer) resume(now time.Duration, head *slot) {
	gap := head.position - b.cursor
	lost, silent := b.split(now, head, gap)
	keep := int64(0) // ticks of the gap that FEC can still restore, where the target allows to wait for them
	if redundant := b.redundancy(head); silent == 0 && redundant > 0 && redundant <= lost {
		keep = redundant
		if b.slack(now)-time.Duration(gap-keep)*Tick > b.Target(now) {
			keep = 0
		}
	}
	passed := min(b.stall, gap-keep)
	b.cursor += passed
	b.lost += min(passed, lost)
	quiet := max(0, passed-lost)
	if gap > 0 && lost == 0 {
		quiet = b.stall // a pause of the sender, however long it seemed here
	}
	quiet = min(quiet, b.pending)
	b.pending -= quiet
	b.settle(Conceal)
	b.stall = 0
}

// split divides a gap before head into ticks that were lost and ticks that were never sent. Lost packets are taken to
// be as long as their neighbours, and to come first.
func (b *Buffer) split(now time.Duration, head *slot, gap int64) (lost, silent int64) {
	missing := head.sequence - b.played - 1
	if missing > 0 {
		b.lossy, b.lossAt = true, now
	}
	lost = missing*max(b.last, head.ticks) - b.lost
	lost = min(max(lost, 0), gap)
	return lost, gap - lost
}

func (b *Buffer) redundancy(head *slot) int64 {
	return int64(b.config.Redundancy(head.payload) / Tick)
}

// bridge fills one step of a gap: lost audio is recovered or concealed, silence is silence and may be made longer or
// shorter to reach the target delay.
func (b *Buffer) bridge(now time.Duration, head *slot, step *Step) {
	lost, silent := b.split(now, head, head.position-b.cursor)
	if lost > 0 {
		if redundant := b.redundancy(head); silent == 0 && redundant == lost {
			b.cursor += lost
			b.lost += lost
			step.Kind, step.Payload = Recover, head.payload
			b.start(Recover, lost, step)
			return
		}
		b.cursor++
		b.lost++
		b.count(Conceal, 1)
		step.Kind = Conceal
		return
	}
	excess := b.slack(now) - b.Target(now)
	if excess > Tick {
		b.cursor += min(silent, int64(excess/Tick))
		if b.cursor == head.position {
			b.play(now, head, step)
			return
		}
	}
	if excess >= -Tick {
		b.cursor++
	}
	step.Kind, step.Comfort = Silence, true
}

// play consumes head, at most one tick longer or shorter than it is.
func (b *Buffer) play(now time.Duration, head *slot, step *Step) {
	excess := b.slack(now) - b.Target(now)
	pause := adaptEvery
	if excess > hurryAbove {
		pause = hurryEvery
	}
	due := now-b.adapted >= pause
	if due && excess < -2*Tick && b.end == b.cursor {
		b.adapted = now
		b.count(Conceal, 1)
		step.Kind = Conceal
		return
	}
	step.Kind, step.Payload = Decode, head.payload
	kind, ticks := b.consume(now, head), head.ticks
	if due && excess > Tick+Tick/2 {
		if ticks > 1 {
			b.adapted, step.Shorten, ticks = now, true, ticks-1
		} else if next := b.at(head.sequence + 1); next != nil && next.position == b.cursor {
			b.adapted, step.Shorten, ticks = now, true, next.ticks
			step.Skipped, step.Payload = head.payload, next.payload
			kind = b.consume(now, next)
		}
	}
	b.start(kind, ticks, step)
}

// consume moves past a packet and returns what its audio counts as.
func (b *Buffer) consume(now time.Duration, s *slot) Kind {
	s.held = false
	b.played, b.last, b.lost = s.sequence, s.ticks, 0
	b.cursor = s.position + s.ticks
	b.end = b.cursor
	wait := max(0, now-s.arrived)
	b.waited += (wait - b.waited) / 16
	if s.recovered {
		return Recover
	}
	return Decode
}

// start begins a step that plays for some ticks and counts as a kind.
func (b *Buffer) start(kind Kind, ticks int64, step *Step) {
	b.current, b.left = kind, ticks-1
	b.count(kind, 1)
	step.Duration = time.Duration(ticks) * Tick
}

// skip moves the cursor forward so that the delay is back at the target, past the packets on the way. It returns what
// plays next.
func (b *Buffer) skip(now time.Duration) *slot {
	b.settle(Conceal)
	b.stall = 0
	b.cursor = max(b.cursor, int64((now-b.delay.fastest-b.Target(now))/Tick))
	head := b.head()
	if head != nil {
		if b.jump || head.position-b.cursor < int64(MaxFrame/Tick) {
			b.cursor = head.position
		}
		b.played, b.end, b.lost = head.sequence-1, b.cursor, 0
	}
	b.jump = false
	return head
}
