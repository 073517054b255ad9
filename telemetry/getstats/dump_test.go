package getstats_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A call as a browser would have recorded it, one sample a second, in both formats. Around the numbers stand the things
// a real dump is full of, which must not come out.

const personal = "203.0.113.77 2001:db8::c0ff:ee anna.example@example.org +4915550100 candidate:1 1 udp 2122 203.0.113.77 50000 typ host ufrag c4n4ry"

// recorded is a stream heard over Wi-Fi: Opus at 24 kbps in 20 ms frames, 2 % lost after the first minute.
type recorded struct {
	seconds  int
	mime     string
	fmtp     string
	relay    string // relayProtocol of a relayed local candidate; empty = direct over UDP
	protocol string // of the local candidate
}

func call(seconds int) recorded {
	return recorded{seconds: seconds, mime: "audio/opus", fmtp: "minptime=10;useinbandfec=1", protocol: "udp"}
}

var started = time.Date(2026, 11, 3, 9, 30, 0, 0, time.UTC)

// stats is one snapshot, as getStats gives it.
func (c recorded) stats(second int) map[string]map[string]any {
	lost := max(0, second-60)
	local := map[string]any{
		"type": "local-candidate", "candidateType": "host", "protocol": c.protocol, "networkType": "wifi", "address": "203.0.113.77", "port": 50000,
		"usernameFragment": "c4n4ry",
	}
	if c.relay != "" {
		local["candidateType"], local["relayProtocol"], local["url"] = "relay", c.relay, "turn:anna.example@203.0.113.77"
	}
	stats := map[string]map[string]any{
		"IT01A": {
			"type": "inbound-rtp", "kind": "audio", "codecId": "CIT_111", "transportId": "T01", "ssrc": 915550100, "trackIdentifier": personal,
			"packetsReceived": 50*second - lost, "packetsLost": lost, "bytesReceived": 60 * (50*second - lost), "jitter": 0.004,
			"concealedSamples": 960 * lost / 2, "silentConcealedSamples": 0, "totalSamplesReceived": 48000 * second,
			"jitterBufferDelay": 0.06 * 48000 * float64(second), "jitterBufferEmittedCount": 48000 * second,
		},
		"OT01A": {
			"type": "outbound-rtp", "kind": "audio", "codecId": "CIT_111", "transportId": "T01", "packetsSent": 50 * second,
			"bytesSent": 80 * 50 * second, "targetBitrate": 32000, "trackIdentifier": personal,
		},
		"OT02V": {"type": "outbound-rtp", "kind": "video", "packetsSent": 500 * second, "bytesSent": 500_000 * second},
		"T01":   {"type": "transport", "selectedCandidatePairId": "CP1", "iceLocalUsernameFragment": "c4n4ry"},
		"CP1": {
			"type": "candidate-pair", "localCandidateId": "L1", "remoteCandidateId": "R1", "state": "succeeded",
			"currentRoundTripTime": 0.08, "availableOutgoingBitrate": 300000,
		},
		"L1":      local,
		"R1":      {"type": "remote-candidate", "candidateType": "srflx", "address": "2001:db8::c0ff:ee"},
		"CIT_111": {"type": "codec", "mimeType": c.mime, "sdpFmtpLine": c.fmtp + ";x-note=" + personal},
		"CERT":    {"type": "certificate", "fingerprint": "c4n4ry"},
	}
	if report := second / reportEvery * reportEvery; report > 0 {
		stats["RIA"] = map[string]any{
			"type": "remote-inbound-rtp", "kind": "audio", "localId": "OT01A", "packetsLost": report / 10,
			"jitter": 0.01 + 0.0001*float64(report%2), "roundTripTime": 0.09,
		}
	}
	return stats
}

// reportEvery is how many seconds lie between two receiver reports.
const reportEvery = 5

// taken is when an object of a snapshot was measured, in milliseconds since 1970: receiver reports keep their own time.
func taken(id string, second int) float64 {
	if id == "RIA" {
		second = second / reportEvery * reportEvery
	}
	return float64(started.UnixMilli()) + 1000*float64(second)
}

