package getstats

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

const (
	segmentSeconds = 4   // as long as the decisions of a client last
	longestSegment = 30  // seconds between two samples that still belong together
	leastPackets   = 100 // of a stream that becomes a report: two seconds of speech
)

// The reasons of Summary.Skipped.
const (
	skipShort     = "fewer than 100 packets"
	skipCodec     = "neither Opus nor PCMU, or not said"
	skipPath      = "path not said, or not one that a client can choose"
	skipUnheard   = "sent, and no receiver report says how it was heard"
	skipNoSegment = "no stretch of 4 seconds with packets"
)

// reports makes a report of each audio stream of a connection.
func (r *reader) reports(c *connection) error {
	for _, id := range c.order {
		o := c.objects[id]
		if o.kind != kindInbound && o.kind != kindOutbound || !o.audio(id) {
			continue
		}
		stream := &stream{connection: c, object: o, remote: c.answering(id)}
		report, skipped := r.report(stream)
		if skipped != "" {
			r.summary.Skipped[skipped]++
			continue
		}
		r.summary.Reports++
		r.summary.Segments += len(report.Segments)
		if err := r.take(report); err != nil {
			return err
		}
	}
	return nil
}

// audio reports whether a stream is one; before Chrome 93 only its id said so.
func (o *object) audio(id string) bool {
	kind := o.texts["kind"] + o.texts["mediaType"]
	return strings.HasPrefix(kind, "audio") || kind == "" && strings.Contains(id, "Audio")
}

// answering is what receiver reports say of an outbound stream; nil when there is none.
func (c *connection) answering(id string) *object {
	var only *object
	for _, other := range c.order {
		o := c.objects[other]
		if o.kind != kindRemoteInbound || !o.audio(other) && o.texts["localId"] != id {
			continue
		}
		if o.texts["localId"] == id {
			return o
		}
		if o.texts["localId"] == "" {
			only = o
		}
	}
	return only
}

// stream is one direction of one call.
type stream struct {
	*connection
	*object
	remote *object // receiver reports about an outbound stream

	codec     model.Codec
	fec, dtx  bool
	transport model.Transport
	pair      *object
	network   model.NetworkType
}

func (s *stream) sent() bool { return s.kind == kindOutbound }

// packets and bytes are the names of the stream's counters.
func (s *stream) packets() string {
	if s.sent() {
		return "packetsSent"
	}
	return "packetsReceived"
}

func (s *stream) bytes() string {
	if s.sent() {
		return "bytesSent"
	}
	return "bytesReceived"
}

// report makes the report of a stream, or says why there is none.
func (r *reader) report(s *stream) (*telemetry.Report, string) {
	counter := s.series[s.packets()]
	if counter == nil || counter.values[len(counter.values)-1]-min(counter.values[0], 0) < leastPackets {
		return nil, skipShort
	}
	if s.sent() && (s.remote == nil || s.remote.series["packetsLost"] == nil) {
		return nil, skipUnheard
	}
	if !s.readCodec() {
		return nil, skipCodec
	}
	if !s.readPath() {
		return nil, skipPath
	}
	windows := s.windows(counter)
	if len(windows) == 0 {
		return nil, skipNoSegment
	}
	context := model.Context{
		Network: s.network, Metered: r.cfg.Context.Metered, Region: r.cfg.Context.Region, Device: r.cfg.Context.Device,
	}
	if context.Network == model.NetworkUnknown {
		context.Network = r.cfg.Context.Network
	}
	report := &telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Origin: telemetry.OriginImport,
		Hour:    telemetry.HourOf(time.UnixMilli(int64(windows[0].from * 1000))),
		Context: context, Stage: model.StageEnded,
		Duration: telemetry.ScaleDuration.Bucket(windows[len(windows)-1].to - windows[0].from),
		ID:       r.id(s),
	}
	if lost := len(windows) - telemetry.MaxSegments; lost > 0 {
		report.LostSegments = uint32(min(lost, telemetry.MaxLostSegments))
		windows = windows[lost:]
	}
	report.Segments = s.segments(windows, context, r.cfg.Quality)
	return report, ""
}

