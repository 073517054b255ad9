package registry

import (
	"fmt"
	"strings"
)

// The tables of the warehouse.
const (
	tableCalls   = "calls"
	tableSegment = "segment"
)

// columnType is the ClickHouse type of a column: the one it declares, or what its field demands.
func (r *Registry) columnType(t *Table, c *Column) string {
	if c.Type != "" {
		return c.Type
	}
	f := r.Lookup(c.From[0])
	if f.Type == TypeEnum && t.Name == tableCalls {
		list := r.ListOf(f.List)
		values := make([]string, len(list.Members))
		for i, m := range list.Members {
			values[i] = fmt.Sprintf("'%s' = %d", m.Name, i)
		}
		return "Enum8(" + strings.Join(values, ", ") + ")"
	}
	switch top := r.Top(f); {
	case top <= 0xff:
		return "UInt8"
	case top <= 0xffff:
		return "UInt16"
	default:
		return "UInt32"
	}
}

// shortType leaves out the members of an enumeration.
func (r *Registry) shortType(t *Table, c *Column) string {
	short, _, _ := strings.Cut(r.columnType(t, c), "('u")
	return short
}

// columnsSource is telemetry/warehouse/columns_gen.go: the lists from which the DDL, the insert and the read are built.
func (r *Registry) columnsSource() []byte {
	var s source
	s.WriteString(generatedHeader)
	s.line("package warehouse\n\nimport (\n\t\"encoding/binary\"\n\n\t\"github.com/attune-calls/attune/model\"\n\t\"github.com/attune-calls/attune/telemetry\"\n)\n")
	calls := find(r.Tables, tableCalls, func(t *Table) string { return t.Name })
	segment := find(r.Tables, tableSegment, func(t *Table) string { return t.Name })
	if calls == nil || segment == nil {
		return s.Bytes()
	}
	s.line("// callColumns are the columns of calls that come before the segments: name and type.")
	s.line("func callColumns() [][2]string {\n\treturn [][2]string{")
	for i := range calls.Columns {
		c := &calls.Columns[i]
		s.line("\t\t{%q, %s},%s", c.Name, r.callType(calls, c), comment(c.Says))
	}
	s.line("\t}\n}\n")
	s.line("// appendCalls fills the columns of callColumns one after the other.\nfunc (b *blockWriter) appendCalls(block *Block) {")
	for i := range calls.Columns {
		s.line("\t%s", r.appendCall(calls, &calls.Columns[i]))
	}
	s.line("}\n")
	s.line("// segmentColumns lists the nested columns in table order. A change here changes the table: add a migration.")
	s.line("var segmentColumns = []segmentColumn{")
	for i := range segment.Columns {
		s.line("\t%s", r.segmentEntry(&segment.Columns[i]))
	}
	s.line("}\n\n// putSegments writes some segments into columns in wire format, which have room for them from element at on. A loop for")
	s.line("// each column, with nothing to call, is several times as fast as the accessors of segmentColumns.")
	s.line("func putSegments(columns [][]byte, segments []model.Segment, at int) {\n\tvar out []byte")
	for i := range segment.Columns {
		r.putLoop(&s, i, &segment.Columns[i])
	}
	s.line("}\n\n// The names of the enumerations, in the order of their values.\nvar (")
	for i := range r.Lists {
		l := &r.Lists[i]
		if r.stored(l) {
			s.names(namesVariable(l.Name), l)
		}
	}
	s.line(")")
	return s.Bytes()
}

func comment(says string) string {
	if says == "" {
		return ""
	}
	return " // " + says
}

// callType is the Go expression of a column's type: enumerations are made from their names.
func (r *Registry) callType(t *Table, c *Column) string {
	if f := r.Lookup(c.From[0]); f.Type == TypeEnum && c.Type == "" {
		return "enum8(" + namesVariable(f.List) + ")"
	}
	return fmt.Sprintf("%q", r.columnType(t, c))
}

