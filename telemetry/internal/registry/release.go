package registry

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Release is what a version of the schema looked like when clients began to write it: what later registries may not
// take back. It is kept in released/<version>.yaml.
type Release struct {
	Version  uint16            `yaml:"version"`
	Lists    []ReleasedList    `yaml:"lists"`
	Scales   []ReleasedScale   `yaml:"scales"`
	Messages []ReleasedMessage `yaml:"messages"`
}

// ReleasedList is a list as it was.
type ReleasedList struct {
	Name    string   `yaml:"name"`
	Members []string `yaml:"members,flow"`
}

// ReleasedScale is a scale as it was.
type ReleasedScale struct {
	Name   string    `yaml:"name"`
	Unit   string    `yaml:"unit"`
	Lower  float64   `yaml:"lower"`
	Upper  float64   `yaml:"upper"`
	Bounds []float64 `yaml:"bounds,flow"`
}

// ReleasedMessage is a message as it was.
type ReleasedMessage struct {
	Name   string          `yaml:"name"`
	Fields []ReleasedField `yaml:"fields"`
}

// ReleasedField is what must not change about a field.
type ReleasedField struct {
	Number   int32    `yaml:"number"`
	Name     string   `yaml:"name"`
	Type     string   `yaml:"type"`
	Of       string   `yaml:"of,omitempty"` // list, scale or message
	Each     string   `yaml:"each,omitempty"`
	Repeated bool     `yaml:"repeated,omitempty"`
	Unit     string   `yaml:"unit,omitempty"`
	Min      uint64   `yaml:"min,omitempty"`
	Max      uint64   `yaml:"max,omitempty"`
	Values   []uint64 `yaml:"values,omitempty,flow"`
	Epsilon  float64  `yaml:"epsilon,omitempty"`
}

// ParseRelease reads a release strictly.
func ParseRelease(text []byte) (*Release, error) {
	release := new(Release)
	if err := parse(text, release); err != nil {
		return nil, fmt.Errorf("read a release: %w", err)
	}
	return release, nil
}

const releaseHeader = `# What reports of this version of the schema are. Written by "go run ./telemetry/schema/generate -release"; a test holds
# registry.yaml to it. Never edit it to make that test pass: reports of this version are out there.
`

// Marshal is the one form of a release.
func (release *Release) Marshal() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(releaseHeader)
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(release); err != nil {
		return nil, fmt.Errorf("write a release: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("write a release: %w", err)
	}
	return b.Bytes(), nil
}

// Release is the registry's current version as it would be released: without the fields that it retired.
func (r *Registry) Release() *Release {
	release := &Release{Version: r.Version}
	for i := range r.Lists {
		l := &r.Lists[i]
		release.Lists = append(release.Lists, ReleasedList{l.Name, namesOf(l.Members, func(m Member) string { return m.Name })})
	}
	for i := range r.Scales {
		s := &r.Scales[i]
		release.Scales = append(release.Scales, ReleasedScale{s.Name, s.Unit, s.Lower, s.Upper, s.Bounds()})
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		released := ReleasedMessage{Name: m.Name}
		for j := range m.Fields {
			if m.Fields[j].Retired == 0 {
				released.Fields = append(released.Fields, m.Fields[j].release())
			}
		}
		release.Messages = append(release.Messages, released)
	}
	return release
}

func (f *Field) release() ReleasedField {
	return ReleasedField{
		Number: f.Number, Name: f.Name, Type: f.Type, Of: f.List + f.Scale + f.Of, Each: f.Each, Repeated: f.Repeated,
		Unit: f.Unit, Min: f.Min, Max: f.Max, Values: f.Values, Epsilon: f.Epsilon,
	}
}

// CheckReleases holds the registry to everything that was released, and reports every change that would alter what old
// reports mean. The releases must be all versions from 1 to the registry's, in order.
func (r *Registry) CheckReleases(releases []*Release) error {
	c := &checker{r: r}
	if len(releases) != int(r.Version) {
		c.fault("released", "%d versions were released, the registry is version %d: run the generator with -release",
			len(releases), r.Version)
	}
	for i, release := range releases {
		if int(release.Version) != i+1 {
			c.fault("released", "version %d stands where version %d should", release.Version, i+1)
			continue
		}
		c.release(release)
	}
	c.retired(releases)
	if n := len(releases); n > 0 && releases[n-1].Version == r.Version {
		c.complete(releases[n-1])
	}
	return errors.Join(c.faults...)
}

