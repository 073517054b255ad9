package policy

import (
	"encoding/binary"

	"github.com/pion/interceptor"

	"github.com/attune-calls/attune/codec"
)

// RepeatedFrame is the payload of an earlier packet that came once more in a later one.
type RepeatedFrame struct {
	SequenceNumber uint16 // of the earlier packet
	Timestamp      uint32
	Payload        []byte
}

// Repeated gives the frames that a packet repeated, oldest first. The attributes are those that came with the packet, as
// from webrtc.TrackRemote.ReadRTP. A frame may have come before; a jitter buffer such as codec/playout sorts that out.
// All of it is valid until the next packet of the stream is read.
func Repeated(a interceptor.Attributes) []RepeatedFrame {
	r, _ := a.Get(redKey{}).(*redReceiver)
	if r == nil {
		return nil
	}
	return r.frames
}

type redKey struct{}

// redReceiver unpacks the packets of one incoming stream. One goroutine reads a stream.
type redReceiver struct {
	blocks [codec.MaxREDBlocks]codec.REDBlock
	frames []RepeatedFrame
	room   [codec.MaxREDBlocks - 1]RepeatedFrame
	bytes  [1500]byte // for all of a packet
}

// unpack turns a RED packet into the plain packet of its primary frame, in place, and keeps what it repeats. It gives the
// length of the packet.
func (r *redReceiver) unpack(packet []byte, format redFormat) (int, error) {
	r.frames = r.room[:0]
	from, to, ok := rtpPayload(packet)
	if !ok {
		return len(packet), codec.ErrRED
	}
	blocks, err := codec.ParseRED(packet[from:to], r.blocks[:0])
	if err != nil {
		return len(packet), err
	}
	sequence, stamp := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[4:])
	repeats := len(blocks) - 1
	room := r.bytes[:]
	for i, b := range blocks[:repeats] {
		if b.PayloadType != format.primary || len(b.Payload) > len(room) {
			continue
		}
		size := copy(room, b.Payload)
		r.frames = append(r.frames, RepeatedFrame{
			SequenceNumber: sequence - uint16(repeats-i), Timestamp: stamp - uint32(b.Offset), Payload: room[:size:size],
		})
		room = room[size:]
	}
	primary := blocks[repeats]
	packet[0] &^= paddingBit
	packet[1] = packet[1]&markerBit | primary.PayloadType
	return from + copy(packet[from:], primary.Payload), nil
}

// The bits of RFC 3550, section 5.1.
const (
	paddingBit   = 0x20
	extensionBit = 0x10
	markerBit    = 0x80
)

// rtpPayload finds the payload of an RTP packet (RFC 3550, section 5.1).
func rtpPayload(packet []byte) (from, to int, ok bool) {
	if len(packet) < 12 || packet[0]>>6 != 2 {
		return 0, 0, false
	}
	from, to = 12+4*int(packet[0]&0x0f), len(packet)
	if packet[0]&extensionBit != 0 {
		if from+4 > to {
			return 0, 0, false
		}
		from += 4 + 4*int(binary.BigEndian.Uint16(packet[from+2:]))
	}
	if packet[0]&paddingBit != 0 {
		to -= int(packet[to-1])
	}
	return from, to, from <= to
}

// unpack unpacks a packet of n bytes where it is RED, and tells how long it is then. What does not parse passes as it is.
func (f *Factory) unpack(r *redReceiver, b []byte, n int, a interceptor.Attributes) (length int, attributes interceptor.Attributes) {
	formats := f.red.Load()
	r.frames = nil
	if formats == nil || n < 2 || b[1]&^markerBit != formats.receive.packed || f.inert.Load() {
		return n, a
	}
	length, attributes = n, a
	defer f.recover("unpack redundant audio")
	unpacked, err := r.unpack(b[:n], formats.receive)
	if err != nil {
		f.counters.badRED.Add(1)
		return n, a
	}
	if len(r.frames) > 0 {
		if a == nil {
			attributes = make(interceptor.Attributes)
		}
		attributes.Set(redKey{}, r)
	}
	return unpacked, attributes
}
