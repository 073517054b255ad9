package network

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// text is the lines of a recording without what is no part of it: a byte order mark, blank lines, comments (#, // or %)
// and one line of column names before the figures.
type text struct {
	data   []byte
	header []string // names of columns, in small letters; nil without
	names  int      // number of the line that has them; 0 without
}

func newText(data []byte) *text {
	t := &text{data: bytes.TrimPrefix(data, []byte("\ufeff"))}
	first, second := []byte(nil), false
	_ = t.each(func(number int, line []byte) error {
		if first != nil {
			second = true
			return errStop
		}
		first, t.names = line, number
		return nil
	})
	fields := fieldsOf(first)
	if !second || !areNames(fields) {
		t.names = 0
		return t
	}
	for _, field := range fields {
		t.header = append(t.header, strings.ToLower(string(field)))
	}
	return t
}

var errStop = fmt.Errorf("stop")

// areNames reports whether none of the fields is a figure or stands for one.
func areNames(fields [][]byte) bool {
	for _, field := range fields {
		word := strings.ToLower(string(field))
		if c := word[0]; c < 'a' || c > 'z' || word == "nan" || word == "inf" || word == "true" || word == "false" || word == "timeout" {
			return false
		}
	}
	return len(fields) > 0
}

// each calls f with every line of figures, with its number in the file.
func (t *text) each(f func(number int, line []byte) error) error {
	rest := t.data
	for number := 1; len(rest) > 0; number++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || line[0] == '%' || bytes.HasPrefix(line, []byte("//")) || number == t.names && t.header != nil {
			continue
		}
		if err := f(number, line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// fieldsOf splits a line at blanks, commas and semicolons. A unit that stands alone is part of the figure before it.
func fieldsOf(line []byte) [][]byte {
	fields := bytes.FieldsFunc(line, func(r rune) bool {
		return r == ' ' || r == '\t' || r == ',' || r == ';' || r == '"'
	})
	joined := fields[:0]
	for _, field := range fields {
		if n := len(joined); n > 0 && isUnit(string(field)) && cap(joined[n-1]) > 0 {
			if _, unit, ok := figure(joined[n-1]); ok && unit == "" {
				joined[n-1] = append(bytes.Clone(joined[n-1]), field...)
				continue
			}
		}
		joined = append(joined, field)
	}
	return joined
}

// perMilli and perBit say what a unit is in milliseconds and in bit/s.
var (
	perMilli = map[string]float64{"us": 1e-3, "ms": 1, "msec": 1, "millis": 1, "s": 1e3, "sec": 1e3, "secs": 1e3, "second": 1e3, "seconds": 1e3}
	perBit   = map[string]float64{
		"bps": 1, "bit/s": 1, "bits/s": 1, "kbps": 1e3, "kbit/s": 1e3, "kbits/s": 1e3, "kb/s": 1e3,
		"mbps": 1e6, "mbit/s": 1e6, "mbits/s": 1e6, "mb/s": 1e6, "gbps": 1e9, "gbit/s": 1e9,
	}
)

func isUnit(word string) bool {
	word = strings.ToLower(word)
	return perMilli[word] > 0 || perBit[word] > 0
}

// figure reads a number with or without a unit, which is given in small letters. A word that is no unit makes it false.
func figure(field []byte) (value float64, unit string, ok bool) {
	end := len(field)
	for end > 0 && (field[end-1] >= 'a' && field[end-1] <= 'z' || field[end-1] >= 'A' && field[end-1] <= 'Z' || field[end-1] == '/') {
		end--
	}
	value, err := strconv.ParseFloat(string(field[:end]), 64)
	if unit = strings.ToLower(string(field[end:])); err != nil || unit != "" && !isUnit(unit) {
		return 0, "", false
	}
	return value, unit, true
}

// bits is the digits of a line that holds nothing else than 0 and 1, however they are separated; false for other lines.
func bits(line []byte) (digits []byte, ok bool) {
	if len(bytes.Trim(line, "01")) == 0 {
		return line, true
	}
	for _, field := range fieldsOf(line) {
		switch string(field) {
		case "0.0", "0.":
			digits = append(digits, '0')
		case "1.0", "1.":
			digits = append(digits, '1')
		default:
			if len(bytes.Trim(field, "01")) != 0 {
				return nil, false
			}
			digits = append(digits, field...)
		}
	}
	return digits, true
}