func (c *checker) release(release *Release) {
	for _, was := range release.Lists {
		where := fmt.Sprintf("list %s of version %d", was.Name, release.Version)
		now := c.r.ListOf(was.Name)
		if now == nil {
			c.fault(where, "was released and is gone")
			continue
		}
		members := namesOf(now.Members, func(m Member) string { return m.Name })
		if len(members) < len(was.Members) || !slices.Equal(members[:len(was.Members)], was.Members) {
			c.fault(where, "was released as %v: members are never removed, renamed or moved", was.Members)
		} else if len(members) > len(was.Members) && release.Version == c.r.Version {
			c.fault(where, "has new members %v: raise the version, so that older readers keep such reports waiting",
				members[len(was.Members):])
		}
	}
	for _, was := range release.Scales {
		where := fmt.Sprintf("scale %s of version %d", was.Name, release.Version)
		now := c.r.ScaleOf(was.Name)
		if now == nil {
			c.fault(where, "was released and is gone")
			continue
		}
		if now.Unit != was.Unit || now.Lower != was.Lower || now.Upper != was.Upper ||
			!slices.EqualFunc(now.Bounds(), was.Bounds, sameBound) {
			c.fault(where, "changed: stored buckets would change their meaning; add a scale and a field")
		}
	}
	for _, was := range release.Messages {
		now := c.r.MessageOf(was.Name)
		if now == nil {
			c.fault(fmt.Sprintf("message %s of version %d", was.Name, release.Version), "was released and is gone")
			continue
		}
		for _, f := range was.Fields {
			c.releasedField(release.Version, now, f)
		}
	}
}

// sameBound forgives what processors make of the last digit of a power.
func sameBound(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }

func (c *checker) releasedField(version uint16, m *Message, was ReleasedField) {
	where := fmt.Sprintf("%s.%s of version %d", m.Name, was.Name, version)
	now := find(m.Fields, was.Name, func(f *Field) string { return f.Name })
	if other := byNumber(m, was.Number); other != nil && other.Name != was.Name {
		c.fault(where, "has number %d, which %s now uses: a number is never used again", was.Number, other.Name)
	}
	if now == nil {
		c.fault(where, "was released and is gone: keep it and say in which version it was retired")
		return
	}
	is := now.release()
	switch {
	case is.Number != was.Number:
		c.fault(where, "changed its number from %d to %d after release", was.Number, is.Number)
	case is.Type != was.Type || is.Of != was.Of || is.Repeated != was.Repeated:
		c.fault(where, "changed its type from %s to %s after release: add a field and retire this one", was.kind(), is.kind())
	case is.Unit != was.Unit || is.Each != was.Each:
		c.fault(where, "changed its meaning (unit %q, each %q) after release: add a field and retire this one", is.Unit, is.Each)
	case is.Min != was.Min || is.Max != was.Max || !slices.Equal(is.Values, was.Values):
		c.fault(where, "changed its bounds from %s to %s after release: reports of clients that are out there would be refused, or "+
			"those of new clients by older readers; add a field and retire this one", was.bounds(), is.bounds())
	case is.Epsilon != was.Epsilon:
		c.fault(where, "changed its epsilon from %v to %v: answers of both cannot be told apart; add a field", was.Epsilon, is.Epsilon)
	}
	if now.Since > version {
		c.fault(where, "is said to exist since version %d", now.Since)
	}
	if now.Retired != 0 && now.Retired <= version {
		c.fault(where, "is said to be retired in version %d", now.Retired)
	}
}

func (f ReleasedField) kind() string {
	kind := f.Type
	if f.Of != "" {
		kind += " " + f.Of
	}
	if f.Repeated {
		kind = "repeated " + kind
	}
	return kind
}

func (f ReleasedField) bounds() string {
	if len(f.Values) > 0 {
		return fmt.Sprint(f.Values)
	}
	return fmt.Sprintf("%d..%d", f.Min, f.Max)
}

func byNumber(m *Message, number int32) *Field {
	for i := range m.Fields {
		if m.Fields[i].Number == number {
			return &m.Fields[i]
		}
	}
	return nil
}

// retired reports fields that are said to be no longer sent and never were: the rules for what is sent pass them over.
func (c *checker) retired(releases []*Release) {
	for i := range c.r.Messages {
		m := &c.r.Messages[i]
		for j := range m.Fields {
			f := &m.Fields[j]
			if f.Retired == 0 {
				continue
			}
			for version := max(f.Since, 1); version < f.Retired && int(version) <= len(releases); version++ {
				was := find(releases[version-1].Messages, m.Name, func(m *ReleasedMessage) string { return m.Name })
				if was == nil || find(was.Fields, f.Name, func(f *ReleasedField) string { return f.Name }) == nil {
					c.fault(m.Name+"."+f.Name, "is said to have been sent in version %d, which was released without it", version)
				}
			}
		}
	}
}

// complete reports fields that the current version has and its release does not.
func (c *checker) complete(release *Release) {
	for i := range c.r.Messages {
		m := &c.r.Messages[i]
		var known []ReleasedField
		if was := find(release.Messages, m.Name, func(m *ReleasedMessage) string { return m.Name }); was != nil {
			known = was.Fields
		}
		for j := range m.Fields {
			f := &m.Fields[j]
			if f.Retired == 0 && find(known, f.Name, func(f *ReleasedField) string { return f.Name }) == nil {
				c.fault(m.Name+"."+f.Name, "is new in version %d and not released: run the generator with -release", c.r.Version)
			}
		}
	}
}
