package policy

import (
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
)

// redSender packs the packets of one outgoing stream. The lock is for writers of one stream that do not know of each
// other, such as one that sends packets again; it is held while a packed one is written, because the packet is in memory
// of the stream.
type redSender struct {
	mu       sync.Mutex
	history  [model.MaxREDDepth]sentFrame
	newest   int    // its place in history
	kept     int    // how many of history count
	sequence uint16 // of the newest
	blocks   [codec.MaxREDBlocks]codec.REDBlock
	packed   [codec.MaxREDPayload]byte
}

// sentFrame is the payload of a packet that was sent, which a later one may repeat.
type sentFrame struct {
	stamp   uint32
	size    int
	payload [codec.MaxREDBlock]byte
}

func (f *sentFrame) bytes() []byte { return f.payload[:f.size] }

// maxResent is how many packets a packet may lie behind the newest to count as that one sent again: about five seconds.
const maxResent = 256

// back is the frame sent so many packets before the one that goes out now.
func (s *redSender) back(n int) *sentFrame {
	return &s.history[(s.newest-(n-1)+len(s.history))%len(s.history)]
}

// pack gives the payload to send in place of one: with up to depth earlier frames, or as it is where there is nothing to
// repeat; and whether it was packed. It keeps the frame for the packets to come.
func (s *redSender) pack(header *rtp.Header, payload []byte, format redFormat, depth int) (packed []byte, ok bool) {
	if s.kept > 0 {
		switch ahead := header.SequenceNumber - s.sequence; {
		case ahead == 1:
		case -ahead < maxResent:
			return payload, false
		default:
			s.kept = 0 // the numbers began anew, or packets were left out
		}
	}
	if header.PayloadType != format.primary {
		s.kept = 0 // something else on the same stream, such as telephone events
		return payload, false
	}
	size := codec.NewREDSize(len(payload))
	for n := 1; n <= min(depth, s.kept); n++ {
		older := s.back(n)
		if !size.Repeat(older.size, header.Timestamp-older.stamp) {
			break
		}
	}
	if repeats := size.Repeats(); repeats > 0 {
		blocks := s.blocks[:0]
		for n := repeats; n > 0; n-- {
			older := s.back(n)
			blocks = append(blocks, codec.REDBlock{
				PayloadType: format.primary, Offset: uint16(header.Timestamp - older.stamp), Payload: older.bytes(),
			})
		}
		blocks = append(blocks, codec.REDBlock{PayloadType: format.primary, Payload: payload})
		var err error
		packed, err = codec.AppendRED(s.packed[:0], blocks)
		ok = err == nil
		s.blocks[repeats].Payload = nil // not ours
	}
	s.keep(header, payload)
	if !ok {
		return payload, false
	}
	return packed, true
}

func (s *redSender) keep(header *rtp.Header, payload []byte) {
	s.sequence = header.SequenceNumber
	s.newest = (s.newest + 1) % len(s.history)
	s.kept = min(s.kept+1, len(s.history))
	if len(payload) == 0 || len(payload) > codec.MaxREDBlock {
		s.kept = 0 // cannot be repeated, so nothing before it can
		return
	}
	frame := &s.history[s.newest]
	frame.stamp, frame.size = header.Timestamp, copy(frame.payload[:], payload)
}

// write packs a packet and sends it, as far as the peer takes RED at all.
func (f *Factory) write(s *redSender, writer interceptor.RTPWriter, header *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
	formats := f.red.Load()
	if formats == nil || header == nil || f.inert.Load() {
		f.meter.sent.count(header, payload)
		return writer.Write(header, payload, a)
	}
	s.mu.Lock()
	packed, ok := f.pack(s, header, payload, formats.send)
	if !ok {
		s.mu.Unlock()
		f.meter.sent.count(header, payload)
		return writer.Write(header, payload, a)
	}
	defer s.mu.Unlock()
	header.PayloadType = formats.send.packed // in place, as interceptors add header extensions
	f.meter.sent.count(header, packed)
	return writer.Write(header, packed, a)
}

// pack never panics.
func (f *Factory) pack(s *redSender, header *rtp.Header, payload []byte, format redFormat) (packed []byte, ok bool) {
	defer f.recover("pack redundant audio")
	return s.pack(header, payload, format, int(f.action.Load().REDDepth))
}
