package getstats

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what is read. A dump of a whole day of one call stays below them.
const (
	maxString = 8 << 20 // bytes of a string that is kept: webrtc-internals writes a whole series as one
	maxName   = 1 << 10 // bytes of a key, an id or a word
	maxScalar = 64      // bytes of a number
	maxDepth  = 32      // nesting of arrays and objects
	maxBytes  = 8 << 30 // of one dump, after decompression
)

var (
	// errFormat is wrapped by the faults of what is not a dump.
	errFormat = errors.New("not a dump of WebRTC statistics")
	// errLimit is wrapped by the faults of a dump that is larger than this package takes.
	errLimit = errors.New("too large")
)

// scanner reads JSON as a stream: what is passed over costs time, and no memory whatever its length. It also takes NaN and
// Infinity, which some programs write where JSON has no number. Its faults say where, and never what.
type scanner struct {
	in    *bufio.Reader
	at    int64 // bytes taken
	depth int
	text  []byte // of the string in progress
}

func (s *scanner) fault(format string, args ...any) error {
	return fmt.Errorf("%w: %s at byte %d", errFormat, fmt.Sprintf(format, args...), s.at)
}

// limitAt is the fault of what is too large.
func limitAt(at int64, format string, args ...any) error {
	return fmt.Errorf("%w: %s at byte %d", errLimit, fmt.Sprintf(format, args...), at)
}

func isLimit(err error) bool { return errors.Is(err, errLimit) }

// ended turns an error of the file into one that says where it was.
func (s *scanner) ended(err error) error {
	if isLimit(err) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it breaks off at byte %d; save it again, or cut it after its last whole line", errFormat, s.at)
	}
	return fmt.Errorf("at byte %d: %w", s.at, err)
}

// buffered is what can be looked at without reading: at least one byte.
func (s *scanner) buffered() ([]byte, error) {
	if s.at >= maxBytes {
		return nil, fmt.Errorf("%w: more than %d GiB", errLimit, int64(maxBytes)>>30)
	}
	if _, err := s.in.Peek(1); err != nil {
		return nil, err
	}
	return s.in.Peek(s.in.Buffered())
}

// pass takes n bytes that were looked at.
func (s *scanner) pass(n int) {
	_, _ = s.in.Discard(n)
	s.at += int64(n)
}

// peek is the next byte that is no white space. At the end it is io.EOF itself, which may be the end of a dump.
func (s *scanner) peek() (byte, error) {
	for {
		chunk, err := s.buffered()
		if err != nil {
			return 0, err
		}
		for i, b := range chunk {
			if b != ' ' && b != '\n' && b != '\r' && b != '\t' {
				s.pass(i)
				return b, nil
			}
		}
		s.pass(len(chunk))
	}
}

// next is peek inside a value, where the dump may not end.
func (s *scanner) next() (byte, error) {
	b, err := s.peek()
	if err != nil {
		return 0, s.ended(err)
	}
	return b, nil
}

// list calls take before each element of an array or member of an object; take reads it.
func (s *scanner) list(opening, closing byte, take func() error) error {
	b, err := s.next()
	if err != nil {
		return err
	}
	if b != opening {
		return s.fault("want %q", opening)
	}
	s.pass(1)
	if s.depth++; s.depth > maxDepth {
		return limitAt(s.at, "nested more than %d deep", maxDepth)
	}
	for n := 0; ; n++ {
		if b, err = s.next(); err != nil {
			return err
		}
		switch {
		case b == closing:
			s.pass(1)
			s.depth--
			return nil
		case n == 0:
		case b != ',':
			return s.fault("no JSON: want ',' or %q", closing)
		default:
			s.pass(1)
			if b, err = s.next(); err != nil {
				return err
			}
			if b == closing {
				return s.fault("no JSON: want a value before %q", closing)
			}
		}
		if err := take(); err != nil {
			return err
		}
	}
}

func (s *scanner) array(take func() error) error { return s.list('[', ']', take) }

// object calls take for each key of an object; take reads the value. A key that is longer than any name is empty.
func (s *scanner) object(take func(key string) error) error {
	return s.list('{', '}', func() error {
		key, _, err := s.string(maxName)
		if err != nil {
			return err
		}
		b, err := s.next()
		if err != nil {
			return err
		}
		if b != ':' {
			return s.fault("no JSON: want ':'")
		}
		s.pass(1)
		return take(key)
	})
}

