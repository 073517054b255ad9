package getstats

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

const leastPackets = 100 // of a stream that becomes a report: two seconds of speech

// The reasons of Summary.Skipped.
const (
	skipEmpty     = "no stream in the connection"
	skipLegacy    = "legacy statistics (goog...), of which nothing is read: save dumps with the standard ones"
	skipVideo     = "video"
	skipShort     = "fewer than 100 packets"
	skipUnheard   = "sent, and no receiver report says how it was heard"
	skipNoCodec   = "codec not said: --codec says what it was"
	skipCodec     = "neither Opus nor PCMU"
	skipNoPath    = "path not said: --transport says what it was"
	skipPath      = "over ICE-TCP, which a client cannot choose"
	skipNoSegment = "no stretch of 4 seconds with packets"
)

// reports makes the reports of each audio stream of a connection, and counts every other stream.
func (r *reader) reports(c *connection) error {
	streams, legacy := 0, 0
	for _, id := range c.order {
		o := c.objects[id]
		if o.kind == kindLegacy {
			legacy++
		}
		if o.kind != kindInbound && o.kind != kindOutbound {
			continue
		}
		streams++
		list, skipped := r.stream(&stream{connection: c, object: o})
		if skipped != "" {
			r.summary.Skipped[skipped]++
			continue
		}
		r.summary.Streams++
		for _, report := range list {
			r.summary.Reports++
			r.summary.Segments += len(report.Segments)
			if err := r.take(report); err != nil {
				return err
			}
		}
	}
	switch { // a dump may hold both kinds of statistics of a stream
	case streams > 0:
	case legacy > 0:
		r.summary.Skipped[skipLegacy] += legacy
	default:
		r.summary.Skipped[skipEmpty]++
	}
	return nil
}

// medium is what a stream is said to carry: audio, video or nothing that is known. Beside the W3C's own fields the ids of
// Chrome tell it: RTCInboundRTPAudioStream_1 before version 93, IT01A1 since.
func (c *connection) medium(o *object) string {
	if said := o.texts["kind"] + o.texts["mediaType"]; said != "" {
		return said[:min(len(said), len("audio"))]
	}
	if codec := c.objects[o.texts["codecId"]]; codec != nil {
		if said, _, found := strings.Cut(codec.texts["mimeType"], "/"); found {
			return said
		}
	}
	if m := chromeID.FindStringSubmatch(o.id); m != nil {
		return map[byte]string{'A': "audio", 'V': "video"}[(m[1] + m[2])[0]]
	}
	return ""
}

var chromeID = regexp.MustCompile(`^(?:[IO]T\d+|R[IO])([AV])|^RTC\w+?(Audio|Video)Stream`)

// answering is what receiver reports say of an outbound stream; nil when there is none.
func (c *connection) answering(stream *object) *object {
	var only *object
	for _, id := range c.order {
		o := c.objects[id]
		switch {
		case o.kind != kindRemoteInbound:
		case o.texts["localId"] == stream.id:
			return o
		case o.texts["localId"] == "" && c.medium(o) != "video":
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

	codec    model.Codec
	fec, dtx bool
	paths    []path
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

// stream makes the reports of a stream, or says why there is none. One report tells of at most telemetry.MaxSegments
// decisions; a longer call becomes several, each with its own hour, so that nothing of it is left out.
func (r *reader) stream(s *stream) ([]*telemetry.Report, string) {
	medium := s.medium(s.object)
	if medium == "video" {
		return nil, skipVideo
	}
	counter := s.series[s.packets()]
	if counter == nil || counter.values[len(counter.values)-1]-min(counter.values[0], 0) < leastPackets {
		return nil, skipShort
	}
	if s.sent() {
		if s.remote = s.answering(s.object); s.remote == nil || s.remote.series["packetsLost"] == nil {
			return nil, skipUnheard
		}
	}
	if reason := s.readCodec(r.cfg.Codec, medium); reason != "" {
		return nil, reason
	}
	if reason := s.readPaths(r.cfg); reason != "" {
		return nil, reason
	}
	windows := s.windows(counter)
	if len(windows) == 0 {
		return nil, skipNoSegment
	}
	context := model.Context{Metered: r.cfg.Context.Metered, Region: r.cfg.Context.Region, Device: r.cfg.Context.Device}
	segments := s.segments(windows, context, r.cfg.Quality)
	parts := (len(segments) + telemetry.MaxSegments - 1) / telemetry.MaxSegments
	list := make([]*telemetry.Report, parts)
	for i := range list {
		from, to := i*len(segments)/parts, (i+1)*len(segments)/parts
		context.Network = segments[from].Context.Network
		list[i] = &telemetry.Report{
			Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Origin: telemetry.OriginImport,
			Hour:    telemetry.HourOf(time.UnixMilli(int64(windows[from].from * 1000))),
			Context: context, Stage: model.StageEnded,
			Duration: telemetry.ScaleDuration.Bucket(windows[to-1].to - windows[from].from),
			ID:       r.id(s, i),
			Segments: segments[from:to:to],
		}
	}
	return list, ""
}

// id is random, or made from the key, the names of connection and stream, its numbers and the part of it that a report tells
// of. Times count from Config.Began, which a table does not know.
func (r *reader) id(s *stream, part int) (id telemetry.ReportID) {
	if r.cfg.Key == nil {
		rand.Read(id[:])
		return id
	}
	var began float64
	if r.summary.Format == formatTable {
		began = float64(r.began.Unix())
	}
	mac := hmac.New(sha256.New, r.cfg.Key)
	write := func(numbers ...uint64) {
		for _, n := range numbers {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], n)
			mac.Write(b[:])
		}
	}
	for _, name := range []string{s.connection.id, s.object.id} {
		write(uint64(len(name)))
		mac.Write([]byte(name))
	}
	write(uint64(part))
	for _, counter := range []string{s.packets(), s.bytes()} {
		line := s.series[counter]
		if line == nil {
			line = &series{}
		}
		write(uint64(len(line.times)))
		for i, t := range line.times {
			write(uint64(math.Round((t-began)*1000)), math.Float64bits(line.values[i]))
		}
	}
	copy(id[:], mac.Sum(nil))
	return id
}

// readCodec says why a stream's codec is not one of the vocabulary; empty when it is.
func (s *stream) readCodec(otherwise model.Codec, medium string) string {
	codec := s.objects[s.texts["codecId"]]
	if codec == nil || codec.texts["mimeType"] == "" {
		if s.codec = otherwise; otherwise == model.CodecUnknown {
			return skipNoCodec
		}
		return ""
	}
	switch codec.texts["mimeType"] {
	case "audio/opus":
		s.codec = model.CodecOpus
	case "audio/red":
		s.codec = model.CodecOpusRED
	case "audio/PCMU":
		s.codec = model.CodecPCMU
	default:
		return skipCodec
	}
	line := codec.texts["sdpFmtpLine"]
	s.fec, s.dtx = strings.Contains(line, flagFEC), strings.Contains(line, flagDTX)
	return ""
}

// last is the latest value of a counter, 0 when there is none.
func (o *object) last(metric string) float64 {
	if s := o.series[metric]; s != nil {
		return s.values[len(s.values)-1]
	}
	return 0
}
