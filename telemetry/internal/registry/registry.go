package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"go.yaml.in/yaml/v3"
)

// MaxSize is the largest registry or release that is read, in bytes.
const MaxSize = 1 << 20

// Registry is registry.yaml.
type Registry struct {
	Version      uint16    `yaml:"version"` // of the schema
	History      []string  `yaml:"history"` // what each version brought
	NotCollected []string  `yaml:"not_collected"`
	Lists        []List    `yaml:"lists"`
	Scales       []Scale   `yaml:"scales"`
	Messages     []Message `yaml:"messages"`
	Tables       []Table   `yaml:"tables"`
}

// List is a closed list of values. The position of a member is its value.
type List struct {
	Name    string   `yaml:"name"`
	Says    string   `yaml:"says"`
	Go      string   `yaml:"go"`    // the type, as package.Type
	Proto   string   `yaml:"proto"` // "number": no enumeration in the protobuf
	Members []Member `yaml:"members"`
}

// Member is one value of a list.
type Member struct {
	Name string
	Says string
}

// UnmarshalYAML reads "name" or "name: what it says".
func (m *Member) UnmarshalYAML(node *yaml.Node) error {
	switch {
	case node.Kind == yaml.ScalarNode:
		m.Name = node.Value
		return nil
	case node.Kind == yaml.MappingNode && len(node.Content) == 2 &&
		node.Content[0].Kind == yaml.ScalarNode && node.Content[1].Kind == yaml.ScalarNode:
		m.Name, m.Says = node.Content[0].Value, node.Content[1].Value
		return nil
	}
	return fmt.Errorf("line %d: a member is a name, or a name and what it says", node.Line)
}

// Scale divides a measurement into buckets, in one of three ways.
type Scale struct {
	Name      string    `yaml:"name"`
	Go        string    `yaml:"go"` // the variable, as package.Name
	Unit      string    `yaml:"unit"`
	Lower     float64   `yaml:"lower"`
	Upper     float64   `yaml:"upper"`
	Steps     []float64 `yaml:"steps"`     // the bounds between buckets
	Linear    float64   `yaml:"linear"`    // width of equal buckets
	First     float64   `yaml:"first"`     // first bound of a geometric scale
	Geometric int       `yaml:"geometric"` // buckets from First to Upper
}

// Bounds are the bounds between buckets, however the scale declares them.
func (s *Scale) Bounds() []float64 {
	switch {
	case s.Geometric > 0:
		bounds := make([]float64, min(s.Geometric, maxBuckets+1))
		factor := math.Pow(s.Upper/s.First, 1/float64(s.Geometric))
		for i := range bounds {
			bounds[i] = s.First * math.Pow(factor, float64(i))
		}
		return bounds
	case s.Linear > 0:
		var bounds []float64
		for i := 1; s.Lower+float64(i)*s.Linear < s.Upper-s.Linear/2 && i <= maxBuckets; i++ {
			bounds = append(bounds, s.Lower+float64(i)*s.Linear)
		}
		return bounds
	default:
		return s.Steps
	}
}

// maxBuckets is what fits the byte of a model.Bucket.
const maxBuckets = 254

// Message is one message of the protobuf.
type Message struct {
	Name    string  `yaml:"name"`
	About   string  `yaml:"about"`
	Columns bool    `yaml:"columns"` // its fields are lists, one value per segment
	Fields  []Field `yaml:"fields"`
}

// The types of a field.
const (
	TypeEnum    = "enum"
	TypeFlags   = "flags"
	TypeBucket  = "bucket"
	TypeCounter = "counter"
	TypeFlag    = "flag"
	TypeIndex   = "index"
	TypeID      = "id"
	TypeTable   = "table"
	TypeMessage = "message"
)

