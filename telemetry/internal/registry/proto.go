package registry

import (
	"fmt"
	"strings"
)

// commentWidth is where comments of the protobuf schema and of Go wrap.
const commentWidth = 118

// proto is the protobuf schema.
func (r *Registry) proto() []byte {
	var s source
	s.line(`// Generated from registry.yaml by generate; do not edit.
//
// What a call client may say about a call, and nothing else.
//
// Every field is a member of a closed list, a bucket index, or a small counter. There is no string, no bytes and no
// floating-point field, no address, no account and no device. The only identifier is the random id of the report
// itself: it exists so that a report that is delivered twice counts once. registry.yaml says how this may change.
//
// History of the schema version`)
	for i, brought := range r.History {
		s.line("//   %d = %s.", i+1, brought)
	}
	s.line(`syntax = "proto3";

package attune.telemetry.v1;

option go_package = "github.com/attune-calls/attune/telemetry/internal/reportpb";`)
	used := map[string]bool{}
	for i := range r.Messages {
		m := &r.Messages[i]
		s.line("")
		s.comment("//", fmt.Sprintf("%s is %s.", m.Name, m.About), commentWidth)
		s.line("message %s {", m.Name)
		for j := range m.Fields {
			f := &m.Fields[j]
			s.comment("  //", r.protoComment(f), commentWidth)
			label, option := "", ""
			if f.Type == TypeTable {
				label = "repeated "
			}
			if f.Repeated {
				label, option = "repeated ", " [packed = true]"
			}
			s.line("  %s%s %s = %d%s;", label, r.protoType(f), f.Name, f.Number, option)
			used[f.List] = used[f.List] || r.protoType(f) == f.List
		}
		s.line("}")
	}
	for i := range r.Lists {
		l := &r.Lists[i]
		if !used[l.Name] {
			continue
		}
		s.line("")
		s.comment("//", fmt.Sprintf("%s is %s.", l.Name, l.Says), commentWidth)
		s.line("enum %s {", l.Name)
		for value, m := range l.Members {
			line := fmt.Sprintf("  %s_%s = %d;", screaming(l.Name), screaming(m.Name), value)
			if m.Says != "" {
				line += " // " + m.Says
			}
			s.line("%s", line)
		}
		s.line("}")
	}
	return s.Bytes()
}

func (r *Registry) protoType(f *Field) string {
	switch f.Type {
	case TypeEnum:
		if l := r.ListOf(f.List); l != nil && l.Proto == "" {
			return f.List
		}
		return "uint32"
	case TypeFlag:
		return "bool"
	case TypeID:
		return "fixed64"
	case TypeTable, TypeMessage:
		return f.Of
	default:
		return "uint32"
	}
}

// protoComment says what a field holds and in which form.
func (r *Registry) protoComment(f *Field) string {
	parts := []string{f.Says}
	switch f.Type {
	case TypeBucket:
		parts = append(parts, fmt.Sprintf("bucket of scale %s, 0 = not measured", f.Scale))
	case TypeFlags:
		parts = append(parts, "bit set of list "+f.List)
	case TypeEnum:
		if r.protoType(f) != f.List {
			parts = append(parts, "index in list "+f.List)
		}
	case TypeCounter:
		parts = append(parts, f.rangeText())
	}
	if f.Retired != 0 {
		parts = append(parts, fmt.Sprintf("not sent from version %d on", f.Retired))
	}
	return strings.Join(parts, "; ")
}

// rangeText is the range of a counter with its unit.
func (f *Field) rangeText() string {
	if len(f.Values) > 0 {
		texts := make([]string, len(f.Values))
		for i, v := range f.Values {
			texts[i] = fmt.Sprint(v)
		}
		return strings.Join(texts, ", ") + " " + f.Unit
	}
	return fmt.Sprintf("%d..%d %s", f.Min, f.Max, f.Unit)
}
