package telemetry

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a protobuf message as it came.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64 // of a varint or a fixed64
	bytes  []byte // of a length-delimited field
}

// want refuses a known field that came in another form than the schema gives it.
func (f field) want(kind protowire.Type) error {
	if f.kind != kind {
		return reject(RejectMalformed, "field %d has wire type %d, want %d", f.number, f.kind, kind)
	}
	return nil
}

// eachField calls take for each field of a message. Groups and 32-bit fields, which the schema does not have, are
// skipped.
func eachField(b []byte, take func(field) error) error {
	for len(b) > 0 {
		f := field{}
		var n int
		if f.number, f.kind, n = consumeTag(b); n < 0 {
			return malformed(n)
		}
		b = b[n:]
		switch f.kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(f.number, f.kind, b)
		}
		if n < 0 {
			return malformed(n)
		}
		b = b[n:]
		if err := take(f); err != nil {
			return err
		}
	}
	return nil
}

// consumeTag is protowire.ConsumeTag without the numbers above 2^29-1, which no protobuf message can have.
func consumeTag(b []byte) (protowire.Number, protowire.Type, int) {
	number, kind, n := protowire.ConsumeTag(b)
	if n >= 0 && number > protowire.MaxValidNumber {
		return 0, 0, invalidNumber
	}
	return number, kind, n
}

// invalidNumber is the code protowire.ParseError knows as an invalid field number.
var _, _, invalidNumber = protowire.ConsumeTag([]byte{0})

func malformed(code int) error {
	return &RejectError{Reason: RejectMalformed, Err: protowire.ParseError(code)}
}

// number stores a varint in a smaller integer, and refuses one that does not fit.
func number[T ~uint8 | ~uint16 | ~uint32](f field, reason RejectReason, into *T) error {
	if err := f.want(protowire.VarintType); err != nil {
		return err
	}
	*into = T(f.value)
	if uint64(*into) != f.value {
		return reject(reason, "field %d holds %d, which no list or counter reaches", f.number, f.value)
	}
	return nil
}

// takeColumn reads one list of the message Segments; a list this reader does not know is skipped.
func (s *sheet) takeColumn(f field) error {
	if f.number >= columnEnd {
		return nil
	}
	return s.takePacked(int(f.number), f)
}

// takePacked appends the values of a repeated field to a column: packed, or one at a time, as every protobuf reader
// must take both.
func (s *sheet) takePacked(column int, f field) error {
	if f.kind == protowire.VarintType {
		return s.takeValue(column, f.value)
	}
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	for b := f.bytes; len(b) > 0; {
		// Most values are one byte.
		values, n := s.columns[column][s.length[column]:], 0
		for n < min(len(values), len(b)) && b[n] < 1<<7 {
			values[n] = uint32(b[n])
			n++
		}
		s.length[column] += n
		if b = b[n:]; len(b) == 0 {
			break
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return malformed(n)
		}
		b = b[n:]
		if err := s.takeValue(column, v); err != nil {
			return err
		}
	}
	return nil
}

func (s *sheet) takeValue(column int, v uint64) error {
	if s.length[column] == MaxSegments {
		return reject(RejectSegments, "more than %d values in column %d", MaxSegments, column)
	}
	if v > 1<<32-1 {
		return reject(RejectMalformed, "value %d in column %d does not fit 32 bits", v, column)
	}
	s.columns[column][s.length[column]] = uint32(v)
	s.length[column]++
	return nil
}
