package network

import (
	"bytes"
	"fmt"
	"path/filepath"
)

// Format is what a file of a recording holds, told by its content alone.
type Format uint8

// The values of Format.
const (
	FormatUnknown Format = iota
	FormatChances        // Mahimahi: a millisecond a line
	FormatSteps          // JSON: {duration_ms, bandwidth_kbps}, a list or one a line
	FormatRates          // two columns, seconds and Mbit/s
	FormatMask           // one 0 or 1 for each 20 ms packet
	FormatSeries         // round trip times, one a line, ms
	FormatProfile        // a JSON network profile
	FormatMatrix         // round trip times between hosts, a line each, s
)

func (f Format) String() string {
	names := [...]string{"unknown", "mahimahi", "steps", "rates", "mask", "rtt", "profile", "rtt-matrix"}
	if int(f) < len(names) {
		return names[f]
	}
	return "invalid"
}

// Recording is a file of any of the formats; one of its pointers is set.
type Recording struct {
	Format  Format
	Taken   string // for people: what it was taken for, and what had to be assumed for that
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
	name := filepath.Base(path)
	how := recognise(data, name)
	r := &Recording{Format: how.format, Taken: how.taken}
	switch r.Format {
	case FormatMask:
		r.Mask, err = parseMask(data, name)
	case FormatSeries:
		r.Series, err = parseSeries(data, name, how)
	case FormatMatrix:
		r.Series, err = parseMatrix(data, name)
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
		r.Trace, err = parseTrace(data, name, how)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

const formats = "a Mahimahi trace (a millisecond a line), a loss mask (0 and 1), round trip times (ms, one a line, or what ping prints), " +
	"a matrix of them (s, as many columns as lines), two columns of seconds and Mbit/s, JSON objects of duration_ms and bandwidth_kbps, a JSON network profile"
