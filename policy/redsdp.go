package policy

import (
	"strconv"
	"strings"
)

// redFormat is how one side takes RED: the payload type of the packets, and of the frames in them.
type redFormat struct{ packed, primary uint8 }

// redFormats is what was negotiated. Each side names the payload types it wants to get (RFC 3264, section 5.1).
type redFormats struct{ send, receive redFormat }

// describedRED finds in a session description how its side takes RED with Opus: in the first section of audio that is in
// use, a payload type "red/48000/2" whose parameters name that of Opus for each block, "111/111" (RFC 2198, section 5).
// It is false when there is none.
func describedRED(sdp string) (redFormat, bool) {
	var s section
	for line := range strings.Lines(sdp) {
		line = strings.TrimSpace(line)
		if media, ok := strings.CutPrefix(line, "m="); ok {
			if format, ok := s.red(); ok {
				return format, true
			}
			s = newSection(media)
			continue
		}
		if s.listed == nil {
			continue
		}
		if value, ok := strings.CutPrefix(line, "a=rtpmap:"); ok {
			s.rtpmap(value)
		} else if value, ok := strings.CutPrefix(line, "a=fmtp:"); ok {
			s.fmtp(value)
		}
	}
	return s.red()
}

// section is what a section of audio says of its payload types.
type section struct {
	listed          []uint8 // in order of preference; nil when the section is of no use
	opus, redundant [128]bool
	blocks          [128]uint8 // of each payload type with RED's parameters, the one of its blocks
	parameters      [128]bool
}

// newSection reads what follows "m=": "audio 9 UDP/TLS/RTP/SAVPF 111 63".
func newSection(media string) (s section) {
	fields := strings.Fields(media)
	if len(fields) < 4 || fields[0] != "audio" || fields[1] == "0" {
		return s
	}
	for _, field := range fields[3:] {
		if payloadType, ok := parsePayloadType(field); ok {
			s.listed = append(s.listed, payloadType)
		}
	}
	return s
}

// rtpmap reads "111 opus/48000/2".
func (s *section) rtpmap(value string) {
	number, name, _ := strings.Cut(value, " ")
	payloadType, ok := parsePayloadType(number)
	if !ok {
		return
	}
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "opus/48000/2":
		s.opus[payloadType] = true
	case "red/48000/2":
		s.redundant[payloadType] = true
	}
}

// fmtp reads "63 111/111".
func (s *section) fmtp(value string) {
	number, parameters, _ := strings.Cut(value, " ")
	payloadType, ok := parsePayloadType(number)
	if !ok {
		return
	}
	for i, field := range strings.Split(strings.TrimSpace(parameters), "/") {
		block, ok := parsePayloadType(field)
		if !ok || i > 0 && block != s.blocks[payloadType] {
			s.parameters[payloadType] = false
			return
		}
		s.blocks[payloadType], s.parameters[payloadType] = block, true
	}
}

func (s *section) red() (redFormat, bool) {
	for _, packed := range s.listed {
		if primary := s.blocks[packed]; s.redundant[packed] && s.parameters[packed] && s.opus[primary] {
			return redFormat{packed: packed, primary: primary}, true
		}
	}
	return redFormat{}, false
}

func parsePayloadType(text string) (uint8, bool) {
	n, err := strconv.ParseUint(text, 10, 7)
	return uint8(n), err == nil
}
