package telemetry

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/model"
)

// AppendMarshal appends the one canonical encoding of r to dst. It encodes what it is given, valid or not, as long as
// that stays within MaxSegments and MaxReportSize; on an error it returns dst unchanged. It allocates only to grow dst.
func (r *Report) AppendMarshal(dst []byte) ([]byte, error) {
	if len(r.Segments) > MaxSegments {
		return dst, reject(RejectSegments, "%d segments, at most %d are taken", len(r.Segments), MaxSegments)
	}
	s := sheets.Get().(*sheet)
	defer sheets.Put(s)
	s.begin()
	s.turn(r)

	start := len(dst)
	b := appendUint(dst, fieldSchema, uint64(r.Schema))
	b = protowire.AppendFixed64(protowire.AppendTag(b, fieldIDHigh, protowire.Fixed64Type), binary.BigEndian.Uint64(r.ID[:8]))
	b = protowire.AppendFixed64(protowire.AppendTag(b, fieldIDLow, protowire.Fixed64Type), binary.BigEndian.Uint64(r.ID[8:]))
	b = appendUint(b, fieldHour, uint64(r.Hour))
	b = appendUint(b, fieldOrigin, uint64(r.Origin))
	b = appendUint(b, fieldStack, uint64(r.Stack))
	b = appendUint(b, fieldStage, uint64(r.Stage))
	b = appendUint(b, fieldDropped, protowire.EncodeBool(r.Dropped))
	b = appendUint(b, fieldDuration, uint64(r.Duration))
	b = appendUint(b, fieldRating, uint64(r.Rating))
	b = appendUint(b, fieldProblems, uint64(r.Problems))
	b = appendRefusals(b, &r.Refusals)
	b = s.append(b)
	b = appendUint(b, fieldLostSegments, uint64(r.LostSegments))
	b = appendUint(b, fieldLostReports, uint64(r.LostReports))
	b = appendUint(b, fieldStars, uint64(r.Stars))
	b = appendUint(b, fieldProblem, uint64(r.Problem))
	if size := len(b) - start; size > MaxReportSize {
		return dst, reject(RejectTooLarge, "%d bytes, at most %d are taken", size, MaxReportSize)
	}
	return b, nil
}

// turn fills the columns and tables from the segments of r.
func (s *sheet) turn(r *Report) {
	s.situations = append(s.situations, situationOf(&r.Context))
	// What the segment before had, with its place in the tables: most segments differ in nothing but what was measured.
	var (
		where    situation
		who      decider
		before   model.Action
		placed   struct{ situation, decider, action uint32 } // action from 1; 0 = there is none
		followed = true                                      // every segment's previous action is that of the segment before it
	)
	c, o := &s.columns, &s.octets
	n := len(r.Segments)
	for i := range r.Segments {
		g := &r.Segments[i]
		c[columnPropensity][i] = g.Propensity
		if g.Explored {
			c[columnExplored][s.length[columnExplored]] = uint32(i)
			s.length[columnExplored]++
		}
		if i == 0 || !where.is(&g.Context) {
			where = situationOf(&g.Context)
			placed.situation = position(&s.situations, where)
		}
		if i == 0 || g.Policy != who.policy || g.Experiment != who.experiment || g.Arm != who.arm {
			who = deciderOf(g)
			placed.decider = position(&s.deciders, who)
		}
		c[columnSituation][i], c[columnDecider][i] = placed.situation, placed.decider
		switch previous := g.Context.Previous; previous {
		case model.Action{}:
			c[columnPrevious][i], followed = 0, followed && before == previous
		case before:
			c[columnPrevious][i] = placed.action
		default:
			c[columnPrevious][i], followed = 1+position(&s.actions, previous), false
		}
		if g.Action != before || i == 0 {
			placed.action = 1 + position(&s.actions, g.Action)
			before = g.Action
		}
		c[columnAction][i] = placed.action - 1

		o[columnCause][i], o[columnSeconds][i] = byte(g.Cause), g.Seconds
		o[columnContextRoundTripTime][i] = byte(g.Context.RoundTripTime)
		o[columnContextJitter][i] = byte(g.Context.Jitter)
		o[columnContextLoss][i] = byte(g.Context.Loss)
		o[columnContextBurst][i] = byte(g.Context.Burst)
		o[columnContextBandwidth][i] = byte(g.Context.Bandwidth)
		o[columnMOS][i] = byte(g.Outcome.MOS)
		o[columnLossBefore][i] = byte(g.Outcome.LossBefore)
		o[columnLossAfter][i] = byte(g.Outcome.LossAfter)
		o[columnConcealed][i] = byte(g.Outcome.Concealed)
		o[columnRoundTripTime][i] = byte(g.Outcome.RoundTripTime)
		o[columnJitterBufferDelay][i] = byte(g.Outcome.JitterBufferDelay)
		o[columnRate][i] = byte(g.Outcome.Rate)
	}
	for column := 1; column < columnEnd; column++ {
		if column != columnExplored {
			s.length[column] = n
		}
	}
	if followed {
		s.length[columnPrevious] = 0
	}
}

