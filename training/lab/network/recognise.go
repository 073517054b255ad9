package network

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"unicode"
)

// reading is what a file is taken for, and how its figures are read.
type reading struct {
	format  Format
	taken   string  // for people: what it is taken for, with whatever had to be assumed
	time    int     // column of the time of a capacity, or of the round trip time
	rate    int     // column of the rate
	inMilli float64 // what a time is in milliseconds
	inBits  float64 // what a rate is in bit/s
	wide    bool    // there are more columns
	pings   bool    // lines of the ping command
}

// mahimahiLines is up to how many lines of nothing but an ascending 0 and 1 count as a Mahimahi trace, a constant rate
// of at most 1.2 Gbit/s, rather than as a mask.
const mahimahiLines = 100

// Recognise tells what a file holds from its content. Most lines decide, not the first: a file with a few bad lines is
// recognised as what it was meant to be, so that its parser names the bad line.
//
// Column names decide where there are some. Files without, with one number a line, are told apart like this. A mask is 0
// and 1 in nine lines of ten, and either falls from 1 to 0 somewhere, or has no 1, or has more than 100 lines. Round trip
// times are lines with units of time, or of which a third are fractions or, if there are at least 5, a fifth are below the
// line before, of 100 a twentieth; or they are 10 lines or more that ascend and do not begin near 0, or 4 or more of the same number. All other
// numbers are the ascending milliseconds of a Mahimahi trace. Two numbers a line are seconds and Mbit/s, unless the first
// counts lines and the second is like round trip times: 10 and above, and never below a third of its median.
func Recognise(data []byte) Format { return recognise(data, "").format }

// recognise also asks the name of a file where its content leaves two answers.
func recognise(data []byte, name string) reading {
	t := newText(data)
	begin := bytes.TrimSpace(t.data)
	switch {
	case len(begin) == 0 || bytes.IndexByte(t.data, 0) >= 0:
		return reading{}
	case begin[0] == '[' || begin[0] == '{':
		return recogniseJSON(begin, name)
	}
	s := survey{name: name, ascends: true, counts: true, least: math.Inf(1)}
	_ = t.each(func(_ int, line []byte) error {
		s.line(line)
		return nil
	})
	switch {
	case s.lines == 0:
		return reading{}
	case 3*s.pings > s.lines:
		return reading{format: FormatSeries, pings: true, inMilli: 1, taken: "round trip times, of the ping command"}
	case len(t.header) > 1:
		return byNames(t.header)
	case 2*s.pairs > s.lines:
		return s.two()
	case 10*s.bits >= 9*s.lines && (s.named("mask", "loss", "lost", "losses") || s.falls > 0 || s.ones == 0 || s.lines > mahimahiLines):
		return reading{format: FormatMask, taken: "losses, one for each 20 ms"}
	case 2*s.rows > s.lines && max(s.columns-s.lines, s.lines-s.columns) <= max(1, s.lines/10): // as wide as high
		return reading{format: FormatMatrix, taken: "a matrix of round trip times between hosts, s"}
	case 2*s.numbers <= s.lines:
		return reading{}
	}
	return s.one(t.header)
}

// survey is what the lines of a file have in common.
type survey struct {
	name                              string
	lines, numbers, pairs, bits, ones int
	rows, columns                     int // of three or more numbers, and how many in the first
	pings, falls, fractions, times    int
	ascends, counts                   bool // no fall at all; the first of two columns is 0, 1, 2... or 1, 2, 3...
	first, before, least, most        float64
	sample                            []float64 // of the figures, or of the second column
}

const sampleSize = 4096

func (s *survey) line(line []byte) {
	s.lines++
	if _, ok := pingTime(line); ok {
		s.pings++
		return
	}
	if digits, ok := bits(line); ok && (len(digits) == 1 || len(digits) >= 8) {
		s.bits++
		if s.ones += bytes.Count(digits, []byte("1")); len(digits) > 1 {
			s.falls++ // several packets a line are no milliseconds
		}
		if len(digits) > 1 && len(digits) != len(line) {
			return
		}
	}
	fields := fieldsOf(line)
	if len(fields) > 2 {
		for _, field := range fields {
			if _, _, ok := figure(field); !ok {
				return
			}
		}
		if s.rows++; s.rows == 1 {
			s.columns = len(fields)
		}
	}
	if len(fields) == 0 || len(fields) > 2 {
		return
	}
	value, unit, ok := figure(fields[0])
	if !ok && string(fields[0]) != "*" {
		return
	}
	if len(fields) == 2 {
		s.pairs++
		if s.counts = s.counts && value == math.Trunc(value) && (s.pairs == 1 && value <= 1 || s.pairs > 1 && value == s.before+1); ok {
			s.before = value
		}
		if value, _, ok = figure(fields[1]); ok {
			s.note(value)
		}
		return
	}
	s.numbers++
	if !ok {
		return
	}
	if perMilli[unit] > 0 {
		s.times++
	}
	if bytes.IndexByte(fields[0], '.') >= 0 {
		s.fractions++
	}
	if len(s.sample) > 0 && value < s.before {
		s.falls++
		s.ascends = false
	}
	if s.before = value; len(s.sample) == 0 {
		s.first = value
	}
	s.note(value)
}

func (s *survey) note(value float64) {
	s.least, s.most = min(s.least, value), max(s.most, value)
	if len(s.sample) < sampleSize {
		s.sample = append(s.sample, value)
	}
}

