package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// KeyError is a value that a key cannot have.
type KeyError struct {
	Key string // such as ingest.batch
	Err error
}

func (e *KeyError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Err) }

// Unwrap gives the fault of the value.
func (e *KeyError) Unwrap() error { return e.Err }

// decoder reads a file into a configuration, key by key.
type decoder struct {
	name   string
	places map[string]string // of each key that was given: file and line, or variable
	faults []error
}

func (d *decoder) fault(place, format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...)))
}

func (d *decoder) place(node *yaml.Node) string { return fmt.Sprintf("%s:%d", d.name, node.Line) }

// file reads the whole of a file.
func (d *decoder) file(text []byte, c *Config) error {
	documents := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	err := documents.Decode(&root)
	if errors.Is(err, io.EOF) { // an empty file is the default configuration
		return nil
	}
	if err == nil {
		if more := documents.Decode(new(yaml.Node)); !errors.Is(more, io.EOF) {
			return fmt.Errorf("%s: more than one document", d.name)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %s", d.name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	d.value(root.Content[0], reflect.ValueOf(c).Elem(), "")
	return errors.Join(d.faults...)
}

// value reads a node into a field; key is its name, empty for the whole file.
func (d *decoder) value(node *yaml.Node, into reflect.Value, key string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	d.places[key] = d.place(node)
	empty := node.Kind == yaml.ScalarNode && node.Tag == "!!null"
	switch {
	case into.Kind() == reflect.Struct && empty: // a section without keys
	case into.Kind() == reflect.Struct:
		d.section(node, into, key)
	case into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Struct && node.Kind == yaml.SequenceNode:
		list := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
		for i, item := range node.Content {
			d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
		into.Set(list)
	case empty:
		d.fault(d.place(node), "%s: nothing is given, want %s", key, wanted(into.Type()))
	case node.Decode(into.Addr().Interface()) != nil:
		d.fault(d.place(node), "%s: want %s", key, wanted(into.Type()))
	}
}

// section reads the keys of a mapping.
func (d *decoder) section(node *yaml.Node, into reflect.Value, key string) {
	if node.Kind != yaml.MappingNode {
		if key == "" {
			key = "the file"
		}
		d.fault(d.place(node), "%s: want keys with values", key)
		return
	}
	given := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i].Value
		field := fieldOf(into, name)
		switch full := strings.TrimPrefix(key+"."+name, "."); {
		case !field.IsValid():
			d.fault(d.place(node.Content[i]), "unknown key %q", name)
		case given[name]:
			d.fault(d.place(node.Content[i]), "%s: given twice", full)
		default:
			given[name] = true
			d.value(node.Content[i+1], field, full)
		}
	}
}

// fieldOf is the field of a struct with a name in the file.
func fieldOf(of reflect.Value, name string) reflect.Value {
	for i := range of.NumField() {
		if of.Type().Field(i).Tag.Get("yaml") == name {
			return of.Field(i)
		}
	}
	return reflect.Value{}
}

// wanted says what a field takes.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration, such as 30s or 2160h"
	case t == reflect.TypeFor[[]int]():
		return "a list of whole numbers, such as [1, 5, 25]"
	case t == reflect.TypeFor[Origins]():
		return "a list of call, simulation or import, such as [call]"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Uint8:
		return "a whole number, 0..255"
	default:
		return "a whole number"
	}
}

// leaf is a key that a variable can give.
type leaf struct {
	key   string
	field reflect.Value
}

// variable is its name: ATTUNE_, and the key with _ between its words.
func (l leaf) variable() string {
	var b strings.Builder
	b.WriteString("ATTUNE_")
	for i, r := range l.key {
		switch {
		case r == '.':
			b.WriteByte('_')
			continue
		case unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(l.key[i-1])):
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// leaves are all keys of a configuration but lists of sections.
func leaves(of reflect.Value, key string) []leaf {
	var list []leaf
	for i := range of.NumField() {
		field, name := of.Field(i), of.Type().Field(i).Tag.Get("yaml")
		full := strings.TrimPrefix(key+"."+name, ".")
		switch {
		case field.Kind() == reflect.Struct:
			list = append(list, leaves(field, full)...)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
		default:
			list = append(list, leaf{full, field})
		}
	}
	return list
}

// environment reads the variables into a configuration.
func (d *decoder) environment(environ func(string) (string, bool), c *Config) error {
	for _, l := range leaves(reflect.ValueOf(c).Elem(), "") {
		variable := l.variable()
		text, set := environ(variable)
		if !set {
			continue
		}
		d.places[l.key] = variable
		if l.field.Kind() == reflect.String {
			l.field.SetString(text)
		} else if err := yaml.Unmarshal([]byte(text), l.field.Addr().Interface()); err != nil || text == "" {
			d.fault(variable, "want %s", wanted(l.field.Type()))
		}
	}
	return errors.Join(d.faults...)
}

// Variables lists the environment variables that give a key, in the order of the keys.
func Variables() []string {
	var names []string
	c := Default()
	for _, l := range leaves(reflect.ValueOf(&c).Elem(), "") {
		names = append(names, l.variable())
	}
	return names
}

// UnknownVariables are those of an environment ("NAME=value") that look like one of Variables and are none. Those that
// begin with ATTUNE_NATS_ are of the shipped configuration of a NATS server.
func UnknownVariables(environment []string) []string {
	known := Variables()
	var unknown []string
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "ATTUNE_") && !strings.HasPrefix(name, "ATTUNE_NATS_") && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// located says of each fault of Validate where the value was given.
func (d *decoder) located(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var faults []error
	for _, fault := range joined.Unwrap() {
		place := d.name
		var of *KeyError
		if errors.As(fault, &of) && d.places[of.Key] != "" {
			place = d.places[of.Key]
		}
		faults = append(faults, fmt.Errorf("%s: %w", place, fault))
	}
	return errors.Join(faults...)
}
