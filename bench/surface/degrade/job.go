package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/attune-calls/attune/codec/opus"
	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/codec/wav"
	"github.com/attune-calls/attune/model"
)

// job is one file under one condition.
type job struct {
	In     string       `json:"in"`
	Out    string       `json:"out"`
	Action model.Action `json:"action"`
	Loss   lossModel    `json:"loss"`
	Seed   uint64       `json:"seed"`
}

// answer is what came of a job. Loss and Burst are what model.QualityInput would hold: the share of audio that was
// made up, and the burst ratio of the packets on the way, before any repair.
type answer struct {
	Out      string  `json:"out"`
	Loss     float64 `json:"loss"`
	Burst    float64 `json:"burst"`
	SentLoss float64 `json:"sentLoss"` // share of packets lost on the way
	Kbps     float64 `json:"kbps"`     // of payload while the file lasts, redundancy included
	LeadIn   float64 `json:"leadIn"`   // seconds before the file begins
	Seconds  float64 `json:"seconds"`  // of the file
}

const (
	// leadIn is how long the end of the file is heard before its beginning, so that codec and jitter buffer have settled.
	leadIn = 150 // ticks
	// after is how long the loudspeaker goes on when the file has ended.
	after = 25 // ticks
)

// packet is what was sent.
type packet struct {
	payload []byte
	stamp   uint32
	tick    int // when its last sample was said
	inside  bool
}

// do codes, loses, repairs, decodes and writes.
func (j job) do() (answer, error) {
	speech, err := wav.ReadFile(j.In)
	if err != nil {
		return answer{}, err
	}
	ticks := len(speech) / playout.TickSamples
	if ticks <= leadIn/2 {
		return answer{}, fmt.Errorf("want more than %v of speech", leadIn/2*playout.Tick)
	}
	at := func(tick int) []int16 { // from before the beginning to after the end, both repeat
		tick = ((tick-leadIn)%ticks + ticks) % ticks
		return speech[tick*playout.TickSamples : (tick+1)*playout.TickSamples]
	}
	packets, err := encode(j.Action, leadIn+ticks+after, at)
	if err != nil {
		return answer{}, err
	}
	lost, err := j.Loss.draw(len(packets), j.Seed)
	if err != nil {
		return answer{}, err
	}
	a := answer{Out: j.Out, LeadIn: leadIn * playout.Tick.Seconds(), Seconds: float64(ticks) * playout.Tick.Seconds()}
	a.count(packets, lost, j.Action, ticks)
	return a, j.play(&a, packets, lost, ticks)
}

// encode codes with the complexity of the product's clients.
func encode(action model.Action, ticks int, at func(tick int) []int16) ([]packet, error) {
	encoder, err := opus.NewEncoder(opus.Config{})
	if err != nil {
		return nil, err
	}
	single := action
	single.Codec, single.REDDepth = model.CodecOpus, 0
	if err := encoder.Apply(single); err != nil {
		return nil, err
	}
	var packets []packet
	var stamp uint32
	for tick := range ticks {
		frame, err := encoder.Encode(at(tick))
		if err != nil {
			return nil, err
		}
		if frame.Payload != nil {
			packets = append(packets, packet{
				payload: append([]byte(nil), frame.Payload...), stamp: stamp, tick: tick,
				inside: tick >= leadIn && tick < ticks-after,
			})
		}
		stamp += uint32(frame.Duration * opus.SampleRate / time.Second)
	}
	return packets, nil
}

// count is the loss on the way and the rate, of the packets inside the file.
func (a *answer) count(packets []packet, lost []bool, action model.Action, ticks int) {
	var sent, gone, runs, bytes float64
	for i, p := range packets {
		if !p.inside {
			continue
		}
		sent++
		for back := 0; back <= int(action.REDDepth) && back <= i; back++ {
			bytes += float64(len(packets[i-back].payload))
		}
		if lost[i] {
			gone++
			if i == 0 || !lost[i-1] || runs == 0 {
				runs++
			}
		}
	}
	a.Kbps = bytes * 8 / 1000 / (float64(ticks) * playout.Tick.Seconds())
	a.Burst = 1
	if gone > 0 {
		a.SentLoss = gone / sent
		a.Burst = max(1, gone/runs*(1-a.SentLoss))
	}
}

// play gives the packets that arrive to the jitter buffer the moment they are complete, and writes what it plays.
func (j job) play(a *answer, packets []packet, lost []bool, ticks int) (err error) {
	decoder, err := opus.NewDecoder()
	if err != nil {
		return err
	}
	player := playout.NewPlayer(playout.Config{Duration: opus.PacketDuration, Redundancy: opus.Redundancy}, decoder)
	out, err := wav.Create(j.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	// The file is heard a frame and the jitter buffer's delay after it was said.
	begin := leadIn + int(j.Action.FrameMillis)/20 + 2
	var before model.Playout
	next := 0
	for tick := range leadIn + ticks + after {
		now := time.Duration(tick) * playout.Tick
		for ; next < len(packets) && packets[next].tick <= tick; next++ {
			if !lost[next] {
				j.push(player, now, packets, next)
			}
		}
		if tick == begin {
			before = player.Playout()
		}
		if tick == begin+ticks-1 {
			a.heard(before, player.Playout())
		}
		if err := out.Write(player.Tick(now)); err != nil {
			return err
		}
	}
	return nil
}

// push hands over a packet, what it repeats first.
func (j job) push(player *playout.Player, now time.Duration, packets []packet, number int) {
	for back := int(j.Action.REDDepth); back > 0; back-- {
		if older := number - back; older >= 0 {
			player.PushRedundant(now, uint16(older), packets[older].stamp, packets[older].payload)
		}
	}
	player.Push(now, uint16(number), packets[number].stamp, packets[number].payload)
}

func (a *answer) heard(before, now model.Playout) {
	if total := now.TotalSamples - before.TotalSamples; total > 0 {
		a.Loss = float64(now.ConcealedSamples-before.ConcealedSamples) / float64(total)
	}
}
