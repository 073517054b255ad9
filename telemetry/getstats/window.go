package getstats

import (
	"math"
	"slices"

	"github.com/attune-calls/attune/model"
)

const (
	segmentSeconds = 4  // as long as the decisions of a client last
	longestSegment = 30 // seconds between two samples that still belong together
	leastSegment   = 1  // seconds of what a change of the path leaves
)

// window is a stretch over one path in which packets came.
type window struct {
	from, to, packets float64
	path              *path
}

// windows cuts the stream at its samples into stretches of at least segmentSeconds, and where the path changes. What was sent
// is cut where receiver reports came: what they say was lost was lost before them. Stretches without a packet are left
// out: a dump does not tell a muted microphone from an outage.
func (s *stream) windows(counter *series) []window {
	times := s.samples(counter)
	if s.sent() {
		times = s.reported(times)
	}
	var list []window
	for i, from := 0, 0; i < len(times); i++ {
		span := times[i] - times[from]
		path := s.pathAt(times[from])
		if span < segmentSeconds && (path == s.pathAt(times[i]) || span < leastSegment) {
			continue
		}
		w := window{times[from], times[i], s.counted(s.packets(), times[from], times[i]), path}
		if w.packets > 0 && span <= longestSegment && path.transport != model.TransportUnknown {
			list = append(list, w)
		}
		from = i
	}
	return list
}

// samples are the times at which the stream's counters were read.
func (s *stream) samples(counter *series) []float64 {
	if len(s.beats) > 0 {
		return s.beats
	}
	return counter.times
}

// reported are the times within samples at which receiver reports came, as far as something in them changed.
func (s *stream) reported(samples []float64) []float64 {
	var times []float64
	for _, metric := range []string{"packetsLost", "jitter", "roundTripTime"} {
		if line := s.remote.series[metric]; line != nil {
			times = append(times, line.times...)
		}
	}
	slices.Sort(times)
	times = slices.Compact(times)
	first, last := samples[0], samples[len(samples)-1]
	return slices.DeleteFunc(times, func(t float64) bool { return t < first || t > last })
}

// counted is by how much a counter of the stream rose over a stretch, whose ends may lie between its samples; NaN when it is
// unknown or was reset.
func (s *stream) counted(metric string, from, to float64) float64 {
	line := s.series[metric]
	if line == nil {
		return nan
	}
	rise := s.between(line, to) - s.between(line, from)
	if rise < 0 {
		return nan
	}
	return rise
}

// between is a counter at a time between two samples, as if it had risen evenly. One that has not shown yet is zero.
func (s *stream) between(line *series, t float64) float64 {
	is := line.at(t)
	if math.IsNaN(is) {
		is = 0
	}
	samples := s.samples(line)
	i := before(samples, t)
	if i < 0 || i+1 >= len(samples) || samples[i] == t {
		return is
	}
	rise := line.at(samples[i+1]) - is
	if !(rise > 0) {
		return is
	}
	return is + rise*(t-samples[i])/(samples[i+1]-samples[i])
}

// typical is the median of what f says of the windows, leaving out NaN.
func typical(windows []window, f func(window) float64) float64 {
	var values []float64
	for _, w := range windows {
		if v := f(w); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return nan
	}
	slices.Sort(values)
	return values[len(values)/2]
}
