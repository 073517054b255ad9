package getstats

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// rtcstats writes one array per event: [method, connection, payload, ..., time]. Since file format 3 times are
// differences in milliseconds; before, milliseconds since 1970. Statistics carry only what changed since the event before, and
// format 3 writes common names as numbers.

// event reads one array.
func (r *reader) event() error {
	if err := r.open('['); err != nil {
		return err
	}
	var method, connection string
	var stats []change
	var last float64
	for position := 0; r.json.More(); position++ {
		var err error
		switch {
		case position == 0:
			method, err = r.name()
		case position == 1:
			connection, err = r.name()
		case position == 2 && statsMethods[method]:
			stats, err = r.changes(stats)
		default:
			last, err = r.number()
		}
		if err != nil {
			return err
		}
	}
	if _, err := r.token(); err != nil { // the closing bracket
		return err
	}
	if r.format >= 3 {
		r.clock += last / 1000
	} else {
		r.clock = last / 1000
	}
	switch {
	case statsMethods[method]:
		return r.apply(connection, stats)
	case closeMethods[method] && connection != "":
		return r.close(connection)
	}
	return nil
}

// The methods that matter, with their short forms in format 3.
var (
	statsMethods = map[string]bool{"getStats": true, "getstats": true, "stats": true, "g": true, "1": true}
	closeMethods = map[string]bool{"close": true, "36": true}
)

// typeNumbers and metricNumbers are the short forms of format 3, as far as they are on the allow-list.
var (
	typeNumbers = map[string]string{
		"1": "inbound-rtp", "2": "outbound-rtp", "3": "remote-inbound-rtp", "5": "transport", "6": "candidate-pair",
		"7": "local-candidate", "8": "remote-candidate", "14": "codec",
	}
	metricNumbers = map[string]string{
		"5": "transportId", "6": "mimeType", "9": "sdpFmtpLine", "11": "kind", "12": "codecId",
		"14": "packetsReceived", "15": "packetsLost", "16": "jitter", "41": "bytesReceived",
		"47": "jitterBufferDelay", "49": "jitterBufferEmittedCount", "51": "totalSamplesReceived",
		"52": "concealedSamples", "53": "silentConcealedSamples", "74": "localId", "75": "roundTripTime",
		"79": "packetsSent", "80": "bytesSent", "87": "targetBitrate", "116": "protocol", "118": "state",
		"125": "selectedCandidatePairId", "136": "candidateType", "139": "relayProtocol", "145": "networkType",
		"148": "localCandidateId", "149": "remoteCandidateId", "150": "nominated",
		"152": "currentRoundTripTime", "153": "availableOutgoingBitrate",
	}
)

// change is a new value of one metric of one object.
type change struct {
	id, metric string
	number     float64
	text       string
}

const (
	maxChanges  = 65_536 // in one event
	metricType  = "type"
	maxEventKey = maxID
)

// changes reads the payload of an event of statistics. Which metrics are allowed is known only with the object's type,
// which may have come earlier; until then no text is kept but words, and no name but those of the allow-list.
func (r *reader) changes(into []change) ([]change, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	if t != json.Delim('{') { // statistics that could not be had
		return nil, r.rest(t)
	}
	err = r.fields(func(id string) error {
		if len(id) > maxEventKey {
			return fmt.Errorf("%w: an object's id has %d bytes, at most %d are taken", errLimit, len(id), maxEventKey)
		}
		t, err := r.token()
		if err != nil {
			return err
		}
		if t != json.Delim('{') { // a time of all objects, or null for one that is gone
			return r.rest(t)
		}
		return r.fields(func(key string) error {
			if long, ok := metricNumbers[key]; ok {
				key = long
			}
			c, ok := classOf(key)
			if !ok && key != metricType {
				return r.skip()
			}
			t, err := r.token()
			if err != nil {
				return err
			}
			if len(into) >= maxChanges {
				return fmt.Errorf("%w: more than %d values in one event", errLimit, maxChanges)
			}
			got := change{id: id, metric: key, number: nan}
			switch v := t.(type) {
			case float64:
				got.number = v
				if key == metricType {
					got.text = typeNumbers[strconv.Itoa(int(v))]
				}
			case string:
				got.text = reduce(c, v)
				if key == metricType && kinds[v] != kindSkipped {
					got.text = v
				}
			case bool:
				got.text = reduce(c, strconv.FormatBool(v))
			default:
				return r.rest(t)
			}
			into = append(into, got)
			return nil
		})
	})
	return into, err
}

// classOf is the class of a metric's name in whatever kind of object allows it.
func classOf(metric string) (class, bool) {
	for _, metrics := range allowed {
		if c, ok := metrics[metric]; ok {
			return c, true
		}
	}
	return 0, false
}

// apply moves the changes of an event into the store.
func (r *reader) apply(id string, changes []change) error {
	c, err := r.store.connection(id)
	if err != nil {
		return err
	}
	for i := range changes { // an object's type may stand after its other values
		if changes[i].metric == metricType {
			if k := kinds[changes[i].text]; k != kindSkipped {
				if _, err := r.store.object(c, changes[i].id, k); err != nil {
					return err
				}
			}
		}
	}
	for i := range changes {
		o := c.objects[changes[i].id]
		if o == nil {
			continue
		}
		switch class, ok := allowed[o.kind][changes[i].metric]; {
		case !ok:
		case class == number:
			if err := r.store.add(o, changes[i].metric, r.clock, changes[i].number); err != nil {
				return err
			}
		default:
			o.texts[changes[i].metric] = changes[i].text
		}
	}
	return r.store.beat(c, r.clock)
}
