package registry

import (
	"math"
	"slices"
	"strings"
)

// narrow is how many values a field may have without a reason: a byte of text has more.
const narrow = 128

// budgets are the bits of information that a message may hold, the id of the report aside, with what they go to. They
// stand here and not in registry.yaml so that nobody raises one in passing: a field that is added needs its bits added
// here as well, and a reviewer who agrees.
//
// 33 bits tell all people apart. What keeps these messages from doing so is not how few bits they have, but what the
// bits are spent on: most of them are the same on every device (versions, the hour, numbers of sites and experiments),
// lie about the network and not about the device (a Segments entry), or are nearly always zero (the counts of faults).
// The budget sees to it that no bit is left over for anything else.
var budgets = map[string]int{
	// 16 + 8 versions, 20 the hour, 64 + 16 + 16 counts that are zero unless something went wrong and that the next
	// report begins anew, 10 how the call ended, 7 a randomized opinion.
	messageReport: 156,
	// 8 the country; 11 the network, the class of the device and the quarter of the day.
	"Situation": 19,
	// One of the actions of a policy's catalogue; no more than some hundreds are in use.
	"Action": 33,
	// 20 + 20 + 8 numbers that the publisher of policies gives out, to everybody the same.
	"Decider": 48,
	// For each segment: 42 positions in the tables and marks, 29 cause, chance and length, 16 what the network looked like
	// before, 40 after.
	messageSegments: 127,
	// It says nothing of its own.
	messagePack: 0,
}

// unit is what a counter may count.
type unit struct {
	messages string // where, by name
	values   uint64 // how many values it takes at most
}

// units are all there are. There is no unit of place, of money or of people, and none of time but the whole hour in which
// a call began and lengths of pieces of it.
var units = map[string]unit{
	"version":                          {"Report Decider", MaxValues},
	"hours since 1970-01-01 00:00 UTC": {"Report", MaxValues},
	"stars":                            {"Report", 6},
	"policies":                         {"Report", 256},
	"segments":                         {"Report", 1 << 16},
	"reports":                          {"Report", 1 << 16},
	"kbps":                             {"Action", narrow},
	"ms":                               {"Action", 4}, // the frame lengths of Opus
	"percent":                          {"Action", 101},
	"frames":                           {"Action", 5},
	"number of a site":                 {"Action", 256},
	"number of an experiment":          {"Decider", MaxValues},
	"number of an arm":                 {"Decider", 256},
	"millionths":                       {"Segments", 1_000_000},
	"s":                                {"Segments", 121},
}

// scaleUnits are what a scale may measure: how long something lasted, how much of it came and how good it was.
var scaleUnits = []string{"s", "ms", "fraction", "ratio", "kbps", "MOS"}

// finerThanTheHour are units of time that a moment could be told in.
var finerThanTheHour = []string{
	"s", "sec", "second", "seconds", "min", "minute", "minutes", "ms", "us", "µs", "ns", "millis", "milliseconds", "micros", "nanos",
	"ticks", "hours and minutes", "quarters of an hour",
}

// values is how many values a field that holds one number can have.
func (r *Registry) values(f *Field) uint64 {
	switch {
	case f.Type == TypeCounter && len(f.Values) > 0:
		return uint64(len(f.Values))
	case f.Type == TypeCounter && f.Max >= f.Min:
		return f.Max - f.Min + 1
	case f.Type == TypeID:
		return math.MaxUint64
	}
	return r.Top(f) + 1
}

// Bits is how much information one entry of a message can hold, the random id of the report and what other messages
// hold aside. Of a message of columns that is one position of each.
func (r *Registry) Bits(m *Message) float64 {
	bits := 0.0
	for i := range m.Fields {
		f := &m.Fields[i]
		if f.Retired != 0 || f.Type == TypeID || f.Type == TypeTable || f.Type == TypeMessage {
			continue
		}
		times := 1
		if l := r.ListOf(f.Each); l != nil {
			times = len(l.Members)
		}
		bits += float64(times) * math.Log2(float64(max(r.values(f), 1)))
	}
	return bits
}

// information holds each message to its budget.
func (c *checker) information() {
	for i := range c.r.Messages {
		m := &c.r.Messages[i]
		budget, known := budgets[m.Name]
		switch bits := c.r.Bits(m); {
		case !known:
			c.fault("message "+m.Name, "has no budget of information: say in information.go how many bits it may hold, and why")
		case bits > float64(budget):
			c.fault("message "+m.Name, "can hold %.1f bits of information, its budget is %d: room for an id. Leave a field out, make one "+
				"narrower, or say in information.go what the bits are for", bits, budget)
		}
	}
}

// width checks how many values a field can have, and that a wide one says why that names nobody.
func (c *checker) width(where string, f *Field) {
	switch n := c.r.values(f); {
	case n > MaxValues:
		c.fault(where, "can have %d values, more than 2^20: wide enough for an id", n)
	case n > narrow && f.Wide == "" && f.Type != TypeIndex && f.Retired == 0:
		c.fault(where, "can have %d values, more than %d: say why they point at nobody (wide:), or make it narrower", n, narrow)
	case n <= narrow && f.Wide != "":
		c.fault(where, "has a reason to be wide (wide:) and only %d values", n)
	}
	if f.Wide != "" && len(strings.Fields(f.Wide)) < 4 {
		c.fault(where, "%q is no reason to be wide (wide:)", f.Wide)
	}
}

// unit checks what a counter counts.
func (c *checker) unit(where string, m *Message, f *Field) {
	if f.Unit == "" {
		c.fault(where, "a counter has a unit")
		return
	}
	u, known := units[f.Unit]
	allowed := known && slices.Contains(strings.Fields(u.messages), m.Name)
	switch {
	case !allowed && slices.Contains(finerThanTheHour, strings.ToLower(f.Unit)):
		c.fault(where, "counts %q: a report tells no time finer than the hour", f.Unit)
	case !allowed:
		c.fault(where, "counts %q, which is not one of the units of %s (information.go)", f.Unit, m.Name)
	case c.r.values(f) > u.values:
		c.fault(where, "can have %d values; %q takes %d at most", c.r.values(f), f.Unit, u.values)
	}
}
