package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Checker walks the tokens of a JSON text beside the Go type it is meant for and refuses unknown and repeated keys.
// encoding/json alone names an unknown key without its place, and lets a repeated one win silently.
type Checker struct {
	Decoder *json.Decoder // of the text; it stands behind what has been read
	data    []byte
}

// Line is the 1-based line of what was read last.
func (c *Checker) Line() int { return LineAt(c.data, c.Decoder.InputOffset()) }

// LineAt is the 1-based line of a byte offset.
func LineAt(data []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}

// Token reads one token; its error has the line.
func (c *Checker) Token() (json.Token, error) {
	t, err := c.Decoder.Token()
	if err != nil {
		return nil, c.Fault(err)
	}
	return t, nil
}

// Fault adds the line to an error of the decoder.
func (c *Checker) Fault(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("line %d: %w", LineAt(c.data, int64(len(bytes.TrimSpace(c.data)))), io.ErrUnexpectedEOF)
	}
	offset := c.Decoder.InputOffset()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = max(offset, syntax.Offset)
	}
	return fmt.Errorf("line %d: %w", LineAt(c.data, offset), err)
}

// Value checks one value meant for a field of type t; path is its JSON path for errors.
func (c *Checker) Value(t reflect.Type, path string) error {
	token, err := c.Token()
	if err != nil {
		return err
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	text := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch token {
	case json.Delim('{'):
		if t.Kind() != reflect.Struct || text {
			return fmt.Errorf("line %d: field %s is an object, want %v", c.Line(), path, t.Kind())
		}
		return c.object(t, path)
	case json.Delim('['):
		if t.Kind() != reflect.Slice {
			return fmt.Errorf("line %d: field %s is a list, want %v", c.Line(), path, t.Kind())
		}
		for i := 0; c.Decoder.More(); i++ {
			if err := c.Value(t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		_, err := c.Token()
		return err
	case nil:
		return fmt.Errorf("line %d: field %s is null", c.Line(), path)
	}
	return nil
}

func (c *Checker) object(t reflect.Type, path string) error {
	known := make(map[string]reflect.Type)
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			known[name] = field.Type
			names = append(names, name)
		}
	}
	seen := make(map[string]bool)
	for c.Decoder.More() {
		token, err := c.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		field, ok := known[key]
		switch {
		case !ok:
			return fmt.Errorf("line %d: unknown key %q in %s; known are %s", c.Line(), key, orTop(path), strings.Join(names, ", "))
		case seen[key]:
			return fmt.Errorf("line %d: key %q appears twice in %s", c.Line(), key, orTop(path))
		}
		seen[key] = true
		if err := c.Value(field, strings.TrimPrefix(path+"."+key, ".")); err != nil {
			return err
		}
	}
	_, err := c.Token()
	return err
}

func orTop(path string) string {
	if path == "" {
		return "the top level"
	}
	return path
}
