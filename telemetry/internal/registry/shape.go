package registry

// maxEntries is how many entries a table of a report can have: one for the call, and two for each of 256 segments.
const maxEntries = 512

// shape checks where lists of values may be. A list is where bytes and text could hide, so there are three kinds only:
// columns of segments, whose length is the number of segments; counts by the members of a closed list; and tables of
// distinct entries, each of which a column points at.
func (c *checker) shape(where string, m *Message, f *Field) {
	switch {
	case m.Columns && m.Name != messageSegments:
		c.fault(where, "is in columns: only %s has them", messageSegments)
	case m.Columns && (!f.Repeated || f.Each != ""):
		c.fault(where, "must be repeated: a column has a value per segment")
	case m.Columns:
	case f.Type == TypeIndex:
		c.fault(where, "is an index outside %s: nothing else points into tables", messageSegments)
	case f.Type == TypeTable:
		c.table(where, m, f)
	case f.Type == TypeMessage && (m.Name != messageReport || f.Of != messageSegments || f.Repeated):
		c.fault(where, "holds a message: only %s holds one, %s", messageReport, messageSegments)
	case f.Repeated && (f.Each == "" || f.Type != TypeCounter):
		c.fault(where, "is a list of values, which could hold text or raw bytes: outside %s only a counter may be repeated, once for "+
			"each member of a list (each:)", messageSegments)
	case !f.Repeated && f.Each != "":
		c.fault(where, "is counted for each member of %s and not repeated", f.Each)
	}
	if f.Each != "" && c.r.ListOf(f.Each) == nil {
		c.fault(where, "each: there is no list %q", f.Each)
	}
}

// table checks that entries say nothing by their order and number: a column must point at them.
func (c *checker) table(where string, m *Message, f *Field) {
	if m.Name == messagePack && f.Of == messageReport {
		return
	}
	if m.Name != messageReport || f.Of == messageReport || f.Of == messageSegments || f.Of == messagePack {
		c.fault(where, "is a table of %s: only %s has tables, of what its segments point at", f.Of, messageReport)
		return
	}
	pointed := false
	if segments := c.r.MessageOf(messageSegments); segments != nil {
		for i := range segments.Fields {
			pointed = pointed || segments.Fields[i].Type == TypeIndex && segments.Fields[i].Of == f.Of
		}
	}
	if !pointed {
		c.fault(where, "is a table that no segment points into (an index of %s): its entries could hold text or raw bytes", f.Of)
	}
	if f.Max == 0 || f.Max > maxEntries {
		c.fault(where, "%d entries; a table has at most %d", f.Max, maxEntries)
	}
	if entries := c.r.MessageOf(f.Of); entries != nil {
		for i := range entries.Fields {
			if e := &entries.Fields[i]; e.Repeated || e.Type == TypeTable || e.Type == TypeMessage || e.Type == TypeIndex {
				c.fault(where, "has entries with a list in them (%s)", e.Name)
			}
		}
	}
	for i := range m.Fields {
		if other := &m.Fields[i]; other != f && other.Type == TypeTable && other.Of == f.Of {
			c.fault(where, "is a second table of %s, beside %s", f.Of, other.Name)
			return
		}
	}
}
