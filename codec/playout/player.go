package playout

import (
	"sync"
	"time"

	"github.com/attune-calls/attune/model"
)

// Decoder is what a Player needs of a codec; *opus.Decoder of this module satisfies it. All PCM is 48 kHz mono.
type Decoder interface {
	// Decode writes a payload's audio to pcm and returns the number of samples.
	Decode(payload []byte, pcm []int16) (int, error)
	// DecodeFEC fills pcm with the audio just before next.
	DecodeFEC(next []byte, pcm []int16) error
	// Conceal fills pcm with made-up audio that continues what came before.
	Conceal(pcm []int16) error
}

// Player plays one stream: packets in, PCM out. Push and Playout may be called from any goroutine, Tick from one.
type Player struct {
	decoder Decoder

	mu        sync.Mutex
	buffer    *Buffer
	concealed uint64 // samples counted as decoded or recovered whose payload would not decode

	// Of Tick alone.
	payload []byte
	skipped []byte
	pcm     [2 * maxFrameSamples]int16
	offset  int
	filled  int
}

const maxFrameSamples = int(MaxFrame/Tick) * TickSamples

// NewPlayer makes a player with an empty buffer.
func NewPlayer(config Config, decoder Decoder) *Player {
	return &Player{
		decoder: decoder,
		buffer:  New(config),
		payload: make([]byte, 0, MaxPayload),
		skipped: make([]byte, 0, MaxPayload),
	}
}

// Push takes a packet that came now. It copies the payload.
func (p *Player) Push(now time.Duration, sequence uint16, timestamp uint32, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer.Push(now, sequence, timestamp, payload)
}

// PushRedundant takes a payload that came as redundancy (RFC 2198) in another packet, before Push takes that one.
func (p *Player) PushRedundant(now time.Duration, sequence uint16, timestamp uint32, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer.PushRedundant(now, sequence, timestamp, payload)
}

// Playout is what has been played so far.
func (p *Player) Playout() model.Playout {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.buffer.Stats()
	stats.ConcealedSamples += p.concealed
	return stats
}

// Tick returns the next 960 samples, valid until the next call. It always has some: a payload that does not decode is
// concealed and counted as such.
func (p *Player) Tick(now time.Duration) []int16 {
	step := p.next(now)
	if step.Kind != Continue {
		p.offset, p.filled = 0, int(step.Duration/Tick)*TickSamples
	}
	out := p.pcm[:p.filled]
	switch step.Kind {
	case Decode:
		p.decode(step, out)
	case Recover:
		p.check(p.decoder.DecodeFEC(step.Payload, out), out)
	case Conceal:
		p.conceal(out)
	case Silence:
		clear(out)
		if step.Comfort {
			p.conceal(out)
		}
	}
	tick := p.pcm[p.offset : p.offset+TickSamples]
	p.offset += TickSamples
	return tick
}

// next asks the buffer and copies the payloads, so that no packet waits while one is decoded.
func (p *Player) next(now time.Duration) Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	step := p.buffer.Next(now)
	p.payload = append(p.payload[:0], step.Payload...)
	p.skipped = append(p.skipped[:0], step.Skipped...)
	step.Payload = p.payload
	return step
}

// decode fills out from the payloads of a step, cross-fading one tick away where the step says so.
func (p *Player) decode(step Step, out []int16) {
	if !step.Shorten {
		n, err := p.decoder.Decode(step.Payload, p.pcm[:])
		p.settle(n, err, out)
		return
	}
	long := p.pcm[:len(out)+TickSamples]
	first := 0
	if len(p.skipped) > 0 {
		first = TickSamples
		n, err := p.decoder.Decode(p.skipped, long)
		if err != nil || n != first {
			p.conceal(long[:first])
		}
	}
	n, err := p.decoder.Decode(step.Payload, p.pcm[first:])
	p.settle(n, err, long[first:])
	for i := range TickSamples {
		from, to := int(long[i]), int(long[TickSamples+i])
		long[i] = int16((from*(TickSamples-i) + to*i) / TickSamples)
	}
	copy(long[TickSamples:], long[min(2*TickSamples, len(long)):])
}

func (p *Player) settle(n int, err error, out []int16) {
	if err == nil && n == len(out) {
		return
	}
	p.conceal(out)
	p.failed(len(out))
}

func (p *Player) check(err error, out []int16) {
	if err != nil {
		p.conceal(out)
		p.failed(len(out))
	}
}

func (p *Player) failed(samples int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.concealed += uint64(samples)
}

func (p *Player) conceal(out []int16) {
	if p.decoder.Conceal(out) != nil {
		clear(out)
	}
}