// appendCall is the statement that fills one column. A column that is not a plain value has a method of its own.
func (r *Registry) appendCall(t *Table, c *Column) string {
	if c.Go == "" {
		return fmt.Sprintf("b.append%s(block)", camel(c.Name))
	}
	sqlType := r.columnType(t, c)
	goType, _, isEnum := strings.Cut(sqlType, "(")
	switch {
	case isEnum:
		goType = "int8"
	default:
		goType = strings.ToLower(goType)
	}
	value := fmt.Sprintf("%s(r.%s)", goType, c.Go)
	if r.Lookup(c.From[0]).Type == TypeFlag {
		value = "oneIf(r." + c.Go + ")"
	}
	return fmt.Sprintf("appendColumn(b, block.Reports, func(r *telemetry.Report) %s { return %s })", goType, value)
}

// putLoop is the loop of putSegments for one column.
func (r *Registry) putLoop(s *source, i int, c *Column) {
	size, put := 1, "out[i] = uint8(segments[i]."+c.Go+")"
	switch sqlType := r.columnType(find(r.Tables, tableSegment, func(t *Table) string { return t.Name }), c); {
	case r.segmentFlag(c):
		put = "out[i] = oneIf(segments[i]." + c.Go + ")"
	case sqlType == "UInt16":
		size, put = 2, "binary.LittleEndian.PutUint16(out[2*i:], uint16(segments[i]."+c.Go+"))"
	case sqlType == "UInt32":
		size, put = 4, "binary.LittleEndian.PutUint32(out[4*i:], segments[i]."+c.Go+")"
	}
	from := "at"
	if size > 1 {
		from = fmt.Sprintf("%d*at", size)
	}
	s.line("\tout = columns[%d][%s:]\n\tfor i := range segments {\n\t\t%s\n\t}", i, from, put)
}

// segmentFlag says that a column of segments holds a bool: an index of segments marks them.
func (r *Registry) segmentFlag(c *Column) bool {
	f := r.Lookup(c.From[0])
	return f.Type == TypeFlag || f.Type == TypeIndex
}

// segmentEntry is one entry of segmentColumns.
func (r *Registry) segmentEntry(c *Column) string {
	f := r.Lookup(c.From[0])
	attributes := ""
	switch f.Type {
	case TypeEnum:
		attributes = " names: " + namesVariable(f.List) + ","
	case TypeBucket:
		attributes = " scale: " + r.ScaleOf(f.Scale).Go + ","
	}
	access := ""
	sqlType := r.columnType(find(r.Tables, tableSegment, func(t *Table) string { return t.Name }), c)
	switch {
	case r.segmentFlag(c):
		access = fmt.Sprintf("flag: func(s *model.Segment) *bool { return &s.%s }", c.Go)
	case sqlType == "UInt8":
		access = fmt.Sprintf("u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.%s) }", c.Go)
	case sqlType == "UInt16":
		access = fmt.Sprintf("u16: func(s *model.Segment) *uint16 { return (*uint16)(&s.%s) }", c.Go)
	default:
		access = fmt.Sprintf("u32: func(s *model.Segment) *uint32 { return &s.%s }", c.Go)
	}
	return fmt.Sprintf("{name: %q,%s %s},%s", c.Name, attributes, access, comment(c.Says))
}

// stored says that a column holds members of the list.
func (r *Registry) stored(l *List) bool {
	for i := range r.Tables {
		t := &r.Tables[i]
		for j := range t.Columns {
			c := &t.Columns[j]
			f := r.Lookup(c.From[0])
			if f.Type == TypeEnum && f.List == l.Name && (c.Type == "" || t.Name == tableSegment) {
				return true
			}
		}
	}
	return false
}

// namesVariable is the variable with a list's names: networkNames of NetworkType.
func namesVariable(list string) string {
	list = strings.TrimSuffix(strings.TrimSuffix(list, "Type"), "Class")
	return strings.ToLower(list[:1]) + list[1:] + "Names"
}

// names declares a variable with the names of a list.
func (s *source) names(variable string, l *List) {
	s.line("\t%s = []string{", variable)
	row := "\t\t"
	for _, m := range l.Members {
		item := fmt.Sprintf("%q, ", m.Name)
		if len(row)+len(item) > commentWidth {
			s.line("%s", row)
			row = "\t\t"
		}
		row += item
	}
	s.line("%s\n\t}", row)
}
