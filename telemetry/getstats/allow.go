package getstats

import (
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
	kindLocalCandidate
	kindRemoteCandidate
	kindCodec
)

var kinds = map[string]kind{
	"inbound-rtp": kindInbound, "outbound-rtp": kindOutbound, "remote-inbound-rtp": kindRemoteInbound,
	"candidate-pair": kindPair, "transport": kindTransport,
	"local-candidate": kindLocalCandidate, "remote-candidate": kindRemoteCandidate, "codec": kindCodec,
}

// class says what becomes of a metric's value.
type class uint8

const (
	number class = iota // a finite number is kept
	word                // one of words, nothing else
	flags               // of an SDP format line: words found in it, never the line
	ref                 // the id of another object: kept in memory to follow it, never written
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
		"localCandidateId": ref, "remoteCandidateId": ref, "state": word, "nominated": word,
		"currentRoundTripTime": number, "availableOutgoingBitrate": number, "bytesReceived": number, "bytesSent": number,
	},
	kindTransport:       {"selectedCandidatePairId": ref},
	kindLocalCandidate:  {"candidateType": word, "protocol": word, "relayProtocol": word, "networkType": word},
	kindRemoteCandidate: {"candidateType": word},
	kindCodec:           {"mimeType": word, "sdpFmtpLine": flags},
}

// words are all the values a word may have; another value is dropped.
var words = []string{
	"audio", "video",
	"host", "srflx", "prflx", "relay",
	"udp", "tcp", "tls",
	"succeeded", "true",
	"wifi", "ethernet", "cellular", "cellular2g", "cellular3g", "cellular4g", "cellular5g", "vpn",
	"audio/opus", "audio/red", "audio/PCMU",
}

// The flags of an SDP format line (RFC 7587 section 6.1).
const (
	flagFEC = "useinbandfec=1"
	flagDTX = "usedtx=1"
)

// reduce is what may be kept of a text value; empty = nothing.
func reduce(c class, text string) string {
	switch c {
	case word:
		if i := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, text) }); i >= 0 {
			return words[i]
		}
	case flags:
		var kept []string
		for part := range strings.SplitSeq(text, ";") {
			if part = strings.TrimSpace(part); part == flagFEC || part == flagDTX {
				kept = append(kept, part)
			}
		}
		return strings.Join(kept, ";")
	case ref:
		if len(text) <= maxID {
			return text
		}
	}
	return ""
}
