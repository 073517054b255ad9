package policy_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// described is the section of audio of a session description that takes RED with Opus.
func described(opus, red int) string {
	return fmt.Sprintf("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF %[1]d %[2]d\r\na=rtpmap:%[1]d opus/48000/2\r\na=fmtp:%[1]d minptime=10;useinbandfec=1\r\n"+
		"a=rtpmap:%[2]d red/48000/2\r\na=fmtp:%[2]d %[1]d/%[1]d\r\n", opus, red)
}

// depth is a rule that repeats so many frames; 0 is plain Opus.
type depth struct{ atomic.Uint32 }

func (d *depth) Decide(*model.Context, *model.Measurement) model.Action {
	a := model.DefaultAction()
	if d.Load() > 0 {
		a.Codec, a.REDDepth = model.CodecOpusRED, uint8(d.Load())
	}
	return a
}

// line is one stream from a sender to a receiver, through both their interceptors.
type line struct {
	t        testing.TB
	depth    depth
	sender   *policy.Factory
	receiver *policy.Factory
	out      interceptor.RTPWriter
	in       interceptor.RTPReader
	wire     []byte // the packet that travels
	buffer   [1500]byte
}

// The payload types of the sides: each names those it wants to get.
const (
	senderOpus, senderRED     = 109, 110
	receiverOpus, receiverRED = 111, 63
)

func newLine(t testing.TB) *line {
	t.Helper()
	l := &line{t: t}
	make1 := func(opts ...policy.Option) (*policy.Factory, interceptor.Interceptor) {
		f, err := policy.NewInterceptor(append(opts, policy.WithRED())...)
		if err != nil {
			t.Fatal(err)
		}
		i, err := f.NewInterceptor("")
		if err != nil {
			t.Fatal(err)
		}
		return f, i
	}
	var sender, receiver interceptor.Interceptor
	l.sender, sender = make1(policy.WithRule(&l.depth))
	l.receiver, receiver = make1()
	l.sender.Negotiated(described(senderOpus, senderRED), described(receiverOpus, receiverRED))
	l.receiver.Negotiated(described(receiverOpus, receiverRED), described(senderOpus, senderRED))
	l.out = sender.BindLocalStream(&interceptor.StreamInfo{SSRC: remoteSSRC, ClockRate: 48000, MimeType: "audio/opus"},
		interceptor.RTPWriterFunc(func(header *rtp.Header, payload []byte, _ interceptor.Attributes) (n int, err error) {
			l.wire, err = (&rtp.Packet{Header: *header, Payload: payload, PaddingSize: header.PaddingSize}).Marshal()
			return len(l.wire), err
		}))
	l.in = receiver.BindRemoteStream(&interceptor.StreamInfo{SSRC: remoteSSRC, ClockRate: 48000, MimeType: "audio/opus"},
		interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
			return copy(b, l.wire), a, nil
		}))
	return l
}

func (l *line) close() {
	l.t.Helper()
	for _, f := range []*policy.Factory{l.sender, l.receiver} {
		if err := f.Close(); err != nil {
			l.t.Error(err)
		}
		if counts := f.Counts(); counts.Panics != 0 || f.Err() != nil {
			l.t.Errorf("%+v, %v", counts, f.Err())
		}
	}
}

// repeat has the sender decide anew.
func (l *line) repeat(frames uint32) {
	l.depth.Store(frames)
	l.sender.NetworkChanged(model.Context{})
	synctest.Wait()
}

// sent is a packet that the client of the sender writes.
type sent struct {
	sequence uint16
	stamp    uint32
	payload  []byte
}

func (l *line) send(p sent) {
	l.t.Helper()
	l.write(&rtp.Header{Version: 2, SSRC: remoteSSRC, PayloadType: receiverOpus, SequenceNumber: p.sequence, Timestamp: p.stamp}, p.payload)
}

func (l *line) write(header *rtp.Header, payload []byte) {
	l.t.Helper()
	l.wire = nil
	if _, err := l.out.Write(header, payload, nil); err != nil || l.wire == nil {
		l.t.Fatalf("%v, packet %x", err, l.wire)
	}
}

// onWire is the packet that travels: its payload type, and its blocks when it is RED.
func (l *line) onWire() (payloadType uint8, blocks []codec.REDBlock) {
	l.t.Helper()
	var p rtp.Packet
	if err := p.Unmarshal(l.wire); err != nil {
		l.t.Fatal(err)
	}
	if p.PayloadType == receiverRED {
		var err error
		if blocks, err = codec.ParseRED(p.Payload, nil); err != nil {
			l.t.Fatal(err)
		}
	}
	return p.PayloadType, blocks
}

// read is the packet as the client of the receiver gets it, and what it repeated.
func (l *line) read() (rtp.Packet, []policy.RepeatedFrame) {
	l.t.Helper()
	n, a, err := l.in.Read(l.buffer[:], nil)
	if err != nil {
		l.t.Fatal(err)
	}
	var p rtp.Packet
	if err := p.Unmarshal(bytes.Clone(l.buffer[:n])); err != nil {
		l.t.Fatal(err)
	}
	return p, policy.Repeated(a)
}

func frame(n, size int) []byte { return bytes.Repeat([]byte{byte(n)}, size) }

// speech is packet n of a stream of 20 ms frames, whose numbers wrap at the fourth.
func speech(n, size int) sent {
	return sent{sequence: uint16(65533 + n), stamp: uint32(1<<32 - 3*960 + n*960), payload: frame(n, size)}
}