// Field is one field of a message.
type Field struct {
	Name   string `yaml:"name"`
	Number int32  `yaml:"number"`
	Type   string `yaml:"type"`
	List   string `yaml:"list"`  // of an enum or flags
	Scale  string `yaml:"scale"` // of a bucket
	Of     string `yaml:"of"`    // message of a table or message, or that an index points into
	Each   string `yaml:"each"`  // list that names the positions of a repeated counter

	Repeated bool     `yaml:"repeated"`
	Min      uint64   `yaml:"min"` // of a counter
	Max      uint64   `yaml:"max"` // of a counter or index; entries of a table
	Values   []uint64 `yaml:"values"`
	Unit     string   `yaml:"unit"`
	Wide     string   `yaml:"wide"` // why many values point at nobody

	Opinion bool    `yaml:"opinion"` // the user was asked
	Epsilon float64 `yaml:"epsilon"` // of its randomized response; 0 = sent as it is

	Go        string `yaml:"go"` // of Report: name and type; elsewhere: the path in package model
	NotStored string `yaml:"not_stored"`
	Says      string `yaml:"says"`
	Purpose   string `yaml:"purpose"`
	Since     uint16 `yaml:"since"`   // the version that brought it
	Retired   uint16 `yaml:"retired"` // the version that stopped sending it; 0 = none
	Review    Date   `yaml:"review"`
	Expires   Date   `yaml:"expires"`
}

// Table is the columns of one table of the warehouse.
type Table struct {
	Name    string   `yaml:"name"`
	Says    string   `yaml:"says"`
	Columns []Column `yaml:"columns"`
}

// Column is one column and the fields it comes from.
type Column struct {
	Name string   `yaml:"name"`
	From []string `yaml:"from"` // as Message.field
	Type string   `yaml:"type"` // of ClickHouse; empty = as the field demands
	Go   string   `yaml:"go"`   // path of the value in the row
	Says string   `yaml:"says"`
}

// Date is a day, written 2006-01-02; the zero Date is none.
type Date struct{ time.Time }

// UnmarshalYAML reads a day.
func (d *Date) UnmarshalYAML(node *yaml.Node) error {
	day, err := time.Parse(time.DateOnly, node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is not a day such as 2027-01-31", node.Line, node.Value)
	}
	d.Time = day
	return nil
}

func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.Format(time.DateOnly)
}

// Parse reads a registry strictly: an unknown key is an error. It does not check what the registry says; see Check.
func Parse(text []byte) (*Registry, error) {
	r := new(Registry)
	if err := parse(text, r); err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	return r, nil
}

func parse(text []byte, into any) error {
	if len(text) > MaxSize {
		return fmt.Errorf("%d bytes, at most %d are read", len(text), MaxSize)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}

// find gives the entry of that name; nil when there is none.
func find[T any](entries []T, name string, of func(*T) string) *T {
	for i := range entries {
		if of(&entries[i]) == name {
			return &entries[i]
		}
	}
	return nil
}

// ListOf gives a list by name, nil when there is none.
func (r *Registry) ListOf(name string) *List {
	return find(r.Lists, name, func(l *List) string { return l.Name })
}

// ScaleOf gives a scale by name, nil when there is none.
func (r *Registry) ScaleOf(name string) *Scale {
	return find(r.Scales, name, func(s *Scale) string { return s.Name })
}

// MessageOf gives a message by name, nil when there is none.
func (r *Registry) MessageOf(name string) *Message {
	return find(r.Messages, name, func(m *Message) string { return m.Name })
}

// FieldOf gives a field of the message by name, nil when there is none.
func (m *Message) FieldOf(name string) *Field {
	return find(m.Fields, name, func(f *Field) string { return f.Name })
}

// Top is the largest value a field can have on the wire, for fields that hold one number.
func (r *Registry) Top(f *Field) uint64 {
	switch f.Type {
	case TypeEnum:
		if l := r.ListOf(f.List); l != nil {
			return uint64(len(l.Members)) - 1
		}
	case TypeFlags:
		if l := r.ListOf(f.List); l != nil {
			return 1<<len(l.Members) - 1
		}
	case TypeBucket:
		if s := r.ScaleOf(f.Scale); s != nil {
			return uint64(len(s.Bounds())) + 1
		}
	case TypeFlag:
		return 1
	case TypeCounter, TypeIndex:
		if len(f.Values) > 0 {
			top := f.Values[0]
			for _, v := range f.Values {
				top = max(top, v)
			}
			return top
		}
		return f.Max
	case TypeID:
		return math.MaxUint64
	}
	return 0
}
