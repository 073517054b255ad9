package network

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// maxHosts bounds a matrix, which holds a million times then.
const maxHosts = 1000

// ParseMatrix reads the round trip times between hosts, in seconds: a line for each host with a time to each, between tabs
// or blanks; 0 is one that is missing, and so counts one above 20 s, which no call goes by. What comes of it is a Series of distances rather than of moments, half of each
// round trip: how far a host is from the core, if both of a pair are as far. A Link draws one for as long as it lives. A line
// of another length, what is no number and a negative time are errors that name the line. At most MaxTraceBytes are read.
func ParseMatrix(r io.Reader, name string) (*Series, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("round trip matrix %s: %w", name, err)
	}
	return parseMatrix(data, name)
}

func parseMatrix(data []byte, name string) (*Series, error) {
	s := &Series{name: name, lasting: true}
	hosts, lines := 0, 0
	err := newText(data).each(func(_ int, line []byte) error {
		fields := fieldsOf(line)
		if lines++; lines == 1 {
			hosts = len(fields)
		}
		switch {
		case hosts < 3 || hosts > maxHosts:
			return fmt.Errorf("times to %d hosts, want 3 to %d", hosts, maxHosts)
		case len(fields) != hosts:
			return fmt.Errorf("times to %d hosts, want %d as in the first line", len(fields), hosts)
		}
		for _, field := range fields {
			seconds, err := strconv.ParseFloat(string(field), 64)
			switch {
			case err != nil || math.IsNaN(seconds):
				return fmt.Errorf("%s is not a number of seconds", quote(field))
			case seconds < 0:
				return fmt.Errorf("round trip time %v s is negative", seconds)
			case seconds > 0 && seconds <= maxRoundTripMillis/1000:
				s.millis = append(s.millis, seconds*1000/2)
			}
		}
		return nil
	})
	switch {
	case err != nil:
	case lines != hosts:
		err = fmt.Errorf("%d lines of times to %d hosts, want as many", lines, hosts)
	case len(s.millis) == 0:
		err = fmt.Errorf("every time is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("round trip matrix %s: %w", name, err)
	}
	return s, nil
}
