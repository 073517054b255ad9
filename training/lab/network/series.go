package network

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// Series is a recorded sequence of round trip times. It loops for ever; a Link starts at a place drawn from its seed.
// A Series is immutable.
type Series struct {
	name    string
	millis  []float64
	lasting bool // each is the distance of a host, which a link keeps, rather than a moment
}

// DefaultSeriesInterval is how long each value of a Series lasts unless Propagation says otherwise: the interval of the
// ping command, because the files do not hold their own.
const DefaultSeriesInterval = time.Second

// maxRoundTripMillis bounds a round trip time, as propagation is bounded.
const maxRoundTripMillis = 20_000

// Name is what the series was called when it was parsed: the base name of its file.
func (s *Series) Name() string { return s.name }

// Millis is the round trip times in the order they were recorded.
func (s *Series) Millis() []float64 { return append([]float64(nil), s.millis...) }

// Mean is the average round trip time.
func (s *Series) Mean() time.Duration {
	var sum float64
	for _, ms := range s.millis {
		sum += ms
	}
	return millis(sum / float64(len(s.millis)))
}

// LoadSeries reads a file of round trip times; see ParseSeries.
func LoadSeries(path string) (*Series, error) {
	data, err := readBounded(path, MaxTraceBytes)
	if err != nil {
		return nil, fmt.Errorf("load round trip times: %w", err)
	}
	name := filepath.Base(path)
	if recognise(data, name).format == FormatMatrix {
		return parseMatrix(data, name)
	}
	return parseSeries(data, name, seriesReading(data, name))
}

// ParseSeries reads round trip times, one a line, in milliseconds or with a unit, beside the numbers of lines or not, or
// what the ping command prints. A ping without an answer ("*", or as ping says it) repeats the time before. A line that is
// no number, a time that is not above 0 and one above 20 s are errors that name the line. At most MaxTraceBytes are read.
func ParseSeries(r io.Reader, name string) (*Series, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("round trip times %s: %w", name, err)
	}
	return parseSeries(data, name, seriesReading(data, name))
}

// seriesReading is how to read what is known to be round trip times.
func seriesReading(data []byte, name string) reading {
	if how := recognise(data, name); how.format == FormatSeries {
		return how
	}
	return reading{format: FormatSeries, inMilli: 1}
}

func parseSeries(data []byte, name string, how reading) (*Series, error) {
	s := &Series{name: name}
	unanswered := func() {
		if n := len(s.millis); n > 0 {
			s.millis = append(s.millis, s.millis[n-1])
		}
	}
	err := newText(flat(data)).each(func(_ int, line []byte) error {
		fields := fieldsOf(line)
		if how.pings {
			ms, ok := pingTime(line)
			if !ok {
				if pingLost(line) {
					unanswered()
				}
				return nil
			}
			fields, how.time = [][]byte{ms}, 0
		}
		if how.time == 0 && len(fields) > 1 && !how.wide || len(fields) <= how.time {
			return fmt.Errorf("%s is not a number of milliseconds", quote(line))
		}
		field := fields[how.time]
		if string(field) == "*" {
			unanswered()
			return nil
		}
		ms, unit, ok := figure(field)
		if perMilli[unit] > 0 {
			ms *= perMilli[unit]
		} else {
			ms *= how.inMilli
		}
		switch {
		case !ok || math.IsNaN(ms) || perBit[unit] > 0:
			return fmt.Errorf("%s is not a number of milliseconds", quote(field))
		case ms < 0:
			return fmt.Errorf("round trip time %v ms is negative", ms)
		case ms == 0 || ms > maxRoundTripMillis:
			return fmt.Errorf("round trip time %v ms is outside 0 to %d", ms, maxRoundTripMillis)
		}
		s.millis = append(s.millis, ms)
		return nil
	})
	if err == nil && len(s.millis) == 0 {
		err = fmt.Errorf("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("round trip times %s: %w", name, err)
	}
	return s, nil
}

// pingTime is the round trip time in a line of the ping command: "... time=12.3 ms".
func pingTime(line []byte) ([]byte, bool) {
	for _, mark := range []string{"time=", "time<"} {
		if _, after, found := bytes.Cut(line, []byte(mark)); found {
			if fields := fieldsOf(after); len(fields) > 0 {
				return fields[0], true
			}
		}
	}
	return nil, false
}

// pingLost reports whether a line of the ping command says that nothing came back.
func pingLost(line []byte) bool {
	lower := bytes.ToLower(line)
	for _, sign := range []string{"timeout", "timed out", "no answer", "unreachable"} {
		if bytes.Contains(lower, []byte(sign)) {
			return true
		}
	}
	return string(line) == "*"
}

// Lasting reports whether the values are distances of hosts, of which a Link keeps one, rather than one after the other.
func (s *Series) Lasting() bool { return s.lasting }

// seriesPlayer plays a series in a loop.
type seriesPlayer struct {
	series   *Series
	interval time.Duration
	first    int
}

func newSeriesPlayer(p Propagation, random *rand.Rand) seriesPlayer {
	interval := DefaultSeriesInterval
	if p.SeriesIntervalMillis > 0 {
		interval = millis(p.SeriesIntervalMillis)
	}
	if p.Series.lasting {
		interval = forever
	}
	return seriesPlayer{p.Series, interval, random.IntN(len(p.Series.millis))}
}

// delay is one way of the round trip.
func (p *seriesPlayer) delay(t time.Duration) time.Duration {
	return millis(p.series.millis[(p.first+int(t/p.interval))%len(p.series.millis)] / 2)
}
