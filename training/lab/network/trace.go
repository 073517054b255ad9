package network

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// MaxTraceBytes bounds a recording, and with it the memory that reading one takes, which is some times as much. The longest
// public recordings have a fortieth of it.
const MaxTraceBytes = 128 << 20

// maxTraceDuration bounds how long one pass through a trace may last.
const maxTraceDuration = 7 * 24 * time.Hour

// ChanceBytes is what one packet opportunity of a Mahimahi trace carries, shared by as many packets as fit.
const ChanceBytes = 1500

// Trace is a recorded capacity. It loops for ever. Where in the recording a Link starts is drawn from the link's seed,
// unless the trace comes from FromStart. A Trace is immutable.
type Trace struct {
	name      string
	chances   []uint32 // packet opportunities, ms from the start, ascending; or
	steps     []step   // constant rates, one after the other
	period    time.Duration
	fromStart bool
}

// step is a constant rate until a time measured from the start of the trace.
type step struct {
	end           time.Duration
	bitsPerSecond int64
}

// Name is what the trace was called when it was parsed: the base name of its file.
func (t *Trace) Name() string { return t.name }

// Duration is the length of one pass.
func (t *Trace) Duration() time.Duration { return t.period }

// FromStart is the same trace, but links play it from its beginning whatever their seed.
func (t *Trace) FromStart() *Trace {
	u := *t
	u.fromStart = true
	return &u
}

// MeanKbps is the capacity averaged over one pass, in 1000 bit/s.
func (t *Trace) MeanKbps() float64 {
	var bits float64
	if t.steps == nil {
		bits = float64(len(t.chances)) * ChanceBytes * 8
	}
	var from time.Duration
	for _, s := range t.steps {
		bits += (s.end - from).Seconds() * float64(s.bitsPerSecond)
		from = s.end
	}
	return bits / t.period.Seconds() / 1000
}

// Rates is the capacity of one pass in kbit/s, averaged over whole steps of a length; what is left at the end is not
// counted.
func (t *Trace) Rates(length time.Duration) []float64 {
	rates := make([]float64, t.period/length)
	perBit := 1 / length.Seconds() / 1000
	for _, ms := range t.chances {
		if i := int(time.Duration(ms) * time.Millisecond / length); i < len(rates) {
			rates[i] += ChanceBytes * 8 * perBit
		}
	}
	var from time.Duration
	for _, s := range t.steps {
		for from < s.end {
			i := int(from / length)
			end := min(s.end, time.Duration(i+1)*length)
			if i < len(rates) {
				rates[i] += (end - from).Seconds() * float64(s.bitsPerSecond) * perBit
			}
			from = end
		}
	}
	return rates
}

// Resolution is the length of time below which the trace hardly tells the rate: ten packet opportunities on average, or the
// median step.
func (t *Trace) Resolution() time.Duration {
	if t.steps == nil {
		return 10 * t.period / time.Duration(len(t.chances))
	}
	lengths := make([]time.Duration, len(t.steps))
	var from time.Duration
	for i, s := range t.steps {
		lengths[i], from = s.end-from, s.end
	}
	slices.Sort(lengths)
	return lengths[len(lengths)/2]
}

// LongestOutage is the longest time in one pass, or from the end of one to the next, without any capacity.
func (t *Trace) LongestOutage() time.Duration {
	var longest, current time.Duration
	if t.steps == nil {
		previous := time.Duration(0) // the last chance of a pass falls on the first instant of the next
		for _, ms := range t.chances {
			at := time.Duration(ms) * time.Millisecond
			longest = max(longest, at-previous)
			previous = at
		}
		return longest
	}
	for range 2 { // twice, so that an outage across the end counts in full
		var from time.Duration
		for _, s := range t.steps {
			if s.bitsPerSecond == 0 {
				current += s.end - from
			} else {
				current = 0
			}
			longest = max(longest, current)
			from = s.end
		}
	}
	return longest
}