// skip passes over one value.
func (s *scanner) skip() error {
	b, err := s.next()
	switch {
	case err != nil:
		return err
	case b == '{':
		return s.list('{', '}', func() error {
			if _, _, err := s.string(0); err != nil {
				return err
			}
			b, err := s.next()
			if err == nil && b != ':' {
				err = s.fault("no JSON: want ':'")
			}
			if err != nil {
				return err
			}
			s.pass(1)
			return s.skip()
		})
	case b == '[':
		return s.array(s.skip)
	case b == '"':
		_, _, err = s.string(0)
	default:
		_, err = s.scalar()
	}
	return err
}

// value is what a dump says of one metric at one time.
type value struct {
	text   string  // of a string, or true or false
	number float64 // NaN when it is none
	known  bool    // a string, a number or a truth value
	null   bool    // said to be nothing; neither known nor null is odd
}

// value reads one value, of a string at most limit bytes: a longer one is as if it were null.
func (s *scanner) value(limit int) (value, error) {
	b, err := s.next()
	switch {
	case err != nil:
		return value{}, err
	case b == '{' || b == '[':
		return value{number: nan}, s.skip()
	case b == '"':
		text, whole, err := s.string(limit)
		return value{text: text, number: nan, known: whole}, err
	default:
		return s.scalar()
	}
}

// string reads a string. When it has more than limit bytes it is passed over, and whole is false.
func (s *scanner) string(limit int) (text string, whole bool, err error) {
	b, err := s.next()
	if err != nil {
		return "", false, err
	}
	if b != '"' {
		return "", false, s.fault("no JSON: want a string")
	}
	s.pass(1)
	s.text = s.text[:0]
	whole = limit > 0
	keep := func(part ...byte) {
		if whole = whole && len(s.text)+len(part) <= limit; whole {
			s.text = append(s.text, part...)
		}
	}
	for {
		chunk, err := s.buffered()
		if err != nil {
			return "", false, s.ended(err)
		}
		n := 0
		for n < len(chunk) && chunk[n] != '"' && chunk[n] != '\\' {
			n++
		}
		keep(chunk[:n]...)
		s.pass(n)
		switch {
		case n == len(chunk):
		case chunk[n] == '\\':
			r, err := s.escape()
			if err != nil {
				return "", false, err
			}
			keep(utf8.AppendRune(nil, r)...)
		default:
			s.pass(1)
			if !whole {
				return "", false, nil
			}
			return string(s.text), true, nil
		}
	}
}

// escape reads a backslash and what belongs to it. Each half of a surrogate pair becomes the replacement character:
// nothing that is kept has one.
func (s *scanner) escape() (rune, error) {
	two, err := s.in.Peek(2)
	if err != nil {
		return 0, s.ended(err)
	}
	b := two[1]
	s.pass(2)
	if i := strings.IndexByte("\"\\/bfnrt", b); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	four, err := s.in.Peek(4)
	if err != nil {
		return 0, s.ended(err)
	}
	code, err := strconv.ParseUint(string(four), 16, 16)
	if b != 'u' || err != nil {
		return 0, s.fault("no JSON: an unknown escape in a string")
	}
	s.pass(4)
	return rune(code), nil
}

// scalar reads a number, true, false or null.
func (s *scanner) scalar() (value, error) {
	var text []byte
	for {
		chunk, err := s.buffered()
		if errors.Is(err, io.EOF) && len(text) > 0 { // a dump never ends with one: what comes next will say so
			break
		}
		if err != nil {
			return value{}, s.ended(err)
		}
		n := 0
		for n < len(chunk) && scalarByte(chunk[n]) {
			n++
		}
		if len(text)+n > maxScalar {
			return value{}, s.fault("no JSON: a number of more than %d characters", maxScalar)
		}
		if n < len(chunk) && text == nil {
			v, err := s.scalarOf(string(chunk[:n]))
			s.pass(n)
			return v, err
		}
		text = append(text, chunk[:n]...)
		s.pass(n)
		if n < len(chunk) {
			break
		}
	}
	return s.scalarOf(string(text))
}

func (s *scanner) scalarOf(text string) (value, error) {
	switch text {
	case "true", "false":
		return value{text: strings.Clone(text), number: nan, known: true}, nil
	case "null":
		return value{number: nan, null: true}, nil
	case "NaN", "Infinity", "-Infinity":
		return value{number: nan}, nil
	}
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return value{}, s.fault("no JSON")
	}
	number, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && math.IsInf(number, 0):
		return value{number: nan}, nil
	case err != nil:
		return value{}, s.fault("no JSON")
	}
	return value{number: number, known: true}, nil
}

func scalarByte(b byte) bool {
	return b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
