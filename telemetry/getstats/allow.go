package getstats

import (
	"maps"
	"slices"
	"strings"
)

// kind is a type of W3C statistics that is read; all others are skipped.
type kind uint8

const (
	kindSkipped kind = iota
	kindInbound
	kindOutbound
	kindRemoteInbound
	kindPair
	kindTransport
	kindCandidate // local or remote: a pair's references tell which
	kindCodec
	kindLegacy // a stream as Chrome told of it before the W3C's statistics: counted, not read
)

var kinds = map[string]kind{
	"inbound-rtp": kindInbound, "outbound-rtp": kindOutbound, "remote-inbound-rtp": kindRemoteInbound,
	"candidate-pair": kindPair, "transport": kindTransport,
	"local-candidate": kindCandidate, "remote-candidate": kindCandidate, "codec": kindCodec, "ssrc": kindLegacy,
}

// timed reports whether it matters when an object of this kind said something.
func (k kind) timed() bool {
	switch k {
	case kindInbound, kindOutbound, kindRemoteInbound, kindPair, kindTransport:
		return true
	}
	return false
}

// class says what becomes of a metric's value.
type class uint8

const (
	number   class = iota // a finite number is kept
	word                  // one of words, nothing else
	flags                 // of an SDP format line: words found in it, never the line
	ref                   // the id of another object: kept in memory to follow it, never written
	turns                 // a ref that is followed over time
	presence              // nothing of the value: that it is there tells that the object is
	mime                  // of a codec: those of the vocabulary by name, of the others only whether they are audio or video
)

// allowed is the allow-list: the metrics of each kind of object that are read, by their W3C names
// (https://www.w3.org/TR/webrtc-stats/). What is not here is not kept, not even in memory.
var allowed = map[kind]map[string]class{
	kindInbound: {
		"kind": word, "mediaType": word, "codecId": ref, "transportId": ref,
		"packetsReceived": number, "packetsLost": number, "bytesReceived": number, "jitter": number,
		"concealedSamples": number, "silentConcealedSamples": number, "totalSamplesReceived": number,
		"jitterBufferDelay": number, "jitterBufferEmittedCount": number,
	},
	kindOutbound: {
		"kind": word, "mediaType": word, "codecId": ref, "transportId": ref,
		"packetsSent": number, "bytesSent": number, "targetBitrate": number,
	},
	kindRemoteInbound: {
		"kind": word, "localId": ref,
		"packetsLost": number, "jitter": number, "roundTripTime": number,
	},
	kindPair: {
		"localCandidateId": ref, "remoteCandidateId": ref, "state": word, "nominated": word, "selected": word,
		"currentRoundTripTime": number, "availableOutgoingBitrate": number, "bytesReceived": number, "bytesSent": number,
	},
	kindTransport: {"selectedCandidatePairId": turns},
	kindCandidate: {"candidateType": word, "protocol": word, "relayProtocol": word, "networkType": word},
	kindCodec:     {"mimeType": mime, "sdpFmtpLine": flags},
	kindLegacy:    {"mediaType": word, "ssrc": presence},
}

// classes has the class of each metric, which is the same in all kinds of objects that have it.
var classes = func() map[string]class {
	all := make(map[string]class)
	for _, metrics := range allowed {
		maps.Copy(all, metrics)
	}
	return all
}()

// classOf is the class of a metric of whatever kind of object.
func classOf(metric string) (c class, ok bool) {
	c, ok = classes[metric]
	return c, ok
}

// words are all the values a word may have; another value is dropped.
var words = []string{
	"audio", "video",
	"host", "srflx", "prflx", "relay",
	"udp", "tcp", "tls",
	"frozen", "waiting", "in-progress", "inprogress", "failed", "succeeded", "true",
	"wifi", "ethernet", "cellular", "cellular2g", "cellular3g", "cellular4g", "cellular5g", "vpn",
}

// mimes are the codecs of the vocabulary.
var mimes = []string{"audio/opus", "audio/red", "audio/PCMU"}

// What is kept of other codecs.
const (
	otherAudio = "audio/"
	otherVideo = "video/"
)

// The flags of an SDP format line (RFC 7587 section 6.1).
const (
	flagFEC = "useinbandfec=1"
	flagDTX = "usedtx=1"
)

// reduce is what may be kept of a text value; empty = nothing.
func reduce(c class, text string) string {
	oneOf := func(list []string) string {
		if i := slices.IndexFunc(list, func(w string) bool { return strings.EqualFold(w, text) }); i >= 0 {
			return list[i]
		}
		return ""
	}
	switch c {
	case word:
		return oneOf(words)
	case mime:
		lower := strings.ToLower(text)
		switch known := oneOf(mimes); {
		case known != "":
			return known
		case strings.HasPrefix(lower, otherAudio):
			return otherAudio
		case strings.HasPrefix(lower, otherVideo):
			return otherVideo
		}
	case flags:
		var kept []string
		for part := range strings.SplitSeq(text, ";") {
			if part = strings.TrimSpace(part); part == flagFEC || part == flagDTX {
				kept = append(kept, part)
			}
		}
		return strings.Join(kept, ";")
	case ref, turns:
		if len(text) <= maxID {
			return text
		}
	}
	return ""
}
