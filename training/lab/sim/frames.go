package sim

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/attune-calls/attune/codec/opus"
	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/model"
)

// Frames is what libopus makes of some speech under any action: the size of each frame, and whether it repeats the one
// before at a lower rate (in-band FEC). Each way to encode is coded once, when it is first asked for. It is safe for
// concurrent use.
type Frames struct {
	speech []int16

	mu     sync.Mutex
	tables map[model.Action]*entry
}

// entry is a table, or the making of one: others who need it wait, and nobody else does.
type entry struct {
	once  sync.Once
	table *table
	err   error
}

// table is the speech in one encoding. It repeats for ever.
type table struct {
	action model.Action // without transport
	ticks  int          // 20 ms in one frame
	frames []frame
}

// frame is one coded frame.
type frame struct {
	bytes uint16 // of payload; 0 = silence under DTX, not sent
	fec   uint8  // ticks of the audio before that the frame can restore
}

// wholeTicks is the number of ticks that all frame durations divide: 120 ms.
const wholeTicks = 6

// NewFrames takes speech of 48 kHz mono; what exceeds a multiple of 120 ms is cut off.
func NewFrames(speech []int16) (*Frames, error) {
	const whole = wholeTicks * playout.TickSamples
	n := len(speech) / whole * whole
	if n == 0 {
		return nil, errors.New("simulate calls: want at least 120 ms of speech")
	}
	return &Frames{speech: speech[:n], tables: make(map[model.Action]*entry)}, nil
}

// Duration is how long the speech lasts before it repeats.
func (f *Frames) Duration() time.Duration {
	return time.Duration(len(f.speech)/playout.TickSamples) * playout.Tick
}

// table finds or makes the encoding of an action.
func (f *Frames) table(a model.Action) (*table, error) {
	key := a
	key.Transport, key.Site, key.REDDepth = model.TransportDirect, 0, 0
	if key.Codec == model.CodecOpusRED {
		key.Codec = model.CodecOpus
	}
	f.mu.Lock()
	e := f.tables[key]
	if e == nil {
		e = new(entry)
		f.tables[key] = e
	}
	f.mu.Unlock()
	e.once.Do(func() { e.table, e.err = f.encode(key) })
	if e.err != nil {
		return nil, fmt.Errorf("frames of %v: %w", a, e.err)
	}
	return e.table, nil
}

// bytesPerTick is the payload of 20 ms of G.711.
const bytesPerTick = 160

func (f *Frames) encode(a model.Action) (*table, error) {
	t := &table{action: a, ticks: int(a.FrameDuration() / playout.Tick)}
	if a.Codec == model.CodecPCMU {
		t.frames = []frame{{bytes: uint16(bytesPerTick * t.ticks)}}
		return t, nil
	}
	encoder, err := opus.NewEncoder(opus.Config{Complexity: complexity})
	if err != nil {
		return nil, err
	}
	if err := encoder.Apply(a); err != nil {
		return nil, err
	}
	ticks := len(f.speech) / playout.TickSamples
	for at := range ticks {
		coded, err := encoder.Encode(f.speech[at*playout.TickSamples : (at+1)*playout.TickSamples])
		switch {
		case err != nil:
			return nil, err
		case coded.Silence():
			t.frames = append(t.frames, frame{})
		case coded.Payload != nil:
			t.frames = append(t.frames, frame{
				bytes: uint16(len(coded.Payload)), fec: uint8(opus.Redundancy(coded.Payload) / playout.Tick),
			})
		}
	}
	if len(t.frames)*t.ticks != ticks {
		return nil, fmt.Errorf("libopus made %d frames of %d ticks of %d", len(t.frames), t.ticks, ticks)
	}
	return t, nil
}

// complexity is that of the clients of package lab, so that the tables are theirs.
const complexity = 5

// at is the number of the frame that begins at a tick of the speech, or covers it.
func (t *table) at(tick int) int { return tick / t.ticks % len(t.frames) }
