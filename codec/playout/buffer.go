package playout

import (
	"time"

	"github.com/attune-calls/attune/model"
)

// Buffer is an adaptive jitter buffer for one RTP stream of one SSRC. Its methods are not safe for concurrent use;
// Player adds a lock.
//
// Times are durations since any fixed moment and must not run backwards.
type Buffer struct {
	config Config
	delay  delayEstimator
	slots  [MaxPackets]slot // by sequence number

	begun    bool // a packet has come
	playing  bool
	jump     bool // packets were given up to make room: play on at the oldest left
	startAt  time.Duration
	maxSeq   int64 // highest sequence number that came, unwrapped
	maxStamp int64 // RTP timestamp of that packet, unwrapped
	base     int64 // timestamp of position 0
	suspect  suspect

	played   int64 // sequence number of the packet consumed last
	cursor   int64 // position, in ticks, of what plays next
	end      int64 // position just after the packet consumed last
	last     int64 // length of that packet in ticks
	lost     int64 // ticks given up as lost since then
	stall    int64 // ticks for which the buffer has been empty
	pending  int64 // of these, not counted yet
	adapted  time.Duration
	lossy    bool          // a packet was lost
	lossAt   time.Duration // the last time
	repair   time.Duration // how much later than a packet comes what can restore it, by the packet that came last
	repeats  bool          // the packet that comes next repeats earlier ones
	current  Kind          // what the step under way counts as
	left     int64         // ticks of it still to play
	waited   time.Duration
	arrivals arrivals
	stats    model.Playout
}

type slot struct {
	payload   []byte
	sequence  int64
	position  int64
	ticks     int64
	arrived   time.Duration
	held      bool
	recovered bool // from RED, not from its own packet
}

// suspect is a packet far off the stream. A second one that follows it in sequence proves that the sender restarted
// (RFC 3550, A.1, with MIN_SEQUENTIAL = 2).
type suspect struct {
	sequence uint16
	set      bool
}

// Limits of what counts as the same stream; beyond them two packets in sequence start it anew.
const (
	maxSequenceJump = 1000             // packets
	maxEarly        = 2 * time.Second  // ahead of the fastest packet so far
	maxLate         = 20 * time.Second // behind it
)

const lossMemory = 10 * time.Second

// New makes an empty buffer.
func New(config Config) *Buffer {
	b := &Buffer{config: config.withDefaults()}
	b.Reset()
	return b
}

// Reset makes the buffer as New made it, but for the memory that it has found.
func (b *Buffer) Reset() {
	slots := b.slots
	for i := range slots {
		slots[i] = slot{payload: slots[i].payload[:0]}
	}
	c := b.config
	*b = Buffer{config: c, delay: delayEstimator{min: c.Min, max: c.Max, start: c.Start}, slots: slots}
}

// Push takes a packet that came now. It copies the payload.
func (b *Buffer) Push(now time.Duration, sequence uint16, timestamp uint32, payload []byte) {
	b.stats.Received++
	if !b.begun {
		b.restart(now, sequence, timestamp)
	}
	seq, stamp := b.unwrap(sequence, timestamp)
	position := b.position(stamp)
	if b.foreign(now, seq, position) {
		if !b.suspect.set || sequence != b.suspect.sequence+1 {
			b.suspect = suspect{sequence: sequence, set: true}
			return
		}
		b.restart(now, sequence, timestamp)
		seq, stamp = b.unwrap(sequence, timestamp)
		position = b.position(stamp)
	}
	b.suspect.set = false
	if b.arrivals.add(seq) {
		return // a duplicate
	}
	if seq > b.maxSeq {
		b.maxSeq, b.maxStamp = seq, stamp
	}
	ticks := b.ticks(payload)
	if ticks == 0 {
		return // nothing that could be played
	}
	b.repair = b.config.Redundancy(payload)
	if b.repeats {
		b.repair = max(b.repair, time.Duration(ticks)*Tick)
	}
	b.repeats = false
	relative := b.delay.observe(now, now-time.Duration(position)*Tick, int(ticks))
	if !b.playing && seq <= b.played {
		b.played = seq - 1 // overtaken by a later packet before anything was played
	}
	if seq <= b.played || (b.playing && position < b.cursor) {
		b.stats.LateDiscarded++
		b.delay.late(now, relative)
		return
	}
	if b.stall > 0 && position == b.cursor {
		b.delay.late(now, relative)
	}
	b.hold(now, seq, position, ticks, payload, false)
}

