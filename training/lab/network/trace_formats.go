package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/attune-calls/attune/training/lab/internal/strictjson"
)

// eachLine calls f with every line that is not blank, counted from 1.
func eachLine(data []byte, f func(number int, line []byte) error) error {
	for number := 1; len(data) > 0; number++ {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if err := f(number, line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// parseChances reads a Mahimahi trace.
func (t *Trace) parseChances(data []byte) error {
	err := eachLine(data, func(_ int, line []byte) error {
		ms, err := strconv.ParseInt(string(line), 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange) || ms > maxTraceDuration.Milliseconds():
			return fmt.Errorf("%s ms is beyond the %v a trace may last", quote(line), maxTraceDuration)
		case err != nil:
			return fmt.Errorf("%s is not a whole number of milliseconds", quote(line))
		case ms < 0:
			return fmt.Errorf("time %d ms is negative", ms)
		case len(t.chances) > 0 && uint32(ms) < t.chances[len(t.chances)-1]:
			return fmt.Errorf("time goes back from %d to %d ms", t.chances[len(t.chances)-1], ms)
		}
		t.chances = append(t.chances, uint32(ms))
		return nil
	})
	if err != nil {
		return err
	}
	last := t.chances[len(t.chances)-1]
	t.period = time.Duration(last) * time.Millisecond
	return nil
}

// stepJSON is one entry of a JSON trace; pointers tell a missing figure from a zero.
type stepJSON struct {
	DurationMillis *float64 `json:"duration_ms"`
	BandwidthKbps  *float64 `json:"bandwidth_kbps"`
	LatencyMillis  *float64 `json:"latency_ms"`
}

// parseSteps reads a JSON step trace.
func (t *Trace) parseSteps(data []byte) error {
	checker := strictjson.New(data)
	if _, err := checker.Token(); err != nil { // the opening bracket
		return err
	}
	for i := 0; checker.Decoder.More(); i++ {
		var entry stepJSON
		var raw json.RawMessage
		if err := checker.Decoder.Decode(&raw); err != nil {
			return checker.Fault(err)
		}
		err := strictjson.New(raw).Value(reflect.TypeFor[stepJSON](), fmt.Sprintf("entry %d", i))
		if err == nil {
			err = json.Unmarshal(raw, &entry)
		}
		if err == nil {
			err = entry.check()
		}
		if err == nil {
			err = t.appendStep(*entry.DurationMillis*1e6, *entry.BandwidthKbps*1000)
		}
		if err != nil {
			return fmt.Errorf("line %d: entry %d: %w", checker.Line(), i, err)
		}
	}
	if _, err := checker.Token(); err != nil { // the closing bracket
		return err
	}
	return checker.End("the list")
}

func (s *stepJSON) check() error {
	switch {
	case s.DurationMillis == nil:
		return errors.New("duration_ms is missing")
	case s.BandwidthKbps == nil:
		return errors.New("bandwidth_kbps is missing")
	case *s.DurationMillis <= 0:
		return fmt.Errorf("duration_ms is %v, want more than 0", *s.DurationMillis)
	case *s.BandwidthKbps < 0:
		return fmt.Errorf("bandwidth_kbps is %v, want 0 or more", *s.BandwidthKbps)
	}
	return nil
}

// parseRates reads lines of seconds and Mbit/s.
func (t *Trace) parseRates(data []byte) error {
	var times, rates []float64
	err := eachLine(data, func(_ int, line []byte) error {
		fields := bytes.Fields(line)
		if len(fields) != 2 {
			return fmt.Errorf("%s has %d columns, want 2: seconds and Mbit/s", quote(line), len(fields))
		}
		var figures [2]float64
		for i, field := range fields {
			v, err := strconv.ParseFloat(string(field), 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%s is not a number", quote(field))
			}
			figures[i] = v
		}
		switch seconds, rate := figures[0], figures[1]; {
		case seconds < 0:
			return fmt.Errorf("time %v s is negative", seconds)
		case rate < 0:
			return fmt.Errorf("rate %v Mbit/s is negative", rate)
		case len(times) > 0 && seconds <= times[len(times)-1]:
			return fmt.Errorf("time %v s does not follow %v s", seconds, times[len(times)-1])
		default:
			times, rates = append(times, seconds), append(rates, rate)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(times) < 2 {
		return errors.New("line 1: one line does not tell how long it lasts; want two or more")
	}
	for i := range times {
		next := i
		if i == len(times)-1 {
			next--
		}
		if err := t.appendStep((times[next+1]-times[next])*1e9, rates[i]*1e6); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// appendStep adds a rate; both figures are checked for range here, once for all formats.
func (t *Trace) appendStep(nanoseconds, bitsPerSecond float64) error {
	switch {
	case nanoseconds < 1e6 || nanoseconds > float64(maxTraceDuration):
		return fmt.Errorf("a step of %v s is outside 1 ms to %v", nanoseconds/1e9, maxTraceDuration)
	case bitsPerSecond > maxKbps*1000:
		return fmt.Errorf("%v kbit/s is more than %d", bitsPerSecond/1000, maxKbps)
	}
	t.period += time.Duration(nanoseconds)
	if t.period > maxTraceDuration {
		return fmt.Errorf("the trace lasts longer than the %v allowed", maxTraceDuration)
	}
	t.steps = append(t.steps, step{end: t.period, bitsPerSecond: int64(math.Round(bitsPerSecond))})
	return nil
}
