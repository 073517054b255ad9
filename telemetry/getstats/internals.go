package getstats

import (
	"bufio"
	"strings"
	"time"
)

// webrtc-internals writes one object: PeerConnections -> connection -> stats -> "ID-metric" -> {startTime, endTime,
// statsType, values}, where values is a JSON array inside a string; some programs that pass dumps on unpack it. It ends every
// line with the newest sample.

// internals reads the value of the key PeerConnections.
func (r *reader) internals() error {
	return r.json.object(func(id string) error {
		if len(id) > maxID {
			r.summary.Odd++
			return r.json.skip()
		}
		c, err := r.store.connection(id)
		if err != nil {
			return err
		}
		rows := make(map[*object]*recording)
		err = r.json.object(func(key string) error {
			if key != "stats" {
				return r.json.skip()
			}
			return r.json.object(func(name string) error { return r.row(c, name, rows) })
		})
		if err != nil {
			return err
		}
		for _, id := range c.order {
			if err := r.arrange(c, c.objects[id], rows[c.objects[id]]); err != nil {
				return err
			}
		}
		return r.close(id)
	})
}

// recording is what the lines of one object say, until their times are known.
type recording struct {
	rows  map[string]row
	times []float64 // of the samples, where the dump has them
}

// row is one line: a metric over time.
type row struct {
	begin, end float64
	numbers    []float64 // NaN where the sample is no number
	text       string    // the last sample, reduced
	turns      []index   // the samples that differ from the one before
	samples    int
}

// index is a text from some sample on.
type index struct {
	sample int
	text   string
}

const metricTimestamp = "timestamp"

// row reads the value of "ID-metric". A metric's name has no hyphen.
func (r *reader) row(c *connection, name string, rows map[*object]*recording) error {
	cut := strings.LastIndexByte(name, '-')
	if cut < 0 || cut > maxID {
		return r.json.skip()
	}
	id, metric := name[:cut], name[cut+1:]
	if _, ok := classOf(metric); !ok && metric != metricTimestamp {
		return r.json.skip()
	}
	if b, err := r.json.next(); err != nil || b != '{' {
		r.summary.Odd++
		return r.json.skip()
	}
	var begin, end, statsType string
	var values string // packed, until it is known whose they are
	var raw *row      // unpacked
	before := c.charged
	err := r.json.object(func(key string) (err error) {
		switch key {
		case "startTime":
			return r.text(&begin)
		case "endTime":
			return r.text(&end)
		case "statsType":
			return r.text(&statsType)
		case "values":
			b, err := r.json.next()
			if err != nil || b != '[' {
				return r.long(&values)
			}
			raw = new(row)
			return r.samples(c, &r.json, metric, raw)
		}
		return r.json.skip()
	})
	if err != nil {
		return err
	}
	k := kinds[statsType]
	if statsType == "" {
		k = kindOfID(id)
	}
	if _, ok := allowed[k][metric]; !ok && (metric != metricTimestamp || !k.timed()) {
		r.store.refund(c, c.charged-before)
		return nil
	}
	if raw == nil {
		raw = new(row)
		if err := r.unpack(c, values, metric, raw); err != nil {
			return err
		}
	}
	o, err := r.store.object(c, id, k)
	if err != nil {
		return err
	}
	into := rows[o]
	if into == nil {
		into = &recording{rows: make(map[string]row)}
		rows[o] = into
	}
	if metric == metricTimestamp {
		for i := range raw.numbers {
			raw.numbers[i] /= 1000
		}
		into.times = raw.numbers
		return nil
	}
	raw.begin, raw.end = seconds(begin), seconds(end)
	into.rows[metric] = *raw
	return nil
}

// long reads a string of any length that is taken.
func (r *reader) long(into *string) error {
	at := r.json.at
	text, whole, err := "", true, error(nil)
	if b, fault := r.json.next(); fault == nil && b == '"' {
		text, whole, err = r.json.string(maxString)
	} else {
		err = r.json.skip()
	}
	if err == nil && !whole {
		err = limitAt(at, "a series of more than %d MiB", maxString>>20)
	}
	*into = text
	return err
}

// unpack reads the array inside a string. One that breaks off is left out as a whole, and counted.
func (r *reader) unpack(c *connection, values, metric string, into *row) error {
	before := c.charged
	inner := &scanner{in: bufio.NewReader(strings.NewReader(values))}
	err := r.samples(c, inner, metric, into)
	if err == nil || isLimit(err) {
		return err
	}
	r.store.refund(c, c.charged-before)
	*into = row{}
	r.summary.Odd++
	return nil
}

