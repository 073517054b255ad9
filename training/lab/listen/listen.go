// Package listen makes a simulated call audible: the caller's speech is really coded by libopus as the policy decides,
// each packet is lost or comes when the simulation says, and what the callee plays is really decoded, with the jitter
// buffer, in-band FEC, redundancy and concealment of a client.
package listen

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/codec/opus"
	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
)

// Config is a call to listen to.
type Config struct {
	Profile *network.Profile
	Seed    uint64
	Speech  []int16                  // of the caller, 48 kHz mono
	Options func() []policy.Option   // how a leg decides
	Play    func(pcm []int16) error  // takes what the callee hears, 20 ms at a time
	Events  func(event policy.Event) // of the caller; may be nil
}

// Result is what came of the call.
type Result struct {
	Set     bool    // the call was set up
	Dropped bool    // it was dropped
	MOS     float64 // of what the callee heard, estimated; NaN when nothing was measured
	Packets int     // sent with audio
	Arrived int
}

// ErrPCMU says that the policy chose G.711, for which there is no encoder here.
var ErrPCMU = errors.New("the policy chose pcmu, which cannot be made audible: only opus can")

// tail is heard after the end of the speech.
const tail = time.Second

// Call makes the call. It lasts as long as the speech and a second.
func Call(c Config) (Result, error) {
	if c.Profile == nil || c.Options == nil || c.Play == nil || len(c.Speech) == 0 {
		return Result{}, errors.New("listen: a profile, options, speech and somewhere to play are required")
	}
	speech := append(slices.Clip(c.Speech), make([]int16, 2*opus.SampleRate)...) // over the end of the tail
	frames, err := sim.NewFrames(speech)
	if err != nil {
		return Result{}, fmt.Errorf("listen: %w", err)
	}
	l, err := newLine(speech, c.Play)
	if err != nil {
		return Result{}, fmt.Errorf("listen: %w", err)
	}
	var quality, seconds float64
	follow := func(e policy.Event) {
		if s := float64(e.Segment.Seconds); e.Kind == policy.EventSegment && !math.IsNaN(e.Measurement.MOS) {
			quality += s * e.Measurement.MOS
			seconds += s
		}
		if c.Events != nil {
			c.Events(e)
		}
	}
	caller := append([]policy.Option{policy.WithQuality(codec.Measured{}), policy.WithEvents(follow)}, c.Options()...)
	result, err := sim.Call(sim.Plan{
		Profile: c.Profile, Seed: c.Seed, Frames: frames, FromStart: true, Watch: l, Caller: caller, Callee: c.Options(),
		Duration: time.Duration(len(c.Speech))*time.Second/opus.SampleRate + tail,
	})
	if err = errors.Join(err, l.err); err != nil {
		return Result{}, fmt.Errorf("listen: %w", err)
	}
	return Result{
		Set: result.Stage >= model.StageMedia, Dropped: result.Stage >= model.StageMedia && result.Callee.Dropped,
		MOS: quality / seconds, Packets: len(l.packets), Arrived: l.arrived,
	}, nil
}

// line codes at one end and decodes at the other. It satisfies sim.Watcher.
type line struct {
	encoder *opus.Encoder
	player  *playout.Player
	speech  []int16
	sink    func(pcm []int16) error

	action  model.Action // of the encoder
	at      int          // next sample of the speech
	stamp   uint32
	packets []packet
	arrived int
	err     error
}

// packet is what was sent.
type packet struct {
	payload []byte // empty where libopus had nothing to send
	stamp   uint32
	red     int
}

func newLine(speech []int16, sink func([]int16) error) (*line, error) {
	encoder, err := opus.NewEncoder(opus.Config{})
	if err != nil {
		return nil, err
	}
	decoder, err := opus.NewDecoder()
	if err != nil {
		return nil, err
	}
	return &line{
		encoder: encoder, speech: speech, sink: sink,
		player: playout.NewPlayer(playout.Config{Duration: opus.PacketDuration, Redundancy: opus.Redundancy}, decoder),
	}, nil
}

// Coded codes the next 20 ms.
func (l *line) Coded(_ time.Duration, action model.Action, number int) {
	if l.err != nil {
		return
	}
	red := int(action.REDDepth)
	if l.err = l.apply(action); l.err != nil {
		return
	}
	pcm := l.speech[l.at : l.at+playout.TickSamples]
	if l.at += playout.TickSamples; l.at+playout.TickSamples > len(l.speech) {
		l.at = 0
	}
	frame, err := l.encoder.Encode(pcm)
	if err != nil {
		l.err = err
		return
	}
	if number >= 0 {
		l.packets = append(l.packets, packet{append([]byte(nil), frame.Payload...), l.stamp, red})
	}
	l.stamp += uint32(frame.Duration * opus.SampleRate / time.Second)
}

// apply sets the encoder up when the action changes.
func (l *line) apply(action model.Action) error {
	if action.Codec == model.CodecPCMU {
		return ErrPCMU
	}
	action.Codec, action.REDDepth, action.Transport, action.Site = model.CodecOpus, 0, model.TransportDirect, 0
	if action == l.action {
		return nil
	}
	l.action = action
	return l.encoder.Apply(action)
}

// Arrived hands a packet to the jitter buffer, what it repeats first.
func (l *line) Arrived(now time.Duration, number int) {
	if l.err != nil || number >= len(l.packets) {
		return
	}
	l.arrived++
	p := &l.packets[number]
	for back := p.red; back > 0; back-- {
		if number-back >= 0 && len(l.packets[number-back].payload) > 0 {
			older := &l.packets[number-back]
			l.player.PushRedundant(now, uint16(number-back), older.stamp, older.payload)
		}
	}
	if len(p.payload) > 0 {
		l.player.Push(now, uint16(number), p.stamp, p.payload)
	}
}

// Played takes 20 ms out of it.
func (l *line) Played(now time.Duration) {
	if l.err == nil {
		l.err = l.sink(l.player.Tick(now))
	}
}
