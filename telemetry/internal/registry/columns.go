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