// id is random, or made from the key and the stream's numbers.
func (r *reader) id(s *stream) (id telemetry.ReportID) {
	if r.cfg.Key == nil {
		rand.Read(id[:])
		return id
	}
	mac := hmac.New(sha256.New, r.cfg.Key)
	for _, counter := range []string{s.packets(), s.bytes()} {
		mac.Write([]byte(counter))
		line := s.series[counter]
		for i := 0; line != nil && i < len(line.times); i++ {
			var b [16]byte
			binary.LittleEndian.PutUint64(b[:8], math.Float64bits(line.times[i]))
			binary.LittleEndian.PutUint64(b[8:], math.Float64bits(line.values[i]))
			mac.Write(b[:])
		}
	}
	copy(id[:], mac.Sum(nil))
	return id
}

// readCodec reports whether the stream's codec is known and one of the vocabulary.
func (s *stream) readCodec() bool {
	codec := s.objects[s.texts["codecId"]]
	if codec == nil {
		return false
	}
	switch codec.texts["mimeType"] {
	case "audio/opus":
		s.codec = model.CodecOpus
	case "audio/red":
		s.codec = model.CodecOpusRED
	case "audio/PCMU":
		s.codec = model.CodecPCMU
	default:
		return false
	}
	line := codec.texts["sdpFmtpLine"]
	s.fec, s.dtx = strings.Contains(line, flagFEC), strings.Contains(line, flagDTX)
	return true
}

// readPath finds the candidate pair in use and what it says of transport and network.
func (s *stream) readPath() bool {
	if transport := s.objects[s.texts["transportId"]]; transport != nil {
		s.pair = s.objects[transport.texts["selectedCandidatePairId"]]
	}
	most := -1.0
	for _, id := range s.order {
		o := s.objects[id]
		if s.pair != nil && s.pair.kind == kindPair {
			break
		}
		if o.kind != kindPair || o.texts["state"] != "succeeded" {
			continue
		}
		if carried := o.last("bytesReceived") + o.last("bytesSent"); carried > most { // without the transport: the busiest
			most, s.pair = carried, o
		}
	}
	if s.pair == nil || s.pair.kind != kindPair {
		return false
	}
	local, remote := s.objects[s.pair.texts["localCandidateId"]], s.objects[s.pair.texts["remoteCandidateId"]]
	if local == nil {
		return false
	}
	s.network = networks[local.texts["networkType"]]
	switch relayed := local.texts["candidateType"] == "relay"; {
	case relayed:
		s.transport = relays[local.texts["relayProtocol"]]
	case local.texts["protocol"] == "tcp": // ICE-TCP is no choice of a client
	case remote != nil && remote.texts["candidateType"] == "relay":
		s.transport = model.TransportRelayUDP // as far as this side can see
	default:
		s.transport = model.TransportDirect
	}
	return s.transport != model.TransportUnknown
}

var networks = map[string]model.NetworkType{
	"wifi": model.NetworkWiFi, "ethernet": model.NetworkEthernet,
	"cellular2g": model.Network2G, "cellular3g": model.Network3G, "cellular4g": model.Network4G, "cellular5g": model.Network5G,
}

var relays = map[string]model.Transport{
	"udp": model.TransportRelayUDP, "tcp": model.TransportRelayTCP, "tls": model.TransportRelayTLS,
}

// last is the latest value of a counter, 0 when there is none.
func (o *object) last(metric string) float64 {
	if s := o.series[metric]; s != nil {
		return s.values[len(s.values)-1]
	}
	return 0
}

// window is a stretch in which packets came.
type window struct{ from, to, packets float64 }

// windows cuts the stream at its samples into stretches of at least segmentSeconds. Stretches without a packet are left
// out: a dump does not tell a muted microphone from an outage.
func (s *stream) windows(counter *series) []window {
	times := s.beats
	if len(times) == 0 {
		times = counter.times
	}
	var list []window
	for i, from := 0, 0; i < len(times); i++ {
		span := times[i] - times[from]
		if span < segmentSeconds {
			continue
		}
		w := window{times[from], times[i], s.grown(s.packets(), times[from], times[i])}
		if w.packets > 0 && span <= longestSegment {
			list = append(list, w)
		}
		from = i
	}
	return list
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
