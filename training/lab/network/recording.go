package network

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
)

// Format is what a file of a recording holds, told by its content alone.
type Format uint8

// The values of Format.
const (
	FormatUnknown Format = iota
	FormatChances        // Mahimahi: a millisecond a line
	FormatSteps          // a JSON list of {duration_ms, bandwidth_kbps}
	FormatRates          // two columns, seconds and Mbit/s
	FormatMask           // one 0 or 1 for each 20 ms packet
	FormatSeries         // round trip times, one a line, ms
	FormatProfile        // a JSON network profile
)

func (f Format) String() string {
	names := [...]string{"unknown", "mahimahi", "steps", "rates", "mask", "rtt", "profile"}
	if int(f) < len(names) {
		return names[f]
	}
	return "invalid"
}

// Recording is a file of any of the formats; one of its pointers is set.
type Recording struct {
	Format  Format
	Trace   *Trace
	Mask    *Mask
	Series  *Series
	Profile *Profile
}

// LoadRecording reads a file of any format that Recognise knows. Errors name the file and the line.
func LoadRecording(path string) (*Recording, error) {
	data, err := readBounded(path, MaxTraceBytes)
	if err != nil {
		return nil, fmt.Errorf("load recording: %w", err)
	}
	r := &Recording{Format: Recognise(data)}
	name, reader := filepath.Base(path), bytes.NewReader(data)
	switch r.Format {
	case FormatMask:
		r.Mask, err = ParseMask(reader, name)
	case FormatSeries:
		r.Series, err = ParseSeries(reader, name)
	case FormatProfile:
		r.Profile, err = parseProfile(data, path, true)
	case FormatUnknown:
		if len(bytes.TrimSpace(data)) == 0 {
			err = fmt.Errorf("recording %s: it is empty", name)
			break
		}
		line, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
		err = fmt.Errorf("recording %s: line 1: %s begins none of: %s", name, quote(bytes.TrimSpace(line)), formats)
	default:
		r.Trace, err = ParseTrace(reader, name)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

const formats = "a Mahimahi trace (a millisecond a line), a loss mask (a 0 or 1 a line), round trip times (ms, one a line), " +
	"seconds and Mbit/s in two columns, a JSON list of {duration_ms, bandwidth_kbps}, a JSON network profile"

// mahimahiLines is up to how many lines of nothing but an ascending 0 and 1 count as a Mahimahi trace, a constant rate
// of at most 1.2 Gbit/s, rather than as a mask.
const mahimahiLines = 100

// Recognise tells what a file holds from its content. Most lines decide, not the first: a file with a few bad lines is
// recognised as what it was meant to be, so that its parser names the bad line.
//
// Files with one number a line are told apart like this. A mask is 0 and 1 in nine lines of ten, and either falls from
// 1 to 0 somewhere, or has no 1, or has more than 100 lines. Round trip times are lines of which a third are fractions
// or, if there are at least 10, a fifth are below the line before. All other numbers are the ascending milliseconds of a
// Mahimahi trace.
func Recognise(data []byte) Format {
	text := bytes.TrimSpace(data)
	if len(text) == 0 || bytes.IndexByte(text, 0) >= 0 {
		return FormatUnknown
	}
	switch text[0] {
	case '[':
		return FormatSteps
	case '{':
		if bytes.Contains(text, []byte(`"capacity"`)) {
			return FormatProfile
		}
		return FormatUnknown
	}
	var lines, pairs, numbers, bits, ones, falls, fractions int
	var before float64
	count := func(line []byte, fields [][]byte, value float64) {
		if len(fields) == 2 {
			pairs++
		}
		if len(fields) > 1 {
			return
		}
		numbers++
		if len(bytes.Trim(line, "01")) == 0 && (len(line) == 1 || len(line) >= 8) {
			bits++
			if ones += bytes.Count(line, []byte("1")); len(line) > 1 {
				falls++ // several packets a line are no milliseconds
			}
		}
		if bytes.IndexByte(line, '.') >= 0 {
			fractions++
		}
		if numbers > 1 && value < before {
			falls++
		}
		before = value
	}
	_ = eachLine(data, func(_ int, line []byte) error {
		lines++
		fields := bytes.Fields(line)
		value, err := strconv.ParseFloat(string(fields[0]), 64)
		if err == nil {
			count(line, fields, value)
		}
		return nil
	})
	switch {
	case 2*pairs > lines:
		return FormatRates
	case 2*numbers <= lines:
		return FormatUnknown
	case 10*bits >= 9*lines && (falls > 0 || ones == 0 || lines > mahimahiLines):
		return FormatMask
	case 3*fractions > numbers || numbers >= 10 && 5*falls > numbers:
		return FormatSeries
	}
	return FormatChances
}
