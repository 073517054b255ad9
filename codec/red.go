package codec

import (
	"errors"
	"fmt"

	"github.com/attune-calls/attune/model"
)

// Bounds of an RFC 2198 payload.
const (
	// MaxREDBlocks is the primary block and the earlier frames repeated beside it: more than an action can ask for
	// (model.MaxREDDepth), because a peer of another make may repeat nine (libwebrtc can be told to).
	MaxREDBlocks = 1 + 9
	// MaxREDOffset is how far back a repeated frame may lie, in RTP timestamp units: 14 bits, 341 ms at 48 kHz.
	MaxREDOffset = 1<<14 - 1
	// MaxREDBlock is the longest repeated frame in bytes: 10 bits.
	MaxREDBlock = 1<<10 - 1
	// MaxREDPayload is how far repeated frames may fill a payload, so that a packet with its headers stays within the 1280
	// bytes every IPv6 path carries.
	MaxREDPayload = 1200
)

// The bytes in front of a repeated frame, and in front of the primary.
const (
	redHeader        = 4
	redPrimaryHeader = 1
)

// ErrRED says that bytes are not a payload of RFC 2198 within the bounds of this package.
var ErrRED = errors.New("malformed redundant audio (rfc 2198)")

// REDBlock is one coded frame of a redundant payload.
type REDBlock struct {
	PayloadType uint8  // 7 bits
	Offset      uint16 // how much earlier than the packet's timestamp the frame begins; 0 for the primary
	Payload     []byte
}

// REDSize is the size of a payload that grows by repeated frames, and the rule of what is repeated: the frames of the
// packets sent just before, the latest first, until one does not fit. None is left out in between, so that a receiver can
// tell the sequence number of each by counting back.
type REDSize struct {
	bytes   int
	repeats int
	offset  uint32 // of the frame added last
}

// NewREDSize begins with a primary frame of so many bytes.
func NewREDSize(primary int) REDSize { return REDSize{bytes: primary} }

// Repeat adds an earlier frame that began offset units of the RTP timestamp before the primary. It is false, and nothing
// is added, when the frame began no earlier than the one added last, when RFC 2198 cannot express it, and when the payload
// would exceed MaxREDPayload; then no earlier one may be added either.
func (s *REDSize) Repeat(bytes int, offset uint32) bool {
	grown := s.bytes + bytes + redHeader
	if s.repeats == 0 {
		grown += redPrimaryHeader
	}
	if bytes <= 0 || bytes > MaxREDBlock || offset <= s.offset || offset > MaxREDOffset || grown > MaxREDPayload || s.repeats == model.MaxREDDepth {
		return false
	}
	s.bytes, s.offset = grown, offset
	s.repeats++
	return true
}

// Repeats is how many frames were added.
func (s *REDSize) Repeats() int { return s.repeats }

// Bytes is the size of the payload. One that repeats nothing goes out as the plain frame it is.
func (s *REDSize) Bytes() int { return s.bytes }

// AppendRED appends the payload of RFC 2198, section 3, to dst: the repeated frames, oldest first, and then the
// primary, whose Offset must be 0. It does not allocate where dst has room. On an error dst is returned as it was.
func AppendRED(dst []byte, blocks []REDBlock) ([]byte, error) {
	if len(blocks) == 0 || len(blocks) > MaxREDBlocks {
		return dst, fmt.Errorf("pack redundant audio: %d blocks, want 1..%d", len(blocks), MaxREDBlocks)
	}
	primary := len(blocks) - 1
	for i := range blocks {
		if err := blocks[i].validate(i == primary); err != nil {
			return dst, fmt.Errorf("pack redundant audio: block %d: %w", i, err)
		}
		if i > 0 && blocks[i].Offset >= blocks[i-1].Offset {
			return dst, fmt.Errorf("pack redundant audio: block %d is not later than the one before", i)
		}
	}
	for _, b := range blocks[:primary] {
		size := len(b.Payload)
		dst = append(dst, 0x80|b.PayloadType, byte(b.Offset>>6), byte(b.Offset<<2)|byte(size>>8), byte(size))
	}
	dst = append(dst, blocks[primary].PayloadType)
	for _, b := range blocks {
		dst = append(dst, b.Payload...)
	}
	return dst, nil
}

func (b *REDBlock) validate(primary bool) error {
	switch {
	case b.PayloadType > 127:
		return fmt.Errorf("payload type %d is above 127", b.PayloadType)
	case primary && b.Offset != 0:
		return fmt.Errorf("the primary has offset %d, want 0", b.Offset)
	case !primary && (b.Offset == 0 || b.Offset > MaxREDOffset):
		return fmt.Errorf("offset %d is outside 1..%d", b.Offset, MaxREDOffset)
	case !primary && (len(b.Payload) == 0 || len(b.Payload) > MaxREDBlock):
		return fmt.Errorf("repeated frame of %d bytes, want 1..%d", len(b.Payload), MaxREDBlock)
	}
	return nil
}

// ParseRED appends the blocks of a payload to blocks, oldest first, the primary last; their Payloads alias payload.
// What it accepts, AppendRED packs into the same bytes. It returns an error that wraps ErrRED, and blocks as it was,
// for anything else: cut short, more than MaxREDBlocks, out of order, or an empty repeated frame.
func ParseRED(payload []byte, blocks []REDBlock) ([]REDBlock, error) {
	var lengths [MaxREDBlocks]int
	out, rest, n, total := blocks, payload, 0, 0
	for {
		if n == MaxREDBlocks {
			return blocks, fmt.Errorf("%w: more than %d blocks", ErrRED, MaxREDBlocks)
		}
		if len(rest) == 0 {
			return blocks, fmt.Errorf("%w: no primary header", ErrRED)
		}
		if rest[0]&0x80 == 0 {
			break
		}
		if len(rest) < 4 {
			return blocks, fmt.Errorf("%w: header of block %d cut short", ErrRED, n)
		}
		offset := uint16(rest[1])<<6 | uint16(rest[2])>>2
		lengths[n] = int(rest[2]&3)<<8 | int(rest[3])
		if offset == 0 || lengths[n] == 0 || (n > 0 && offset >= out[len(out)-1].Offset) {
			return blocks, fmt.Errorf("%w: block %d with offset %d and %d bytes", ErrRED, n, offset, lengths[n])
		}
		out = append(out, REDBlock{PayloadType: rest[0] & 0x7f, Offset: offset})
		total += lengths[n]
		rest = rest[4:]
		n++
	}
	out = append(out, REDBlock{PayloadType: rest[0]})
	rest = rest[1:]
	if total > len(rest) {
		return blocks, fmt.Errorf("%w: %d bytes of repeated frames, %d left", ErrRED, total, len(rest))
	}
	for i := range n {
		out[len(blocks)+i].Payload, rest = rest[:lengths[i]], rest[lengths[i]:]
	}
	out[len(out)-1].Payload = rest
	return out, nil
}
