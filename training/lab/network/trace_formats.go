package network

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// leastEpoch is a time in ms that is no length of a recording, but since 1970: in the year 2001.
const leastEpoch = 1_000_000_000_000

// parseChances reads a Mahimahi trace. Times since 1970 count from the first.
func (t *Trace) parseChances(data []byte) error {
	from := int64(-1)
	err := newText(flat(data)).each(func(_ int, line []byte) error {
		ms, err := strconv.ParseInt(string(line), 10, 64)
		if from < 0 && err == nil {
			if from = 0; ms >= leastEpoch {
				from = ms
			}
		}
		switch {
		case errors.Is(err, strconv.ErrRange) || err == nil && ms-from > maxTraceDuration.Milliseconds():
			return fmt.Errorf("%s ms is beyond the %v a trace may last", quote(line), maxTraceDuration)
		case err != nil:
			return fmt.Errorf("%s is not a whole number of milliseconds", quote(line))
		case ms < 0:
			return fmt.Errorf("time %d ms is negative", ms)
		case len(t.chances) > 0 && ms-from < int64(t.chances[len(t.chances)-1]):
			return fmt.Errorf("time goes back from %d to %d ms", int64(t.chances[len(t.chances)-1])+from, ms)
		}
		t.chances = append(t.chances, uint32(ms-from))
		return nil
	})
	if err != nil {
		return err
	}
	if len(t.chances) == 0 {
		return errors.New("it is empty")
	}
	last := t.chances[len(t.chances)-1]
	t.period = time.Duration(last) * time.Millisecond
	return nil
}

// parseRates reads lines of times and rates.
func (t *Trace) parseRates(data []byte, how reading) error {
	var all moments
	err := newText(flat(data)).each(func(_ int, line []byte) error {
		fields := fieldsOf(line)
		switch {
		case !how.wide && len(fields) != 2:
			return fmt.Errorf("%s has %d columns, want 2: seconds and Mbit/s", quote(line), len(fields))
		case len(fields) <= max(how.time, how.rate):
			return fmt.Errorf("%s has %d columns, want %d", quote(line), len(fields), 1+max(how.time, how.rate))
		}
		millis, err := measured(fields[how.time], perMilli, how.inMilli)
		if err != nil {
			return err
		}
		if len(all.millis) == 0 && millis >= 1000*leastEpoch { // these are no seconds, but milliseconds since 1970
			how.inMilli, millis = how.inMilli/1000, millis/1000
		}
		rate, err := measured(fields[how.rate], perBit, how.inBits)
		switch {
		case err != nil:
			return err
		case millis < 0:
			return fmt.Errorf("time %v s is negative", millis/1e3)
		case rate < 0:
			return fmt.Errorf("rate %v Mbit/s is negative", rate/1e6)
		}
		return all.add(millis, rate)
	})
	if err != nil {
		return err
	}
	if len(all.millis) == 0 {
		return errors.New("it is empty")
	}
	return t.appendMoments(&all)
}

// measured reads a figure with a unit of a list, or else in one that is known.
func measured(field []byte, units map[string]float64, known float64) (float64, error) {
	v, unit, ok := figure(field)
	switch {
	case !ok || math.IsNaN(v) || math.IsInf(v, 0) || unit != "" && units[unit] == 0:
		return 0, fmt.Errorf("%s is not a number", quote(field))
	case unit != "":
		return v * units[unit], nil
	}
	return v * known, nil
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