// samples reads an array of what a metric was over time.
func (r *reader) samples(c *connection, from *scanner, metric string, into *row) error {
	class, _ := classOf(metric) // that of a number for times
	const ahead = 256           // numbers that are paid for at once
	return from.array(func() error {
		v, err := from.value(maxName)
		if err != nil {
			return err
		}
		if !v.known && !v.null {
			r.summary.Odd++
		}
		switch {
		case class == number:
			if len(into.numbers) == cap(into.numbers) {
				more := max(ahead, cap(into.numbers)/4)
				if err := r.store.charge(c, more); err != nil {
					return err
				}
				into.numbers = append(make([]float64, 0, len(into.numbers)+more), into.numbers...)
			}
			into.numbers = append(into.numbers, v.number)
		case !v.known:
		case class == turns:
			text := reduce(class, v.text)
			if n := len(into.turns); text != "" && (n == 0 || into.turns[n-1].text != text) {
				if err := r.store.charge(c, 8+len(text)/8); err != nil {
					return err
				}
				into.turns = append(into.turns, index{into.samples, text})
			}
		default:
			into.text = reduce(class, v.text)
		}
		into.samples++
		return nil
	})
}

// arrange moves the lines of an object into its series. Without times of its own its samples are spread evenly, as Chrome
// takes them.
func (r *reader) arrange(c *connection, o *object, from *recording) error {
	if from == nil {
		return nil
	}
	for metric, line := range from.rows {
		switch class := allowed[o.kind][metric]; {
		case class != number && class != turns:
			o.texts[metric] = line.text
		case line.samples > 0:
			times, err := r.times(c, &line, from.times)
			if err != nil {
				return err
			}
			for _, t := range line.turns {
				if err := r.store.turn(c, o, times[t.sample], t.text); err != nil {
					return err
				}
			}
			if class == number {
				if o.series[metric], err = r.tidy(c, times, line.numbers); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// times are when the samples of a line were taken; lines of one object may share the slice.
func (r *reader) times(c *connection, line *row, known []float64) ([]float64, error) {
	n := line.samples
	if len(known) >= n {
		return known[len(known)-n:], nil // a metric that came later ends with the others
	}
	if err := r.store.charge(c, n); err != nil {
		return nil, err
	}
	times := make([]float64, n)
	for i := range times {
		times[i] = line.end
		if n > 1 {
			times[i] = line.begin + (line.end-line.begin)*float64(i)/float64(n-1)
		}
	}
	return times, nil
}

// tidy makes a series of samples: without what is no number, or goes back in time. Nil when nothing is left.
func (r *reader) tidy(c *connection, times, values []float64) (*series, error) {
	n := 0
	for n < len(values) && orderly(times[n], values[n]) && (n == 0 || times[n] > times[n-1]) {
		n++
	}
	if n == len(values) {
		return &series{times: times, values: values}, nil
	}
	if err := r.store.charge(c, len(times)); err != nil {
		return nil, err
	}
	own := append(make([]float64, 0, len(times)), times[:n]...)
	for i := n; i < len(values); i++ {
		if orderly(times[i], values[i]) && (n == 0 || times[i] > own[n-1]) {
			own, values[n] = append(own, times[i]), values[i]
			n++
		}
	}
	if n == 0 {
		return nil, nil
	}
	return &series{times: own, values: values[:n]}, nil
}

// kindOfID is for dumps of Chrome before version 93, which tell the type of an object by its id only.
func kindOfID(id string) kind {
	for _, p := range []struct {
		prefix string
		kind   kind
	}{
		{"RTCInboundRTP", kindInbound},
		{"RTCOutboundRTP", kindOutbound},
		{"RTCRemoteInboundRtp", kindRemoteInbound},
		{"RTCIceCandidatePair", kindPair},
		{"RTCIceCandidate_", kindCandidate},
		{"RTCTransport", kindTransport},
		{"RTCCodec", kindCodec},
		{"ssrc_", kindLegacy},
	} {
		if strings.HasPrefix(id, p.prefix) {
			return p.kind
		}
	}
	return kindSkipped
}

// seconds reads a time such as 2021-03-09T08:33:21.161Z; 0 when it is none.
func seconds(text string) float64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
