package telemetry

import (
	"encoding/binary"

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
	var before model.Action
	followed := true // every segment's previous action is the action of the segment before it
	c := &s.columns
	for i := range r.Segments {
		g := &r.Segments[i]
		c[columnPropensity][i] = g.Propensity
		c[columnCause][i] = uint32(g.Cause)
		if g.Explored {
			c[columnExplored][s.length[columnExplored]] = uint32(i)
			s.length[columnExplored]++
		}
		c[columnSituation][i] = position(&s.situations, situationOf(&g.Context))
		c[columnDecider][i] = position(&s.deciders, deciderOf(g))
		c[columnPrevious][i] = 0
		if g.Context.Previous != (model.Action{}) {
			c[columnPrevious][i] = 1 + position(&s.actions, g.Context.Previous)
		}
		followed = followed && g.Context.Previous == before
		before = g.Action
		c[columnAction][i] = position(&s.actions, g.Action)
		c[columnSeconds][i] = uint32(g.Seconds)

		c[columnContextRoundTripTime][i] = uint32(g.Context.RoundTripTime)
		c[columnContextJitter][i] = uint32(g.Context.Jitter)
		c[columnContextLoss][i] = uint32(g.Context.Loss)
		c[columnContextBurst][i] = uint32(g.Context.Burst)
		c[columnContextBandwidth][i] = uint32(g.Context.Bandwidth)

		c[columnMOS][i] = uint32(g.Outcome.MOS)
		c[columnLossBefore][i] = uint32(g.Outcome.LossBefore)
		c[columnLossAfter][i] = uint32(g.Outcome.LossAfter)
		c[columnConcealed][i] = uint32(g.Outcome.Concealed)
		c[columnRoundTripTime][i] = uint32(g.Outcome.RoundTripTime)
		c[columnJitterBufferDelay][i] = uint32(g.Outcome.JitterBufferDelay)
		c[columnRate][i] = uint32(g.Outcome.Rate)
	}
	for column := 1; column < columnEnd; column++ {
		if column != columnExplored {
			s.length[column] = len(r.Segments)
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
		sizes[column] = packedSize(s.columns[column][:s.length[column]], column == columnPropensity || column == columnPrevious || column == columnExplored)
		if sizes[column] > 0 {
			total += protowire.SizeTag(protowire.Number(column)) + protowire.SizeBytes(sizes[column])
		}
	}
	b = protowire.AppendTag(b, fieldSegments, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(total))
	for column := 1; column < columnEnd; column++ {
		if sizes[column] > 0 {
			b = appendPacked(b, protowire.Number(column), sizes[column], s.columns[column][:s.length[column]])
		}
	}
	return b
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

func appendPacked(b []byte, field protowire.Number, size int, values []uint32) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	if size == len(values) {
		for _, v := range values {
			b = append(b, byte(v))
		}
		return b
	}
	for _, v := range values {
		b = protowire.AppendVarint(b, uint64(v))
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
