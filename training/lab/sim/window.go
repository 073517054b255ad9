package sim

import (
	"time"

	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/model"
)

// WindowLength is how long a Window is; the last one of a call may be shorter.
const WindowLength = 4 * time.Second

// Window is what became of the audio of one side in a stretch of the call. Windows lie on one grid from when media can
// flow, however often the policies decide, and tell what the other end really played, when it did: nothing of it has to
// be reported back first.
type Window struct {
	Length  time.Duration
	Actions []Held // that speech was coded under, in this order; their times sum up to Length
	Packets int    // sent
	Bytes   int    // of these, on the wire
	// Playout is of the other end: the totals gained in the window. JitterBufferDelay is the mean in it.
	Playout model.Playout
	// Transit is the mean time on the way of the packets that came; that of the window before if none did, and negative if
	// none ever did.
	Transit time.Duration
	// Jitter is the interarrival jitter (RFC 3550, section 6.4.1), the mean over the packets that came; negative without any.
	Jitter time.Duration
}

// Held is an action and for how long it was kept.
type Held struct {
	Action model.Action
	For    time.Duration
}

// meter measures the windows of one side's audio at both ends. Its slices serve one window after the other.
type meter struct {
	window Window // the sending end's part

	held      model.Action
	from      time.Duration // when the window began
	heldFrom  time.Duration
	transits  time.Duration // sums over the packets that came
	jitters   float64       // in timestamp units
	came      int
	delays    time.Duration
	delayed   int
	before    model.Playout
	base      uint32        // timestamp of the first frame
	speakFrom time.Duration // when its first tick was coded
}

// coded notes a new action.
func (m *meter) coded(now time.Duration, action model.Action) {
	if m.held != (model.Action{}) && now > m.heldFrom {
		m.window.Actions = append(m.window.Actions, Held{m.held, now - m.heldFrom})
		m.heldFrom = now
	}
	m.held = action // the first one counts from when media could flow
}

func (m *meter) sent(bytes int) {
	m.window.Packets++
	m.window.Bytes += bytes
}

// arrived notes a packet of media. Frames are sent when their last tick is coded, one after the other without a gap, so
// that timestamps tell when.
func (m *meter) arrived(at time.Duration, stamp uint32, ticks uint8, jitter float64) {
	coded := time.Duration((stamp-m.base)/playout.TickSamples) + time.Duration(ticks) - 1
	m.transits += at - (m.speakFrom + coded*playout.Tick)
	m.jitters += jitter
	m.came++
}

// look notes the delay of the other end's jitter buffer, once a second.
func (m *meter) look(b *playout.Buffer) {
	if d := b.Stats().JitterBufferDelay; d >= 0 {
		m.delays += d
		m.delayed++
	}
}

// end ends the window and begins the next. The window is valid until the next one ends.
func (m *meter) end(now time.Duration, b *playout.Buffer) *Window {
	m.coded(now, m.held)
	total := b.Stats()
	w := m.window
	w.Length = now - m.from
	w.Playout = model.Playout{
		Received: total.Received - m.before.Received, Expected: total.Expected - m.before.Expected,
		LossRuns: total.LossRuns - m.before.LossRuns, TotalSamples: total.TotalSamples - m.before.TotalSamples,
		ConcealedSamples: total.ConcealedSamples - m.before.ConcealedSamples, FECSamples: total.FECSamples - m.before.FECSamples,
		LateDiscarded: total.LateDiscarded - m.before.LateDiscarded, JitterBufferDelay: -1,
	}
	if m.delayed > 0 {
		w.Playout.JitterBufferDelay = m.delays / time.Duration(m.delayed)
	}
	w.Jitter = -1
	if m.came > 0 {
		w.Transit = m.transits / time.Duration(m.came)
		w.Jitter = time.Duration(m.jitters / float64(m.came) * float64(time.Second) / samplesPerSecond)
	}
	m.before, m.from = total, now
	m.transits, m.jitters, m.came, m.delays, m.delayed = 0, 0, 0, 0, 0
	m.window = Window{Actions: w.Actions[:0], Transit: w.Transit}
	return &w
}

const samplesPerSecond = 48000

// startMeters makes the meters of a call whose media can flow from now on, if somebody wants to know.
func (c *call) startMeters(begin time.Duration) {
	if c.plan.Windows == nil {
		return
	}
	for _, s := range c.sides {
		s.meter = &meter{window: Window{Transit: -1}, from: begin, heldFrom: begin, base: s.stamp, speakFrom: s.phase}
	}
}

// meterTick is called with each tick of the call, and tells of the windows that end with it. It returns whether the call
// goes on.
func (c *call) meterTick(begin, offset time.Duration) bool {
	if c.plan.Windows == nil || offset%time.Second != 0 || offset == 0 {
		return true
	}
	for i, s := range c.sides {
		s.meter.look(c.sides[1-i].buffer)
	}
	return offset%WindowLength != 0 || c.endWindows(begin+offset)
}

// endWindows tells of the windows up to now, and returns whether the call goes on.
func (c *call) endWindows(now time.Duration) bool {
	goesOn := true
	if c.plan.Windows == nil || now <= c.sides[caller].meter.from {
		return goesOn
	}
	for i, s := range c.sides {
		goesOn = c.plan.Windows(i, s.meter.end(now, c.sides[1-i].buffer)) && goesOn
	}
	return goesOn
}
