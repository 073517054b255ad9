package getstats

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// webrtc-internals writes one object: PeerConnections -> connection -> stats -> "ID-metric" -> {startTime, endTime,
// statsType, values}, where values is a JSON array inside a string. It ends every line with the newest sample.

// internals reads the value of the key PeerConnections.
func (r *reader) internals() error {
	return r.object(func(id string) error {
		c, err := r.store.connection(id)
		if err != nil {
			return err
		}
		times := make(map[string][]float64) // of each object's samples, where the dump has them
		var rows []row
		err = r.object(func(key string) error {
			if key != "stats" {
				return r.skip()
			}
			return r.object(func(name string) error {
				got, err := r.row(name)
				switch {
				case err != nil:
					return err
				case got.metric == "timestamp":
					times[got.id] = got.numbers
					for i := range got.numbers {
						got.numbers[i] /= 1000
					}
				case got.kind != kindSkipped:
					rows = append(rows, got)
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		for i := range rows {
			if err := r.keep(c, &rows[i], times[rows[i].id]); err != nil {
				return err
			}
		}
		return r.close(id)
	})
}

// row is one line of webrtc-internals: a metric over time.
type row struct {
	id, metric string
	kind       kind
	class      class
	begin, end float64
	numbers    []float64 // NaN where the sample is no number
	text       string    // the last sample, reduced
}

// row reads the value of "ID-metric". A metric's name has no hyphen.
func (r *reader) row(name string) (row, error) {
	cut := strings.LastIndexByte(name, '-')
	if cut < 0 {
		return row{}, r.skip()
	}
	line := row{id: name[:cut], metric: name[cut+1:]}
	var values string
	var begin, end, statsType string
	err := r.object(func(key string) error {
		switch key {
		case "startTime":
			return r.text(&begin)
		case "endTime":
			return r.text(&end)
		case "statsType":
			return r.text(&statsType)
		case "values":
			return r.text(&values)
		}
		return r.skip()
	})
	if err != nil {
		return row{}, err
	}
	line.begin, line.end = seconds(begin), seconds(end)
	if line.metric == "timestamp" {
		_, line.numbers, err = samples(values, number)
		return line, err
	}
	line.kind = kinds[statsType]
	if statsType == "" {
		line.kind = kindOfID(line.id)
	}
	c, ok := allowed[line.kind][line.metric]
	if !ok {
		return row{}, nil
	}
	line.class = c
	line.text, line.numbers, err = samples(values, c)
	return line, err
}

// kindOfID is for dumps of Chrome before version 93, which tell the type of an object by its id only.
func kindOfID(id string) kind {
	for _, p := range []struct {
		prefix string
		kind   kind
	}{
		{"RTCInboundRTPAudioStream", kindInbound},
		{"RTCOutboundRTPAudioStream", kindOutbound},
		{"RTCRemoteInboundRtpAudioStream", kindRemoteInbound},
		{"RTCIceCandidatePair", kindPair},
		{"RTCTransport", kindTransport},
		{"RTCCodec", kindCodec},
	} {
		if strings.HasPrefix(id, p.prefix) {
			return p.kind
		}
	}
	return kindSkipped
}

// samples reads the array inside the string: numbers, or the last text that may be kept.
func samples(values string, c class) (text string, numbers []float64, err error) {
	d := json.NewDecoder(strings.NewReader(values))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return "", nil, fmt.Errorf("%w: values are not an array", errFormat)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return "", nil, fmt.Errorf("%w: values break off", errFormat)
		}
		if c == number {
			v, ok := t.(float64)
			if !ok {
				v = nan
			}
			numbers = append(numbers, v)
			continue
		}
		switch v := t.(type) {
		case string:
			text = reduce(c, v)
		case bool:
			text = reduce(c, fmt.Sprint(v))
		}
	}
	if _, err := d.Token(); err != nil {
		return "", nil, fmt.Errorf("%w: values break off", errFormat)
	}
	return text, numbers, nil
}

// keep moves a line into the store. Without times of its own its samples are spread evenly, as Chrome takes them.
func (r *reader) keep(c *connection, line *row, times []float64) error {
	o, err := r.store.object(c, line.id, line.kind)
	if err != nil {
		return err
	}
	if line.class != number {
		o.texts[line.metric] = line.text
		return nil
	}
	n := len(line.numbers)
	if len(times) < n || n == 0 {
		times = make([]float64, n)
		for i := range times {
			times[i] = line.end
			if n > 1 {
				times[i] = line.begin + (line.end-line.begin)*float64(i)/float64(n-1)
			}
		}
	}
	times = times[len(times)-n:] // a metric that came later ends with the others
	for i, v := range line.numbers {
		if err := r.store.add(o, line.metric, times[i], v); err != nil {
			return err
		}
	}
	return nil
}

// seconds reads a time such as 2021-03-09T08:33:21.161Z; 0 when it is none.
func seconds(text string) float64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
