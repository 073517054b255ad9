package registry

import (
	"fmt"
	"strings"
)

// fieldsSource is telemetry/fields_gen.go: numbers of fields, and the table of all fields.
func (r *Registry) fieldsSource() []byte {
	var s source
	s.WriteString(generatedHeader)
	s.line("package telemetry\n")
	s.line("import (\n\t\"google.golang.org/protobuf/encoding/protowire\"\n\n\t\"github.com/attune-calls/attune/model\"\n)\n")
	for i := range r.Messages {
		m := &r.Messages[i]
		s.line("// The field numbers of the message %s.", m.Name)
		s.line("const (")
		for j := range m.Fields {
			f := &m.Fields[j]
			kind := " protowire.Number"
			if m.Columns {
				kind = "" // they index columns, too
			}
			s.line("\t%s%s = %d", m.constant(f), kind, f.Number)
		}
		if m.Columns {
			s.line("\n\tcolumnEnd = %d // one past the last", m.last()+1)
		}
		s.line(")\n")
	}
	s.line("// scaleOf gives a scale by its name in the registry.")
	s.line("func scaleOf(name string) *model.Scale {\n\tswitch name {")
	for i := range r.Scales {
		s.line("\tcase %q:\n\t\treturn %s", r.Scales[i].Name, strings.TrimPrefix(r.Scales[i].Go, "telemetry."))
	}
	s.line("\t}\n\treturn nil\n}\n")
	for i := range r.Lists {
		l := &r.Lists[i]
		s.WriteString("var ")
		s.names("list"+l.Name, l)
		s.line("")
	}
	s.line("// fieldTable is the registry, field by field.\nvar fieldTable = [...]Field{")
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Fields {
			s.line("%s", r.tableEntry(m, &m.Fields[j]))
		}
	}
	s.line("}")
	return s.Bytes()
}

// constant is the name of a field's number.
func (m *Message) constant(f *Field) string {
	switch {
	case m.Columns:
		return "column" + camel(f.Name)
	case m.Name == messageReport:
		return "field" + camel(f.Name)
	default:
		return "field" + m.Name + camel(f.Name)
	}
}

func (m *Message) last() int32 {
	var last int32
	for i := range m.Fields {
		last = max(last, m.Fields[i].Number)
	}
	return last
}

func (r *Registry) tableEntry(m *Message, f *Field) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\t{\n\t\tMessage: %q, Name: %q, Number: %d, Type: %q,", m.Name, f.Name, f.Number, f.Type)
	if f.Repeated || f.Type == TypeTable {
		b.WriteString(" Repeated: true,")
	}
	if f.Of != "" {
		fmt.Fprintf(&b, " Of: %q,", f.Of)
	}
	if f.List != "" {
		fmt.Fprintf(&b, " Names: list%s,", f.List)
	}
	if f.Each != "" {
		fmt.Fprintf(&b, " Each: list%s,", f.Each)
	}
	if f.Scale != "" {
		fmt.Fprintf(&b, " scale: %q,", f.Scale)
	}
	unit := f.Unit
	if s := r.ScaleOf(f.Scale); s != nil {
		unit = s.Unit
	}
	if unit != "" {
		fmt.Fprintf(&b, " Unit: %q,", unit)
	}
	if f.Type != TypeID {
		fmt.Fprintf(&b, " Min: %d, Max: %d,", f.Min, max(r.Top(f), f.Max))
	}
	if len(f.Values) > 0 {
		fmt.Fprintf(&b, " Values: %#v,", f.Values)
	}
	fmt.Fprintf(&b, "\n\t\tSays:    %q,\n\t\tPurpose: %q,\n\t\tSince:   %d,", f.Says, f.Purpose, f.Since)
	if f.Retired != 0 {
		fmt.Fprintf(&b, " Retired: %d,", f.Retired)
	} else {
		fmt.Fprintf(&b, " Review: %q, Expires: %q,", f.Review, f.Expires)
	}
	if f.Epsilon != 0 {
		fmt.Fprintf(&b, " Epsilon: %v,", f.Epsilon)
	}
	if columns := r.columnsOf(m.Name + "." + f.Name); len(columns) > 0 {
		fmt.Fprintf(&b, "\n\t\tColumns: %#v,", columns)
	}
	b.WriteString("\n\t},")
	return b.String()
}

// columnsOf lists the warehouse columns that hold a field.
func (r *Registry) columnsOf(path string) (columns []string) {
	for i := range r.Tables {
		t := &r.Tables[i]
		for j := range t.Columns {
			for _, from := range t.Columns[j].From {
				if from == path {
					columns = append(columns, t.Name+"."+t.Columns[j].Name)
				}
			}
		}
	}
	return columns
}

