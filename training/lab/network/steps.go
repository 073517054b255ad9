package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/attune-calls/attune/training/lab/internal/strictjson"
)

// recogniseJSON tells what a JSON text holds: a list of numbers, or of lists of them, is as good as lines.
func recogniseJSON(data []byte, name string) reading {
	steps := reading{format: FormatSteps, taken: "capacity, JSON steps"}
	if data[0] == '[' {
		if lines := flat(data); len(lines) > 0 && lines[0] != '[' {
			return recognise(lines, name)
		}
		return steps
	}
	if bytes.Contains(data, []byte(`"capacity"`)) {
		return reading{format: FormatProfile, taken: "a network profile"}
	}
	if first, err := firstObject(data); err == nil && (hasRate(first) || listIn(first) != nil) {
		return steps
	}
	return reading{}
}

// flat makes lines of a JSON list of numbers, or of lists of numbers; everything else stays as it is.
func flat(data []byte) []byte {
	begin := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	if len(begin) == 0 || begin[0] != '[' {
		return data
	}
	d := json.NewDecoder(bytes.NewReader(begin))
	d.UseNumber()
	var lines bytes.Buffer
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && depth == 0 {
			return lines.Bytes()
		}
		switch token := token.(type) {
		case json.Number:
			lines.WriteString(token.String())
			lines.WriteByte(" \n"[2-min(depth, 2)])
		case json.Delim:
			switch {
			case token == '[' && depth < 2:
				depth++
			case token == ']':
				if depth--; depth == 1 {
					lines.WriteByte('\n')
				}
			default:
				return data
			}
		default:
			return data
		}
	}
}

// object is a JSON object with its keys as they are, in their order.
type object struct {
	keys   []string
	values []json.RawMessage
}

func objectOf(raw []byte) (object, error) {
	var o object
	d := json.NewDecoder(bytes.NewReader(raw))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return o, fmt.Errorf("%s is no object of duration_ms and bandwidth_kbps", quote(raw))
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return o, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return o, err
		}
		o.keys, o.values = append(o.keys, key.(string)), append(o.values, value)
	}
	return o, nil
}

func firstObject(data []byte) (object, error) {
	var raw json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&raw); err != nil {
		return object{}, err
	}
	return objectOf(raw)
}

func hasRate(o object) bool {
	return slices.ContainsFunc(o.keys, func(key string) bool {
		what, unit := column(key)
		return slices.Contains(rateWords, what) && perBit[unit] > 0
	})
}

// listIn is the first list of objects in an object.
func listIn(o object) json.RawMessage {
	for _, value := range o.values {
		if rest, ok := bytes.CutPrefix(value, []byte("[")); ok && bytes.HasPrefix(bytes.TrimSpace(rest), []byte("{")) {
			return value
		}
	}
	return nil
}

// parseSteps reads JSON steps: a list of objects, one object a line, or a list within an object.
func (t *Trace) parseSteps(data []byte) error {
	begin := bytes.TrimSpace(data)
	list := begin[0] == '['
	if !list {
		first, err := firstObject(data)
		if within := listIn(first); err == nil && !hasRate(first) && within != nil {
			return t.parseSteps(within)
		}
	}
	checker := strictjson.New(data)
	if list {
		if _, err := checker.Token(); err != nil {
			return err
		}
	}
	var all moments
	for i := 0; !list || checker.Decoder.More(); i++ {
		var raw json.RawMessage
		err := checker.Decoder.Decode(&raw)
		if !list && errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return checker.Fault(err)
		}
		if err := t.parseStep(raw, &all); err != nil {
			return fmt.Errorf("line %d: entry %d: %w", checker.Line(), i, err)
		}
	}
	if list {
		if _, err := checker.Token(); err != nil {
			return err
		}
		if err := checker.End("the list"); err != nil {
			return err
		}
	}
	return t.appendMoments(&all)
}

// parseStep reads one step: how long, or from when, and the rate. Other figures, a latency or loss, were mostly never measured
// in public sets, and are left out.
func (t *Trace) parseStep(raw []byte, all *moments) error {
	o, err := objectOf(raw)
	if err != nil {
		return err
	}
	millis, from, kbps := -1.0, -1.0, -1.0
	durationKey := ""
	for i, key := range o.keys {
		what, unit := column(key)
		into, scale := (*float64)(nil), 0.0
		switch {
		case slices.Contains(durationWords, what):
			into, scale, durationKey = &millis, 1e3, key
			if perMilli[unit] > 0 {
				scale = perMilli[unit]
			}
		case slices.Contains(timeWords, what):
			into, scale = &from, 1e3
			if perMilli[unit] > 0 {
				scale = perMilli[unit]
			}
		case slices.Contains(rateWords, what) && perBit[unit] > 0:
			into, scale = &kbps, perBit[unit]/1e3
		default:
			continue
		}
		value, err := strconv.ParseFloat(string(o.values[i]), 64)
		switch {
		case err != nil:
			return fmt.Errorf("%s is %.40s, want a number", key, o.values[i])
		case value < 0:
			return fmt.Errorf("%s is %v, want 0 or more", key, value)
		}
		*into = value * scale
	}
	switch {
	case kbps < 0:
		return errors.New("bandwidth_kbps is missing")
	case millis < 0 && from < 0:
		return errors.New("duration_ms is missing")
	case millis == 0:
		return fmt.Errorf("%s is 0, want more than 0", durationKey)
	case millis > 0:
		return t.appendStep(millis*1e6, kbps*1000)
	}
	return all.add(from, kbps*1000)
}

// moments are rates with the time from which each holds.
type moments struct{ millis, rates []float64 }

func (m *moments) add(millis, bitsPerSecond float64) error {
	if n := len(m.millis); n > 0 && millis <= m.millis[n-1] {
		return fmt.Errorf("time %v s does not follow %v s", millis/1e3, m.millis[n-1]/1e3)
	}
	m.millis, m.rates = append(m.millis, millis), append(m.rates, bitsPerSecond)
	return nil
}

// appendMoments adds a step for each: until the next, and the last for as long as the one before.
func (t *Trace) appendMoments(m *moments) error {
	if len(m.millis) == 1 {
		return errors.New("line 1: one line does not tell how long it lasts; want two or more")
	}
	for i := range m.millis {
		next := min(i, len(m.millis)-2)
		if err := t.appendStep((m.millis[next+1]-m.millis[next])*1e6, m.rates[i]); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}
