package telemetry

import (
	"bytes"
	"encoding/hex"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// View is an encoded report taken apart byte by byte, so that a person can see what would be sent. Everything in the
// bytes is in the view: Append gives exactly these bytes back, from the numbers that are shown.
type View struct {
	Fields []ViewField `json:"fields"` // in the order of the bytes
}

// ViewField is one field as it stands in the bytes.
type ViewField struct {
	Number  int32       `json:"number"`
	Name    string      `json:"name"`              // in the registry; "unknown" when it is not there
	Values  []ViewValue `json:"values,omitempty"`  // of a field that holds numbers
	Fields  []ViewField `json:"fields,omitempty"`  // of a field that holds a message
	Unknown string      `json:"unknown,omitempty"` // the bytes of an unknown field, tag included, in hexadecimal
	Purpose string      `json:"purpose,omitempty"` // why it is collected
	Says    string      `json:"says,omitempty"`    // what it holds

	Form Form `json:"form"` // how the content is written
}

// ViewValue is one number and what it means.
type ViewValue struct {
	Raw  uint64 `json:"raw"`
	Text string `json:"text"`
}

// Form is how the content of a field is written.
type Form string

// The values of Form.
const (
	FormNumber  Form = "number"  // one varint
	FormFixed   Form = "fixed"   // one number of eight bytes
	FormPacked  Form = "packed"  // several varints, after their length
	FormMessage Form = "message" // fields, after their length
	FormUnknown Form = "unknown" // as it came
)

// NewView takes an encoded report apart. It refuses what is larger than MaxReportSize or no protobuf message at all.
// Bytes that this package would not accept as a report can be viewed, too: what does not fit the registry, whatever its
// field number, is shown as unknown.
func NewView(report []byte) (*View, error) {
	if len(report) > MaxReportSize {
		return nil, reject(RejectTooLarge, "%d bytes, at most %d are taken", len(report), MaxReportSize)
	}
	fields, err := viewMessage(report, messageReport)
	if err != nil {
		return nil, err
	}
	v := &View{Fields: fields}
	if !bytes.Equal(v.Append(nil), report) { // a bug: viewMessage keeps as unknown what it could not write back
		return nil, errors.New("view report: the view does not give the bytes back")
	}
	return v, nil
}

const messageReport = "Report"

// viewMessage takes one message apart. It fails only for bytes that are no message.
func viewMessage(b []byte, message string) ([]ViewField, error) {
	var fields []ViewField
	for len(b) > 0 {
		number, kind, n := consumeTag(b)
		if n < 0 {
			return nil, malformed(n)
		}
		m := protowire.ConsumeFieldValue(number, kind, b[n:])
		if m < 0 {
			return nil, malformed(m)
		}
		whole := b[:n+m]
		known, f := viewKnown(number, kind, b[n:n+m], message)
		if !known || !bytes.Equal(f.append(nil), whole) {
			f = ViewField{Number: int32(number), Name: "unknown", Form: FormUnknown, Unknown: hex.EncodeToString(whole)}
		}
		fields = append(fields, f)
		b = b[n+m:]
	}
	return fields, nil
}

// viewKnown reads a field that the registry has, in the form that the registry gives it.
func viewKnown(number protowire.Number, kind protowire.Type, content []byte, message string) (bool, ViewField) {
	entry := lookup(message, int32(number))
	if entry == nil {
		return false, ViewField{}
	}
	f := ViewField{Number: int32(number), Name: entry.Name, Purpose: entry.Purpose, Says: entry.Says}
	switch kind {
	case protowire.VarintType:
		v, n := protowire.ConsumeVarint(content)
		f.Form = FormNumber
		f.Values = []ViewValue{{v, entry.text(v, 0)}}
		return n == len(content) && !entry.holdsMessage() && entry.Type != typeID, f
	case protowire.Fixed64Type:
		v, n := protowire.ConsumeFixed64(content)
		f.Form = FormFixed
		f.Values = []ViewValue{{v, entry.text(v, 0)}}
		return n == len(content) && entry.Type == typeID, f
	case protowire.BytesType:
		inner, n := protowire.ConsumeBytes(content)
		if n != len(content) {
			return false, f
		}
		if entry.holdsMessage() {
			fields, err := viewMessage(inner, entry.Of)
			f.Form, f.Fields = FormMessage, fields
			return err == nil, f
		}
		f.Form = FormPacked
		for len(inner) > 0 {
			v, n := protowire.ConsumeVarint(inner)
			if n < 0 {
				return false, f
			}
			f.Values = append(f.Values, ViewValue{v, entry.text(v, len(f.Values))})
			inner = inner[n:]
		}
		return entry.Repeated, f
	}
	return false, f
}

// Append appends the bytes of the report, made from what the view shows.
func (v *View) Append(dst []byte) []byte {
	for i := range v.Fields {
		dst = v.Fields[i].append(dst)
	}
	return dst
}

func (f *ViewField) append(dst []byte) []byte {
	tag := func(kind protowire.Type) []byte { return protowire.AppendTag(dst, protowire.Number(f.Number), kind) }
	var inner []byte
	switch f.Form {
	case FormMessage:
		for i := range f.Fields {
			inner = f.Fields[i].append(inner)
		}
		return protowire.AppendBytes(tag(protowire.BytesType), inner)
	case FormPacked:
		for _, v := range f.Values {
			inner = protowire.AppendVarint(inner, v.Raw)
		}
		return protowire.AppendBytes(tag(protowire.BytesType), inner)
	case FormFixed:
		return protowire.AppendFixed64(tag(protowire.Fixed64Type), f.number())
	case FormNumber:
		return protowire.AppendVarint(tag(protowire.VarintType), f.number())
	default:
		raw, _ := hex.DecodeString(f.Unknown) // what is no hexadecimal was not made by NewView
		return append(dst, raw...)
	}
}

func (f *ViewField) number() uint64 {
	if len(f.Values) == 0 {
		return 0
	}
	return f.Values[0].Raw
}
