package registry

import (
	"slices"
	"strings"
	"time"
)

// forbiddenTypes are what protobuf has and a report must not, with the reason.
var forbiddenTypes = map[string]string{
	"string": "could hold free text", "text": "could hold free text", "bytes": "could hold raw bytes",
	"float": "is a fraction: exact measurements tell devices apart", "double": "is a fraction: exact measurements tell devices apart",
	"int": "is wide enough to name somebody", "int64": "is wide enough to name somebody", "uint64": "is wide enough to name somebody",
	"any": "could hold anything", "map": "could hold free text", "time": "tells the time more precisely than the hour",
	"timestamp": "tells the time more precisely than the hour",
}

// tellingWords are parts of names of fields that hold what a report must not.
var tellingWords = []string{
	"account", "address", "audio", "called", "caller", "candidate", "city", "comment", "contact", "cookie", "email",
	"fingerprint", "gps", "hash", "host", "imei", "imsi", "install", "installation", "ip", "key", "lat", "latitude", "location",
	"login", "lon", "longitude", "mac", "message", "minute", "msisdn", "name", "nickname", "number", "person", "phone", "sdp",
	"second", "serial", "session", "ssid", "subscriber", "text", "timestamp", "token", "transcript", "url", "user", "username",
	"uuid",
}

// field checks what a field could hold, that somebody needs it, and its dates.
func (c *checker) field(m *Message, f *Field) {
	where := m.Name + "." + f.Name
	c.kind(where, m, f)
	c.shape(where, m, f)
	for word := range strings.SplitSeq(f.Name, "_") {
		if slices.Contains(tellingWords, word) {
			c.fault(where, "is named like something that points at a person (%q)", word)
		}
		if word == "id" && f.Type != TypeID {
			c.fault(where, "is named like an id; the only one is the random id of the report")
		}
	}
	c.oneLine(where, f.Says, f.Purpose, f.Unit, f.Wide, f.NotStored)
	if f.Says == "" {
		c.fault(where, "does not say what it holds (says:)")
	}
	if len(strings.Fields(f.Purpose)) < 3 || f.Purpose == f.Says {
		c.fault(where, "has no purpose: say why it is collected (purpose:), or do not collect it")
	}
	if f.Since == 0 || f.Since > c.r.Version {
		c.fault(where, "since version %d; there are versions 1..%d", f.Since, c.r.Version)
	}
	if f.Retired != 0 {
		if f.Retired <= f.Since || f.Retired > c.r.Version {
			c.fault(where, "retired in version %d, in a report since %d; there are versions 1..%d", f.Retired, f.Since, c.r.Version)
		}
	} else {
		c.dates(where, f)
	}
	if f.Opinion && f.Retired == 0 && f.Epsilon == 0 {
		c.fault(where, "is the answer of a user: randomize it (epsilon:)")
	}
	if f.Epsilon < 0 || f.Epsilon > maxEpsilon {
		c.fault(where, "epsilon %v is outside 0..%v", f.Epsilon, maxEpsilon)
	}
	if f.Go != "" {
		if fits := goPath.MatchString(f.Go) || m.Name == messageReport && goField.MatchString(f.Go); !fits {
			c.fault(where, "go: %q is not a place in the Go types", f.Go)
		}
	}
}

func (c *checker) dates(where string, f *Field) {
	day := c.now.UTC().Truncate(24 * time.Hour)
	switch {
	case f.Review.IsZero():
		c.fault(where, "has no review date (review: and expires:): say when somebody looks whether it is still needed")
	case f.Expires.Before(f.Review.Time):
		c.fault(where, "expires %q before its review %v", f.Expires.String(), f.Review)
	case f.Expires.Before(day):
		c.fault(where, "expired on %v: retire it (retired: the next version, and stop sending it), or decide that its purpose "+
			"still holds and move review: and expires: in registry.yaml", f.Expires)
	case f.Review.Before(day):
		c.fault(where, "was due for review on %v: if its purpose (%q) still holds, move review: and expires: in registry.yaml "+
			"by up to two years; if not, retire it", f.Review, f.Purpose)
	case f.Review.Sub(day) > maxForesight || f.Expires.Sub(day) > maxForesight:
		c.fault(where, "review on %v, expiry on %v: more than two years ahead is never", f.Review, f.Expires)
	}
}