func (s *survey) median() float64 {
	if len(s.sample) == 0 {
		return math.NaN()
	}
	return slices.Sorted(slices.Values(s.sample))[len(s.sample)/2]
}

// two tells what two columns are.
func (s *survey) two() reading {
	r := reading{format: FormatRates, rate: 1, inMilli: 1e3, inBits: 1e6, taken: "capacity, seconds and Mbit/s"}
	median := s.median()
	switch like := s.counts && s.pairs >= 10 && s.least >= 10 && s.least >= median/3; {
	case like && !s.named("trace", "mbps", "bandwidth", "throughput", "rate", "up", "down"):
		return reading{format: FormatSeries, time: 1, inMilli: 1, taken: "round trip times in ms beside numbers of lines, as they are never far below their median"}
	case median > 1000:
		r.inBits, r.taken = 1e3, "capacity, seconds and kbit/s, as the median would be above 1 Gbit/s otherwise"
	}
	return r
}

// one tells what the numbers of a single column are.
func (s *survey) one(header []string) reading {
	series := reading{format: FormatSeries, inMilli: 1, taken: "round trip times in ms"}
	chances := reading{format: FormatChances, taken: "capacity, a millisecond a line (Mahimahi)"}
	named := len(header) == 1 && rttColumn(header[0])
	switch {
	case named || s.times > 0 && 2*s.times >= s.numbers:
	case 3*s.fractions > s.numbers || s.numbers >= 5 && 5*s.falls > s.numbers || s.numbers >= 100 && 20*s.falls > s.numbers:
	case s.named("mahimahi", "trace", "up", "down", "uplink", "downlink"):
		return chances
	case s.ascends && s.most <= maxRoundTripMillis && s.least > 1 &&
		(s.numbers >= 4 && s.least == s.most || s.numbers >= 10 && s.first > s.most/20):
		series.taken += ", as they do not begin near 0"
	default:
		return chances
	}
	if named {
		for unit, milli := range perMilli {
			if strings.HasSuffix(header[0], "_"+unit) {
				series.inMilli = milli
				return series
			}
		}
	}
	if m := s.median(); s.times == 0 && m < 1 && m >= 0.002 && s.most < 20 && !s.named("ms", "lan", "loopback") {
		series.inMilli, series.taken = 1e3, "round trip times in seconds, as their median is below 1"
	}
	return series
}

// named reports whether the name of the file has one of some words.
func (s *survey) named(words ...string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(strings.ToLower(s.name), func(r rune) bool { return !unicode.IsLetter(r) }),
		func(word string) bool { return slices.Contains(words, word) })
}

// column splits the name of a column, or the key of an object, into what it is and a unit: "bandwidth_kbps", "Time (s)",
// "durationMs".
func column(name string) (what, unit string) {
	what = strings.ToLower(strings.Trim(name, " _-"))
	what = strings.NewReplacer("(", "_", ")", "", "[", "_", "]", "", " ", "_", "-", "_").Replace(what)
	if perBit[what] > 0 {
		return "rate", what
	}
	if what == "ms" || what == "seconds" || what == "secs" || what == "sec" || what == "s" {
		return "time", what
	}
	for _, units := range []map[string]float64{perBit, perMilli} {
		longest := ""
		for u := range units {
			if strings.HasSuffix(what, u) && len(u) > len(longest) && (len(u) > 1 || strings.HasSuffix(what, "_"+u)) {
				longest = u
			}
		}
		if longest != "" {
			return strings.TrimRight(strings.TrimSuffix(what, longest), "_"), longest
		}
	}
	return what, ""
}

var (
	rateWords     = []string{"rate", "bandwidth", "throughput", "capacity", "bitrate", "bw", "downlink", "uplink", "download", "upload", "goodput"}
	timeWords     = []string{"time", "timestamp", "t", "offset", "elapsed", "start"}
	durationWords = []string{"duration", "interval", "length"}
	rttWords      = []string{"rtt", "latency", "ping", "delay", "round_trip", "round_trip_time", "roundtrip"}
)

func rttColumn(name string) bool {
	what, _ := column(name)
	return slices.Contains(rttWords, what)
}

// byNames finds the columns by their names.
func byNames(header []string) reading {
	r := reading{time: -1, rate: -1, inMilli: 1e3, inBits: 1e6}
	rtt, milli := -1, 1.0
	for i, name := range header {
		what, unit := column(name)
		switch {
		case r.rate < 0 && slices.Contains(rateWords, what):
			if r.rate = i; perBit[unit] > 0 {
				r.inBits = perBit[unit]
			}
		case r.time < 0 && slices.Contains(timeWords, what):
			if r.time = i; perMilli[unit] > 0 {
				r.inMilli = perMilli[unit]
			}
		case rtt < 0 && slices.Contains(rttWords, what):
			if rtt = i; perMilli[unit] > 0 {
				milli = perMilli[unit]
			}
		}
	}
	switch {
	case r.time >= 0 && r.rate >= 0:
		r.format, r.wide, r.taken = FormatRates, true, "capacity, by the columns "+header[r.time]+" and "+header[r.rate]
		return r
	case rtt >= 0:
		return reading{format: FormatSeries, time: rtt, wide: true, inMilli: milli, taken: "round trip times, by the column " + header[rtt]}
	}
	return reading{}
}