// reportSource is telemetry/report_gen.go: the types of package telemetry.
func (r *Registry) reportSource() []byte {
	var s source
	s.WriteString(generatedHeader)
	s.line("package telemetry\n\nimport \"github.com/attune-calls/attune/model\"\n")
	s.line("// SchemaVersion is the version of the schema this package writes and the newest it reads.\n//")
	var history []string
	for i, brought := range r.History {
		history = append(history, fmt.Sprintf("%d = %s", i+1, brought))
	}
	s.comment("//", "History: "+strings.Join(history, "; ")+".", commentWidth)
	s.line("const SchemaVersion = %d\n", r.Version)

	s.line("// Report is %s.\ntype Report struct {", r.MessageOf(messageReport).About)
	seen := map[string]bool{}
	for i := range r.MessageOf(messageReport).Fields {
		f := &r.MessageOf(messageReport).Fields[i]
		if f.Go == "" || seen[f.Go] {
			continue
		}
		seen[f.Go] = true
		s.comment("\t//", r.goComment(f), commentWidth)
		s.line("\t%s\n", f.Go)
	}
	s.line("}\n")
	for i := range r.Lists {
		if l := &r.Lists[i]; strings.HasPrefix(l.Go, "telemetry.") {
			r.listSource(&s, l)
		}
	}
	for i := range r.Scales {
		if scale := &r.Scales[i]; strings.HasPrefix(scale.Go, "telemetry.") {
			name := strings.TrimPrefix(scale.Go, "telemetry.")
			s.line("// %s divides %s into buckets.", name, scale.Name)
			s.line("var %s = &model.Scale{\n\tName: %q, Unit: %q, Lower: %v, Upper: %v,", name, scale.Name, scale.Unit, scale.Lower, scale.Upper)
			s.line("\tSteps: %s,\n}\n", strings.ReplaceAll(fmt.Sprintf("[]float64{%v}", joinFloats(scale.Bounds())), "  ", " "))
		}
	}
	return s.Bytes()
}

func joinFloats(values []float64) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}

func (r *Registry) goComment(f *Field) string {
	name, _, _ := strings.Cut(f.Go, " ")
	switch {
	case f.Type == TypeID:
		return name + " is random, for this report only."
	case f.Of == "Situation":
		return name + ": where the call began. Only its static fields are carried: Network, Metered, Region, Device, TimeOfDay and Reach."
	case f.Type == TypeMessage:
		return fmt.Sprintf("%s: %s, in the order of the call; at most MaxSegments.", name, f.Says)
	case f.Type == TypeBucket:
		return fmt.Sprintf("%s: %s, on %s.", name, f.Says, strings.TrimPrefix(r.ScaleOf(f.Scale).Go, "telemetry."))
	case f.Type == TypeCounter:
		return fmt.Sprintf("%s: %s; %s.", name, f.Says, f.rangeText())
	case f.Epsilon > 0:
		return fmt.Sprintf("%s: %s; see package response.", name, f.Says)
	default:
		return fmt.Sprintf("%s: %s.", name, f.Says)
	}
}

// listSource declares a list of package telemetry: flags as constants of uint16, others as a type.
func (r *Registry) listSource(s *source, l *List) {
	name := strings.TrimPrefix(l.Go, "telemetry.")
	if r.isFlags(l) {
		s.line("// %s: the bits that Call.Rate takes.\nconst (", capital(l.Says))
		for i, m := range l.Members {
			s.line("\t%s%s uint16 = 1 << %d // %s", name, camel(m.Name), i, m.Says)
		}
		s.line("\n\t%sMask uint16 = 1<<%d - 1 // every declared flag\n)\n", name, len(l.Members))
		return
	}
	s.line("// %s is %s.\ntype %s uint8\n\n// The values of %s.\nconst (", name, l.Says, name, name)
	for i, m := range l.Members {
		s.line("\t%s%s %s = %d // %s", name, camel(m.Name), name, i, m.Says)
	}
	s.line(")\n")
	receiver := strings.ToLower(name[:1])
	s.line("// %sCount is the number of values of %s, the unknown one included.\nconst %sCount = %d\n", name, name, name, len(l.Members))
	s.line("func (%s %s) String() string {\n\tif !%s.Valid() {\n\t\treturn \"invalid\"\n\t}\n\treturn list%s[%s]\n}\n", receiver, name, receiver, l.Name, receiver)
	s.line("// Valid reports whether %s is one of the declared values.\nfunc (%s %s) Valid() bool { return int(%s) < %sCount }\n",
		receiver, receiver, name, receiver, name)
}

func (r *Registry) isFlags(l *List) bool {
	for i := range r.Messages {
		for j := range r.Messages[i].Fields {
			if f := &r.Messages[i].Fields[j]; f.Type == TypeFlags && f.List == l.Name {
				return true
			}
		}
	}
	return false
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
