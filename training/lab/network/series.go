package network

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"
)

// Series is a recorded sequence of round trip times. It loops for ever; a Link starts at a place drawn from its seed.
// A Series is immutable.
type Series struct {
	name   string
	millis []float64
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
	return ParseSeries(bytes.NewReader(data), filepath.Base(path))
}

// ParseSeries reads round trip times, one a line, in milliseconds. A line that is no number, a time that is not above 0
// and one above 20 s are errors that name the line. At most MaxTraceBytes are read.
func ParseSeries(r io.Reader, name string) (*Series, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("round trip times %s: %w", name, err)
	}
	s := &Series{name: name}
	err = eachLine(data, func(_ int, line []byte) error {
		ms, err := strconv.ParseFloat(string(line), 64)
		switch {
		case err != nil || math.IsNaN(ms):
			return fmt.Errorf("%s is not a number of milliseconds", quote(line))
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

// seriesPlayer plays a series in a loop.
type seriesPlayer struct {
	series   *Series
	interval time.Duration
	offset   time.Duration
}

func newSeriesPlayer(p Propagation, random *rand.Rand) seriesPlayer {
	interval := DefaultSeriesInterval
	if p.SeriesIntervalMillis > 0 {
		interval = millis(p.SeriesIntervalMillis)
	}
	return seriesPlayer{p.Series, interval, time.Duration(random.IntN(len(p.Series.millis))) * interval}
}

// delay is one way of the round trip.
func (p *seriesPlayer) delay(t time.Duration) time.Duration {
	return millis(p.series.millis[int((t+p.offset)/p.interval)%len(p.series.millis)] / 2)
}