// kind checks that the type is one of the closed set, what it refers to is there, and how much it can say.
func (c *checker) kind(where string, m *Message, f *Field) {
	switch f.Type {
	case TypeEnum, TypeFlags:
		if c.r.ListOf(f.List) == nil {
			c.fault(where, "there is no list %q", f.List)
		}
		if l := c.r.ListOf(f.List); f.Type == TypeFlags && l != nil && len(l.Members) > 16 {
			c.fault(where, "%d flags", len(l.Members))
			return
		}
	case TypeBucket:
		if c.r.ScaleOf(f.Scale) == nil {
			c.fault(where, "there is no scale %q", f.Scale)
		}
	case TypeCounter:
		if f.Max < f.Min || f.Max == 0 && len(f.Values) == 0 {
			c.fault(where, "a counter has a range: %d..%d", f.Min, f.Max)
		}
		c.unit(where, m, f)
	case TypeFlag:
	case TypeIndex:
		if c.r.MessageOf(f.Of) == nil || f.Max == 0 {
			c.fault(where, "an index points into a message (of:) and has a bound (max:)")
		}
	case TypeTable, TypeMessage:
		if c.r.MessageOf(f.Of) == nil || f.Of == m.Name {
			c.fault(where, "there is no message %q to hold", f.Of)
		}
		return
	case TypeID:
		if m.Name != messageReport || f.Name != "id_high" && f.Name != "id_low" {
			c.fault(where, "is an id: the only one is the random id of the report (Report.id_high and id_low)")
		}
		return
	default:
		why := forbiddenTypes[strings.ToLower(f.Type)]
		if why == "" {
			why = "is not one of the registry's types"
		}
		c.fault(where, "type %q %s", f.Type, why)
		return
	}
	c.width(where, f)
}

// tables checks that every column comes from fields, and that every field is stored or says why not.
func (c *checker) tables() {
	stored := map[string]bool{}
	c.distinct("tables", fieldName, namesOf(c.r.Tables, func(t Table) string { return t.Name }))
	for i := range c.r.Tables {
		t := &c.r.Tables[i]
		c.oneLine("table "+t.Name, t.Says)
		c.distinct("table "+t.Name, fieldName, namesOf(t.Columns, func(c Column) string { return c.Name }))
		for j := range t.Columns {
			column := &t.Columns[j]
			where := "column " + t.Name + "." + column.Name
			c.oneLine(where, column.Says, column.Type)
			if len(column.From) == 0 {
				c.fault(where, "comes from no field")
			}
			if column.Go != "" && !goPath.MatchString(column.Go) {
				c.fault(where, "go: %q is not a path", column.Go)
			}
			for _, from := range column.From {
				f := c.r.Lookup(from)
				switch {
				case f == nil:
					c.fault(where, "comes from %q, which is no field", from)
				case f.Retired != 0:
					c.fault(where, "comes from %s, which is retired", from)
				default:
					stored[from] = true
				}
			}
		}
	}
	for i := range c.r.Messages {
		m := &c.r.Messages[i]
		for j := range m.Fields {
			f := &m.Fields[j]
			name := m.Name + "." + f.Name
			if f.Type == TypeTable || f.Type == TypeMessage || f.Retired != 0 {
				continue
			}
			if !stored[name] && f.NotStored == "" {
				c.fault(name, "is sent and never stored: do not collect it, or say why (not_stored:)")
			}
		}
	}
}

// Lookup gives a field by "Message.field", nil when there is none.
func (r *Registry) Lookup(path string) *Field {
	message, name, _ := strings.Cut(path, ".")
	if m := r.MessageOf(message); m != nil {
		return m.FieldOf(name)
	}
	return nil
}