// stepAt is the index of the step in force at a position within one pass.
func (t *Trace) stepAt(position time.Duration) int {
	return sort.Search(len(t.steps), func(i int) bool { return t.steps[i].end > position })
}

// LoadTrace reads a trace file of any of the formats of ParseTrace.
func LoadTrace(path string) (*Trace, error) {
	data, err := readBounded(path, MaxTraceBytes)
	if err != nil {
		return nil, fmt.Errorf("load trace: %w", err)
	}
	name := filepath.Base(path)
	return parseTrace(data, name, traceReading(data, name))
}

// ParseTrace recognises three public formats by their content:
//
//   - Mahimahi: one whole number a line, the millisecond of a chance to send 1500 bytes, ascending, repeated for several
//     chances; the last line is the length of the trace. Milliseconds since 1970 count from the first line.
//   - JSON: objects of {"duration_ms": ..., "bandwidth_kbps": ...}, in a list, in a list within an object, or one a line. Keys
//     may have other units (bandwidth_mbps) or tell when a step begins (time_s) instead of how long it is. All others, as
//     latency_ms, are not used: the public sets hold constants there that were never measured.
//   - two columns: seconds and Mbit/s, the rate until the next line; the last line lasts as long as the one before. Blanks,
//     commas or semicolons separate them. Figures may have units; a first line of names tells the columns and their units.
//
// A byte order mark, blank lines and comments (#, // or %) are left out. Capacity may be zero for any length of time, but not
// throughout. Errors name the trace, the line and what was found. At most MaxTraceBytes are read.
func ParseTrace(r io.Reader, name string) (*Trace, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", name, err)
	}
	return parseTrace(data, name, traceReading(data, name))
}

// traceReading is how to read what is known to be a capacity: by the first line, where most lines do not tell.
func traceReading(data []byte, name string) reading {
	how := recognise(data, name)
	switch how.format {
	case FormatChances, FormatSteps, FormatRates:
		return how
	}
	begin := bytes.TrimSpace(newText(data).data)
	if len(begin) > 0 && begin[0] == '[' {
		return reading{format: FormatSteps}
	}
	fields := 0
	_ = newText(data).each(func(_ int, line []byte) error {
		fields = len(fieldsOf(line))
		return errStop
	})
	switch {
	case len(begin) > 0 && begin[0] == '{':
	case fields == 1:
		return reading{format: FormatChances}
	case fields == 2:
		return reading{format: FormatRates, rate: 1, inMilli: 1e3, inBits: 1e6}
	}
	return reading{}
}

func parseTrace(data []byte, name string, how reading) (*Trace, error) {
	t := &Trace{name: name}
	var err error
	clean := newText(data).data
	switch begin := bytes.TrimSpace(clean); {
	case len(begin) == 0:
		err = fmt.Errorf("it is empty")
	case how.format == FormatSteps:
		err = t.parseSteps(clean)
	case how.format == FormatChances:
		err = t.parseChances(data)
	case how.format == FormatRates:
		err = t.parseRates(data, how)
	default:
		line, _, _ := bytes.Cut(begin, []byte("\n"))
		err = fmt.Errorf("line 1: %s is none of: a millisecond a line (Mahimahi), JSON objects of duration_ms and bandwidth_kbps, "+
			"two columns of seconds and Mbit/s", quote(bytes.TrimSpace(line)))
	}
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", name, err)
	}
	return t, nil
}

// check holds what every format must keep.
func (t *Trace) check() error {
	switch {
	case t.period <= 0:
		return fmt.Errorf("it lasts no time at all")
	case t.period > maxTraceDuration:
		return fmt.Errorf("it lasts %v, more than the %v allowed", t.period, maxTraceDuration)
	case t.MeanKbps() < 0.001:
		return fmt.Errorf("its capacity is zero from beginning to end")
	}
	return nil
}

// quote shows at most the beginning of what was found.
func quote(found []byte) string {
	if len(found) > 40 {
		return fmt.Sprintf("%q...", found[:40])
	}
	return fmt.Sprintf("%q", found)
}
