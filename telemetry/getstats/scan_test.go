package getstats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// tree is a document as encoding/json would give it.
func tree(s *scanner) (any, error) {
	b, err := s.next()
	switch {
	case err != nil:
		return nil, err
	case b == '{':
		object := map[string]any{}
		err := s.object(func(key string) (err error) {
			object[key], err = tree(s)
			return err
		})
		return object, err
	case b == '[':
		array := []any{}
		err := s.array(func() error {
			v, err := tree(s)
			array = append(array, v)
			return err
		})
		return array, err
	case b == '"':
		v, err := s.value(maxName)
		return v.text, err
	}
	v, err := s.value(maxName)
	switch {
	case err != nil || v.null:
		return nil, err
	case v.text != "":
		return v.text == "true", nil
	}
	return v.number, nil
}

// FuzzScanner holds the scanner to encoding/json: what is JSON is read alike, in whatever pieces it comes, and passed over
// to its end.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `{"a":[1,-2.5e3,true,false,null,"x"],"b":{"c":""}}`, ` [ 1 , { "a" : "\"\\\/\b\f\n\r\t\u00e4" } ] `, `"\u20ac"`, `0`,
		`[1,]`, `[,1]`, `{"a"}`, `{"a":1,}`, `{1:2}`, `[1 2]`, `{"a":1 "b":2}`, `[`, `["`, `["\`, `["\u12`, `nul`, `[01x]`, `]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if len(document) > 1<<10 || !utf8.Valid(document) {
			return
		}
		var want any
		err := json.Unmarshal(document, &want)
		plain := err == nil && !strings.Contains(strings.ToLower(string(document)), `\ud`) // no halves of pairs
		for name, in := range map[string]io.Reader{"whole": bytes.NewReader(document), "byte by byte": iotest.OneByteReader(bytes.NewReader(document))} {
			s := &scanner{in: bufio.NewReader(in)}
			got, err := tree(s)
			switch {
			case !plain || isLimit(err):
			case err != nil || !reflect.DeepEqual(got, want):
				t.Errorf("%s: %#v, %v, want %#v", name, got, err, want)
			}
		}
		s := &scanner{in: bufio.NewReader(iotest.OneByteReader(bytes.NewReader(document)))}
		if err := s.skip(); plain && !isLimit(err) {
			if err != nil {
				t.Errorf("passed over: %v", err)
			}
			if b, err := s.peek(); !errors.Is(err, io.EOF) || s.at != int64(len(document)) {
				t.Errorf("passed over %d of %d bytes, then %q, %v", s.at, len(document), b, err)
			}
		}
	})
}

// What is not JSON is a fault, except for the numbers that it lacks.
func TestScannerFaults(t *testing.T) {
	for _, document := range []string{
		`[1,]`, `[,1]`, `{"a"}`, `{"a":1,}`, `{1:2}`, `[1 2]`, `{"a":1 "b":2}`, `[`, `["`, `["\`, `["\u12`, `["\x"]`, `nul`, `[1x]`, `]`, `}`, ``, `[-]`, `[.5]`,
	} {
		s := &scanner{in: bufio.NewReader(strings.NewReader(document))}
		if v, err := tree(s); !errors.Is(err, errFormat) {
			t.Errorf("%s: %v, %v", document, v, err)
		}
	}
	s := &scanner{in: bufio.NewReader(strings.NewReader(`[NaN,Infinity,-Infinity,1e999,null]`))}
	odd := 0
	err := s.array(func() error {
		v, err := s.value(0)
		if !v.known && !v.null && math.IsNaN(v.number) {
			odd++
		}
		return err
	})
	if err != nil || odd != 4 {
		t.Errorf("%d odd numbers, want 4: %v", odd, err)
	}
}
