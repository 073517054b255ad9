package registry

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// MaxValues is how many values a field may have, with a reason. 2^20 is enough for a chance in millionths and for the hours
// of a century. Several such fields could make an id together: see budgets.
const MaxValues = 1 << 20

// maxForesight is how far ahead a review may be put: later is never.
const maxForesight = 2 * 366 * 24 * time.Hour

// maxEpsilon is the largest privacy loss of one randomized answer: with 2, e^2 = 7.4 to 1 is the most that one answer
// can tell.
const maxEpsilon = 2

// Check reports every fault of the registry on a day: fields that could hold something personal, fields without a
// purpose or past their dates, and references to what is not there.
func (r *Registry) Check(now time.Time) error {
	c := &checker{r: r, now: now}
	c.header()
	c.lists()
	c.scales()
	c.messages()
	c.information()
	c.tables()
	return errors.Join(c.faults...)
}

type checker struct {
	r      *Registry
	now    time.Time
	faults []error
}

func (c *checker) fault(where, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("registry: %s: %s", where, fmt.Sprintf(format, args...)))
}

func (c *checker) header() {
	if c.r.Version == 0 || len(c.r.History) != int(c.r.Version) {
		c.fault("version", "%d with a history of %d versions", c.r.Version, len(c.r.History))
	}
	if len(c.r.NotCollected) == 0 {
		c.fault("not_collected", "says nothing")
	}
	for _, name := range []string{messageReport, messageSegments} {
		if c.r.MessageOf(name) == nil {
			c.fault("messages", "%s is missing", name)
		}
	}
}

// The messages that everything else hangs from.
const (
	messageReport   = "Report"
	messageSegments = "Segments"
	messagePack     = "Pack"
)

var (
	typeName   = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	scaleName  = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	fieldName  = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	memberName = regexp.MustCompile(`^[A-Za-z0-9]+([ +-][A-Za-z0-9]+)*$`)
	goPath     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(\.[A-Z][A-Za-z0-9]*)*$`)
	goField    = regexp.MustCompile(`^[A-Z][A-Za-z0-9]* (\[[A-Za-z0-9]*\])?([a-z]+\.)?[A-Za-z][A-Za-z0-9]*$`)
)

// distinct reports names that do not fit their pattern or come twice.
func (c *checker) distinct(where string, pattern *regexp.Regexp, names []string) {
	seen := map[string]bool{}
	for _, name := range names {
		if !pattern.MatchString(name) {
			c.fault(where, "%q is not a name", name)
		}
		if folded := strings.ToLower(name); seen[folded] {
			c.fault(where, "%q comes twice", name)
		} else {
			seen[folded] = true
		}
	}
}

func namesOf[T any](entries []T, of func(T) string) []string {
	names := make([]string, len(entries))
	for i := range entries {
		names[i] = of(entries[i])
	}
	return names
}

func (c *checker) lists() {
	c.distinct("lists", typeName, namesOf(c.r.Lists, func(l List) string { return l.Name }))
	for i := range c.r.Lists {
		l := &c.r.Lists[i]
		where := "list " + l.Name
		c.distinct(where, memberName, namesOf(l.Members, func(m Member) string { return m.Name }))
		c.oneLine(where, append(namesOf(l.Members, func(m Member) string { return m.Says }), l.Says)...)
		if len(l.Members) < 2 || len(l.Members) > 1<<10 {
			c.fault(where, "%d members", len(l.Members))
		}
		if l.Go != "" && !goPath.MatchString(l.Go) {
			c.fault(where, "go: %q is not package.Name", l.Go)
		}
		if l.Proto != "" && l.Proto != "number" {
			c.fault(where, "proto: %q is not \"number\"", l.Proto)
		}
	}
}

func (c *checker) scales() {
	c.distinct("scales", scaleName, namesOf(c.r.Scales, func(s Scale) string { return s.Name }))
	for i := range c.r.Scales {
		s := &c.r.Scales[i]
		where := "scale " + s.Name
		if !slices.Contains(scaleUnits, s.Unit) {
			c.fault(where, "measures %q, which is not one of the units of scales (information.go)", s.Unit)
		}
		if !goPath.MatchString(s.Go) {
			c.fault(where, "go: %q is not package.Name", s.Go)
		}
		ways := 0
		for _, given := range []bool{len(s.Steps) > 0, s.Linear > 0, s.Geometric > 0 && s.First > 0} {
			if given {
				ways++
			}
		}
		if ways != 1 {
			c.fault(where, "declare the bounds in one way: steps, linear, or first and geometric")
			continue
		}
		bounds := s.Bounds()
		if len(bounds)+1 > maxBuckets {
			c.fault(where, "more than %d buckets", maxBuckets)
		}
		if !slices.IsSorted(bounds) || len(bounds) == 0 || !(bounds[0] > s.Lower) || !(bounds[len(bounds)-1] < s.Upper) {
			c.fault(where, "the bounds do not ascend from %v to %v", s.Lower, s.Upper)
		}
	}
}

func (c *checker) messages() {
	c.distinct("messages", typeName, namesOf(c.r.Messages, func(m Message) string { return m.Name }))
	for i := range c.r.Messages {
		m := &c.r.Messages[i]
		where := "message " + m.Name
		c.oneLine(where, m.About)
		c.distinct(where, fieldName, namesOf(m.Fields, func(f Field) string { return f.Name }))
		numbers := map[int32]string{}
		for j := range m.Fields {
			f := &m.Fields[j]
			if other, taken := numbers[f.Number]; taken {
				c.fault(m.Name+"."+f.Name, "has the number %d of %s: a number is never used again, take the next free one",
					f.Number, other)
			}
			numbers[f.Number] = f.Name
			if f.Number < 1 || f.Number > 999 {
				c.fault(m.Name+"."+f.Name, "number %d is outside 1..999", f.Number)
			}
			c.field(m, f)
		}
	}
}

// oneLine reports texts that are missing or longer than a line: they end up in comments and tables.
func (c *checker) oneLine(where string, texts ...string) {
	for _, text := range texts {
		if strings.ContainsAny(text, "\n\r|`<>") || len(text) > 300 || strings.TrimSpace(text) != text {
			c.fault(where, "%.40q: want one line of plain text without | ` < >", text)
		}
	}
}
