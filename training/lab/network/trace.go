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

// MaxTraceBytes bounds a trace file; the longest public recordings have a fifth of it.
const MaxTraceBytes = 16 << 20

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
	return ParseTrace(bytes.NewReader(data), filepath.Base(path))
}

// ParseTrace recognises three public formats by their content:
//
//   - Mahimahi: one whole number a line, the millisecond of a chance to send 1500 bytes, ascending, repeated for several
//     chances; the last line is the length of the trace.
//   - JSON: a list of {"duration_ms": ..., "bandwidth_kbps": ...}; a latency_ms is accepted and not used, because the
//     public sets hold a constant there that was never measured.
//   - two columns: seconds and Mbit/s, the rate until the next line; the last line lasts as long as the one before.
//
// Capacity may be zero for any length of time, but not throughout. Errors name the trace, the line and what was found.
// At most MaxTraceBytes are read.
func ParseTrace(r io.Reader, name string) (*Trace, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxTraceBytes+1))
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", name, err)
	}
	if len(data) > MaxTraceBytes {
		return nil, fmt.Errorf("trace %s: longer than the %d bytes allowed", name, MaxTraceBytes)
	}
	t := &Trace{name: name}
	text := bytes.TrimSpace(data)
	firstLine, _, _ := bytes.Cut(text, []byte("\n"))
	fields := len(bytes.Fields(firstLine))
	switch {
	case len(text) == 0:
		err = fmt.Errorf("it is empty")
	case text[0] == '[':
		err = t.parseSteps(data)
	case text[0] != '{' && fields == 1:
		err = t.parseChances(data)
	case text[0] != '{' && fields == 2:
		err = t.parseRates(data)
	default:
		err = fmt.Errorf("line 1: %s is none of: a millisecond a line (Mahimahi), a JSON list of {duration_ms, bandwidth_kbps}, "+
			"two columns seconds and Mbit/s", quote(firstLine))
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