// append writes the tables and the columns.
func (s *sheet) append(b []byte) []byte {
	for _, v := range s.situations {
		b = appendMessage(b, fieldSituations, []uint32{
			uint32(v.network), uint32(v.metered), uint32(v.region), uint32(v.device), uint32(v.timeOfDay), uint32(v.reach),
		})
	}
	for _, v := range s.actions {
		dtx := uint32(protowire.EncodeBool(v.DTX))
		b = appendMessage(b, fieldActions, []uint32{
			uint32(v.Codec), uint32(v.BitrateKbps), uint32(v.Bandwidth), uint32(v.FrameMillis), uint32(v.ExpectedLoss),
			uint32(v.REDDepth), dtx, uint32(v.Transport), uint32(v.Site),
		})
	}
	for _, v := range s.deciders {
		b = appendMessage(b, fieldDeciders, []uint32{v.policy, v.experiment, uint32(v.arm)})
	}
	if s.length[columnPropensity] == 0 {
		return b
	}

	var sizes [columnEnd]int // bytes of each column's values; 0 = left out
	total := 0
	for column := 1; column < columnEnd; column++ {
		n := s.length[column]
		if isOctets(column) {
			sizes[column] = octetsSize(s.octets[column][:n])
		} else {
			keepZeros := column == columnPropensity || column == columnPrevious || column == columnExplored
			sizes[column] = packedSize(s.columns[column][:n], keepZeros)
		}
		if sizes[column] > 0 {
			total += protowire.SizeTag(protowire.Number(column)) + protowire.SizeBytes(sizes[column])
		}
	}
	b = protowire.AppendTag(b, fieldSegments, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(total))
	for column := 1; column < columnEnd; column++ {
		n := s.length[column]
		switch {
		case sizes[column] == 0:
		case isOctets(column):
			b = appendOctets(b, protowire.Number(column), sizes[column], s.octets[column][:n])
		default:
			b = appendPacked(b, protowire.Number(column), sizes[column], s.columns[column][:n])
		}
	}
	return b
}

// isOctets tells whether the values of a column are bytes in a segment.
func isOctets(column int) bool {
	switch column {
	case columnPropensity, columnExplored, columnSituation, columnDecider, columnAction, columnPrevious:
		return false
	}
	return true
}

// packedSize is the length of the values as varints, and 0 for values that are all zero, unless zeros are kept.
func packedSize(values []uint32, keepZeros bool) int {
	var all uint32
	for _, v := range values {
		all |= v
	}
	if all == 0 && !keepZeros {
		return 0
	}
	if all < 1<<7 {
		return len(values)
	}
	size := 0
	for _, v := range values {
		size += protowire.SizeVarint(uint64(v))
	}
	return size
}

// octetsSize is packedSize for bytes: those above 127 take two.
func octetsSize(values []byte) int {
	const high = 0x8080808080808080
	size, all := len(values), uint64(0)
	for ; len(values) >= 8; values = values[8:] {
		eight := binary.NativeEndian.Uint64(values)
		all |= eight
		size += bits.OnesCount64(eight & high)
	}
	for _, v := range values {
		all |= uint64(v)
		size += int(v >> 7)
	}
	if all == 0 {
		return 0
	}
	return size
}

func appendOctets(b []byte, field protowire.Number, size int, values []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	if size == len(values) {
		return append(b, values...)
	}
	for _, v := range values {
		b = protowire.AppendVarint(b, uint64(v))
	}
	return b
}

func appendPacked(b []byte, field protowire.Number, size int, values []uint32) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	at := len(b)
	b = slices.Grow(b, size)[:at+size]
	for _, v := range values {
		for ; v >= 1<<7; v >>= 7 {
			b[at] = byte(v) | 1<<7
			at++
		}
		b[at] = byte(v)
		at++
	}
	return b
}

// appendMessage writes a message whose fields are 1, 2, 3.. and hold small integers; zeros are left out.
func appendMessage(b []byte, field protowire.Number, values []uint32) []byte {
	size := 0
	for _, v := range values {
		if v != 0 {
			size += 1 + protowire.SizeVarint(uint64(v))
		}
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	for i, v := range values {
		b = appendUint(b, protowire.Number(i+1), uint64(v))
	}
	return b
}

func appendUint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendRefusals(b []byte, refusals *[RefusalReasons]uint8) []byte {
	var values [RefusalReasons]uint32
	for i, n := range refusals {
		values[i] = uint32(n)
	}
	if size := packedSize(values[:], false); size > 0 {
		b = appendPacked(b, fieldRefusals, size, values[:])
	}
	return b
}