// PushRedundant takes a payload that came as redundancy in another packet (RFC 2198), before that packet itself. It fills
// the place of a packet that has not come; it counts as recovered, and never as received.
func (b *Buffer) PushRedundant(now time.Duration, sequence uint16, timestamp uint32, payload []byte) {
	if !b.begun {
		return
	}
	seq, stamp := b.unwrap(sequence, timestamp)
	position := b.position(stamp)
	ticks := b.ticks(payload)
	b.repeats = b.repeats || ticks > 0
	if ticks == 0 || b.foreign(now, seq, position) || seq <= b.played || (b.playing && position < b.cursor) {
		return
	}
	if b.at(seq) != nil {
		return
	}
	b.hold(now, seq, position, ticks, payload, true)
}

func (b *Buffer) ticks(payload []byte) int64 {
	if len(payload) == 0 || len(payload) > MaxPayload {
		return 0
	}
	duration := b.config.Duration(payload)
	if duration < Tick || duration > MaxFrame || duration%Tick != 0 {
		return 0
	}
	return int64(duration / Tick)
}

func (b *Buffer) unwrap(sequence uint16, timestamp uint32) (seq, stamp int64) {
	return b.maxSeq + int64(int16(sequence-uint16(b.maxSeq))), b.maxStamp + int64(int32(timestamp-uint32(b.maxStamp)))
}

// position is the place of a timestamp on the grid of ticks, rounded.
func (b *Buffer) position(stamp int64) int64 {
	offset := stamp - b.base + TickSamples/2
	if offset < 0 {
		return -((-offset + TickSamples - 1) / TickSamples)
	}
	return offset / TickSamples
}

func (b *Buffer) foreign(now time.Duration, seq, position int64) bool {
	if seq-b.maxSeq > maxSequenceJump || b.maxSeq-seq > maxSequenceJump {
		return true
	}
	if !b.delay.measured {
		return false
	}
	relative := now - time.Duration(position)*Tick - b.delay.fastest
	return relative < -maxEarly || relative > maxLate
}

// restart begins a timeline at a packet.
func (b *Buffer) restart(now time.Duration, sequence uint16, timestamp uint32) {
	for i := range b.slots {
		b.slots[i].held = false
	}
	b.arrivals.restart(int64(sequence))
	b.delay.forgetTransit()
	b.settle(Conceal)
	b.begun, b.playing = true, false
	b.startAt = now + b.Target(now)
	b.maxSeq, b.maxStamp, b.base = int64(sequence), int64(timestamp), int64(timestamp)
	b.played = b.maxSeq - 1
	b.lost, b.stall, b.last = 0, 0, 0
}

func (b *Buffer) hold(now time.Duration, seq, position, ticks int64, payload []byte, recovered bool) {
	b.makeRoom(seq)
	s := &b.slots[uint64(seq)%MaxPackets]
	if s.held {
		if s.sequence == seq { // it was here as redundancy, and has come itself now; any other is older than all that fits
			s.recovered = s.recovered && recovered
		}
		return
	}
	s.payload = append(s.payload[:0], payload...)
	s.sequence, s.position, s.ticks, s.arrived = seq, position, ticks, now
	s.held, s.recovered = true, recovered
}

// makeRoom gives up the oldest packets when seq is too far ahead to fit beside them: after an outage that delivers all
// its packets at once.
func (b *Buffer) makeRoom(seq int64) {
	if seq-b.played <= MaxPackets {
		return
	}
	for s := b.played + 1; s <= min(seq-MaxPackets, b.played+MaxPackets); s++ {
		if held := b.at(s); held != nil {
			held.held = false
			b.stats.LateDiscarded++
		}
	}
	b.played = seq - MaxPackets
	b.jump = true
}

func (b *Buffer) at(seq int64) *slot {
	if s := &b.slots[uint64(seq)%MaxPackets]; s.held && s.sequence == seq {
		return s
	}
	return nil
}

// head is the next packet to play. Packets whose time has passed are let go.
func (b *Buffer) head() *slot {
	for seq := b.played + 1; seq <= b.maxSeq && seq <= b.played+MaxPackets; seq++ {
		s := b.at(seq)
		if s == nil {
			continue
		}
		if !b.playing || s.position >= b.cursor {
			return s
		}
		s.held = false
		b.stats.LateDiscarded++
	}
	return nil
}

// Target is the delay the buffer aims at: how long the fastest packet should wait in it. For 10 s after a loss that
// FEC or redundancy could have repaired it is longer by a frame, because the packet that restores a frame is sent a frame
// later.
func (b *Buffer) Target(now time.Duration) time.Duration {
	target := b.delay.target(now)
	if b.lossy && b.repair > 0 && now-b.lossAt < lossMemory {
		target = min(target+b.repair, b.config.Max)
	}
	return target
}

// slack is how long the fastest packet would wait if it were what plays next.
func (b *Buffer) slack(now time.Duration) time.Duration {
	return now - b.delay.fastest - time.Duration(b.cursor)*Tick
}
