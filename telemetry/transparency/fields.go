package transparency

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/attune-calls/attune/telemetry/internal/registry"
	"github.com/attune-calls/attune/telemetry/schema"
)

// fieldRegistry is the registry of fields, which says of each why it exists, and the columns made from it.
type fieldRegistry struct{ *registry.Registry }

func loadRegistry() (*fieldRegistry, error) {
	r, err := registry.Parse(schema.Registry)
	if err != nil {
		return nil, err
	}
	return &fieldRegistry{r}, nil
}

// fields lists every field of every message, in the order of the registry.
func (r *fieldRegistry) fields() []Field {
	var list []Field
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Fields {
			f := &m.Fields[j]
			field := Field{
				Name: m.Name + "." + f.Name, Says: f.Says, Type: f.Type, Values: r.values(f), Coarseness: r.coarseness(f),
				Purpose: f.Purpose, Review: Day(f.Review.String()), Expires: Day(f.Expires.String()),
				Columns: orEmpty(r.columnsFrom(m.Name + "." + f.Name)),
			}
			if f.Retired > 0 {
				field.Retired = fmt.Sprintf("not sent since version %d", f.Retired)
			}
			list = append(list, field)
		}
	}
	return list
}

// columnsFrom lists the columns of the warehouse that hold a field.
func (r *fieldRegistry) columnsFrom(field string) []string {
	var list []string
	for _, t := range r.Tables {
		for _, c := range t.Columns {
			for _, from := range c.From {
				if from == field {
					list = append(list, columnName(t.Name, c.Name))
				}
			}
		}
	}
	return list
}

// columnName is a column of the table of reports. What the registry calls a table of its own is nested in it.
func columnName(table, column string) string {
	if table == callsTable {
		return column
	}
	return table + "." + column
}

// column tells from which fields a column of the table of reports is made; ok is false for one that is not declared.
func (r *fieldRegistry) column(name string) (purpose string, ok bool) {
	for _, t := range r.Tables {
		for _, c := range t.Columns {
			if columnName(t.Name, c.Name) != name {
				continue
			}
			purpose = "from " + strings.Join(c.From, ", ")
			if c.Says != "" {
				purpose += "; " + c.Says
			}
			return purpose, true
		}
	}
	return "", false
}

// values is what a field can say.
func (r *fieldRegistry) values(f *registry.Field) string {
	text := ""
	switch f.Type {
	case registry.TypeEnum, registry.TypeFlags:
		if l := r.ListOf(f.List); l != nil {
			text = members(l)
		}
	case registry.TypeBucket:
		if s := r.ScaleOf(f.Scale); s != nil {
			text = steps(s)
		}
	case registry.TypeFlag:
		text = "yes, no"
	case registry.TypeCounter, registry.TypeIndex:
		text = fmt.Sprintf("%d to %d %s", f.Min, f.Max, f.Unit)
		if len(f.Values) > 0 {
			words := make([]string, len(f.Values))
			for i, v := range f.Values {
				words[i] = strconv.FormatUint(v, 10)
			}
			text = strings.Join(words, ", ") + " " + f.Unit
		}
	case registry.TypeID:
		text = "a random number, new for each report"
	case registry.TypeTable, registry.TypeMessage:
		text = "see the fields of " + f.Of
	}
	if l := r.ListOf(f.Each); l != nil {
		text += ", for each of: " + members(l)
	}
	return strings.TrimSpace(text)
}

// longList is how many members are spelt out.
const longList = 30

func members(l *registry.List) string {
	names := make([]string, 0, len(l.Members))
	for _, m := range l.Members {
		names = append(names, m.Name)
	}
	if len(names) > longList {
		return fmt.Sprintf("%d values: %s, ... %s", len(names), strings.Join(names[:3], ", "), names[len(names)-1])
	}
	return strings.Join(names, ", ")
}

// steps are the bounds between the buckets of a scale.
func steps(s *registry.Scale) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	bounds := s.Bounds()
	if len(bounds) > longList/2 {
		return fmt.Sprintf("%s to %s %s in %d steps", number(s.Lower), number(s.Upper), s.Unit, len(bounds)+1)
	}
	words := make([]string, len(bounds))
	for i, b := range bounds {
		words[i] = number(b)
	}
	return "below, between or above " + strings.Join(words, ", ") + " " + s.Unit
}

// coarseness is how many things a field can tell apart.
func (r *fieldRegistry) coarseness(f *registry.Field) string {
	switch f.Type {
	case registry.TypeID:
		return "names this report, and nothing besides it"
	case registry.TypeTable, registry.TypeMessage:
		return ""
	}
	text := counted(r.Top(f)-f.Min+1, "value")
	if len(f.Values) > 0 {
		text = counted(uint64(len(f.Values)), "value")
	}
	if f.Epsilon > 0 {
		text += fmt.Sprintf(", randomized on the device (epsilon = %g)", f.Epsilon)
	} else if f.Opinion {
		text += ", what a user said"
	}
	return text
}