// internals is the call as webrtc-internals saves it.
func (c recorded) internals() string { return saved(c.connection()) }

// connection is the call as one connection of webrtc-internals.
func (c recorded) connection() map[string]any {
	values := map[string][]any{}
	types := map[string]string{}
	for s := 1; s <= c.seconds; s++ {
		for id, metrics := range c.stats(s) {
			for metric, v := range metrics {
				if metric == "type" {
					types[id] = v.(string)
					continue
				}
				values[id+"-"+metric] = append(values[id+"-"+metric], v)
			}
			values[id+"-timestamp"] = append(values[id+"-timestamp"], taken(id, s))
			values[id+"-[packets/s]"] = append(values[id+"-[packets/s]"], 50)
		}
	}
	stats := map[string]any{}
	for name, list := range values {
		stats[name] = map[string]any{
			"startTime": started.Format(time.RFC3339Nano), "endTime": started.Add(time.Duration(c.seconds) * time.Second).Format(time.RFC3339Nano),
			"statsType": types[name[:strings.LastIndexByte(name, '-')]], "values": text(list),
		}
	}
	return map[string]any{
		"pid": 17, "url": "https://anna.example/" + personal, "rtcConfiguration": personal,
		"updateLog": []any{map[string]any{"type": "setLocalDescription", "value": "v=0\r\n" + personal}}, "stats": stats,
	}
}

// saved is a dump of webrtc-internals with these connections, named 17-1, 17-2 and so on.
func saved(connections ...map[string]any) string {
	all := map[string]any{}
	for i, c := range connections {
		all[fmt.Sprintf("17-%d", i+1)] = c
	}
	return text(map[string]any{
		"UserAgent": personal, "getUserMedia": []any{map[string]any{"audio": personal}}, "PeerConnections": all,
	})
}

// text is a value as JSON.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// rtcstats is the call as JSON lines. Format 3 has differences of time and short names, earlier formats have not.
func (c recorded) rtcstats(format int) string {
	var b strings.Builder
	if format >= 3 {
		b.WriteString("RTCStatsDump\n")
	}
	line := func(v any) {
		b.WriteString(text(v))
		b.WriteByte('\n')
	}
	line(map[string]any{"fileFormat": format, "url": personal, "userAgent": personal})
	clock := 0.0
	event := func(method any, payload any, second int) {
		at := float64(started.UnixMilli()) + 1000*float64(second)
		t := at
		if format >= 3 {
			t = at - clock
		}
		clock = at
		line([]any{method, "PC_0", payload, t})
	}
	event("create", map[string]any{"iceServers": personal}, 0)
	event("setLocalDescription", map[string]any{"sdp": "v=0\r\n" + personal}, 0)
	before := map[string]string{}
	for s := 1; s <= c.seconds; s++ {
		delta := map[string]any{}
		for id, metrics := range c.stats(s) {
			changed := map[string]any{}
			for metric, v := range metrics {
				text := fmt.Sprint(v)
				if before[id+metric] == text {
					continue
				}
				before[id+metric] = text
				if short, ok := shortNames[metric]; ok && format >= 3 {
					metric = short
				}
				if short, ok := shortTypes[text]; ok && metric == "type" && format >= 3 {
					v = short
				}
				changed[metric] = v
			}
			if len(changed) > 0 {
				delta[id] = changed
			}
		}
		if format >= 3 {
			delta["t"] = float64(started.UnixMilli()) + 1000*float64(s)
			event("g", delta, s)
		} else {
			delta["timestamp"] = float64(started.UnixMilli()) + 1000*float64(s)
			event("getstats", delta, s)
		}
	}
	event("close", nil, c.seconds)
	return b.String()
}

// Some of the short forms of format 3.
var (
	shortNames = map[string]string{"packetsReceived": "14", "packetsLost": "15", "jitter": "16", "codecId": "12", "mimeType": "6", "kind": "11"}
	shortTypes = map[string]int{"inbound-rtp": 1, "codec": 14, "transport": 5, "candidate-pair": 6}
)
