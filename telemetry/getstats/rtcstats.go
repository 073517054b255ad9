package getstats

import (
	"fmt"
	"math"
	"strconv"
)

// rtcstats writes one array per event: [method, connection, payload, ..., time]. Since file format 3 times are
// differences in milliseconds; before, milliseconds since 1970, after which a server may write its own count. Statistics carry
// only what changed since the event before, and format 3 writes common names as numbers. A line of metadata comes first,
// or, from servers such as Jitsi's, an event that holds them.

// event reads one array. What has not the form of an event is passed over and counted.
func (r *reader) event() error {
	var method, connection string
	var stats []change
	var clock float64 // what the event says of the time
	fields, formed := 0, true
	err := r.json.array(func() error {
		defer func() { fields++ }()
		if fields == 2 && statsMethods[method] {
			var err error
			stats, err = r.changes()
			return err
		}
		v, err := r.json.value(maxID)
		if err != nil {
			return err
		}
		switch {
		case fields == 0:
			method = v.name()
			formed = v.known
		case fields == 1:
			connection = v.name()
			formed = formed && (v.known || v.null)
		case fields >= 3 && !math.IsNaN(v.number) && clock < leastEpoch: // a count may come after the time
			clock = v.number
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !formed || fields < 4 {
		r.summary.Odd++
		return nil
	}
	if statsMethods[method] || method == "create" {
		r.known = true
	}
	if r.format >= 3 {
		r.clock += clock / 1000
	} else if clock > 0 {
		r.clock = clock / 1000
	}
	switch {
	case statsMethods[method]:
		return r.apply(connection, stats)
	case closeMethods[method] && connection != "":
		return r.close(connection)
	}
	return nil
}

// leastEpoch is a time in milliseconds since 1970 below which a number is none: in 2001.
const leastEpoch = 1e12

// name is a short string, or a number as one.
func (v value) name() string {
	if !math.IsNaN(v.number) {
		return strconv.FormatFloat(v.number, 'f', -1, 64)
	}
	return v.text
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
	maxChanges = 65_536 // in one event
	metricType = "type"
)

// changes reads the payload of an event of statistics. Which metrics are allowed is known only with the object's type,
// which may have come earlier; until then no text is kept but words, and no name but those of the allow-list.
func (r *reader) changes() ([]change, error) {
	if b, err := r.json.next(); err != nil || b != '{' { // statistics that could not be had
		return nil, r.json.skip()
	}
	var list []change
	err := r.json.object(func(id string) error {
		b, err := r.json.next()
		if err != nil || b != '{' { // a time of all objects, or null for one that is gone
			return r.json.skip()
		}
		if id == "" || len(id) > maxID {
			r.summary.Odd++
			return r.json.skip()
		}
		return r.json.object(func(key string) error {
			if long, ok := metricNumbers[key]; ok {
				key = long
			}
			c, ok := classOf(key)
			if !ok && key != metricType {
				return r.json.skip()
			}
			v, err := r.json.value(maxName)
			if err != nil {
				return err
			}
			if !v.known {
				if !v.null {
					r.summary.Odd++
				}
				return nil
			}
			if len(list) >= maxChanges {
				return fmt.Errorf("%w: more than %d values in the event before byte %d", errLimit, maxChanges, r.json.at)
			}
			got := change{id: id, metric: key, number: v.number}
			switch {
			case key != metricType && (c == ref || c == turns):
				got.text = reduce(c, v.name())
			case key != metricType:
				got.text = reduce(c, v.text)
			case kinds[v.text] != kindSkipped:
				got.text = v.text
			default:
				got.text = typeNumbers[v.name()]
			}
			list = append(list, got)
			return nil
		})
	})
	return list, err
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
			err = r.store.add(c, o, changes[i].metric, r.clock, changes[i].number)
		case class == turns:
			err = r.store.turn(c, o, r.clock, changes[i].text)
		default:
			o.texts[changes[i].metric] = changes[i].text
		}
		if err != nil {
			return err
		}
	}
	return r.store.beat(c, r.clock)
}
