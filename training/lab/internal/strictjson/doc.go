// Package strictjson reads the laboratory's JSON files so that no mistake passes: an unknown key, a key given twice, a
// null and anything after the value are errors, and every error names its line.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Decode unmarshals exactly one JSON value of structs, slices, numbers and texts; maps are not supported. Errors name
// the line and, where there is one, the field.
func Decode(data []byte, into any) error {
	checker := New(data)
	if err := checker.Value(reflect.TypeOf(into).Elem(), ""); err != nil {
		return err
	}
	if err := checker.End("the JSON value"); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("line %d: field %s: want %v, got a JSON %s", LineAt(data, typed.Offset), typed.Field, typed.Type, typed.Value)
		}
		return err
	}
	return nil
}

// New is a checker at the beginning of a text.
func New(data []byte) *Checker {
	return &Checker{data: data, Decoder: json.NewDecoder(bytes.NewReader(data))}
}

// End is an error if something follows what has been read; what names that.
func (c *Checker) End(what string) error {
	if _, err := c.Decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("line %d: something follows %s", c.Line(), what)
	}
	return nil
}
