package policy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
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

// TestREDRepeats: what a packet repeats, on the wire and for the client that gets it.
func TestREDRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		defer l.close()
		l.repeat(2)
		want := []int{0, 1, 2, 2, 2, 2}
		for n := range 12 {
			if n == 6 { // the next packet obeys
				l.repeat(1)
				want = append(want, 1, 1, 1)
			}
			if n == 9 {
				l.repeat(0)
				want = append(want, 0, 0, 0)
			}
			l.send(speech(n, 80+n))
			payloadType, blocks := l.onWire()
			if got := max(len(blocks)-1, 0); got != want[n] || (payloadType == receiverRED) != (want[n] > 0) {
				t.Errorf("packet %d of type %d repeats %d, want %d", n, payloadType, got, want[n])
			}
			p, repeated := l.read()
			if p.SequenceNumber != speech(n, 0).sequence || p.Timestamp != speech(n, 0).stamp || p.SSRC != remoteSSRC ||
				p.PayloadType != receiverOpus || !bytes.Equal(p.Payload, frame(n, 80+n)) {
				t.Errorf("packet %d came as %v", n, p)
			}
			var expected []policy.RepeatedFrame
			for older := n - want[n]; older < n; older++ {
				s := speech(older, 80+older)
				expected = append(expected, policy.RepeatedFrame{SequenceNumber: s.sequence, Timestamp: s.stamp, Payload: s.payload})
			}
			if diff := cmp.Diff(expected, slices.Clone(repeated)); diff != "" && len(expected)+len(repeated) > 0 {
				t.Errorf("packet %d repeats (-want +got):\n%s", n, diff)
			}
		}
	})
}

// TestREDLimits: what cannot be repeated, each after two ordinary packets under depth 2.
func TestREDLimits(t *testing.T) {
	for _, test := range []struct {
		name    string
		packets []sent
		want    int // how many frames the last one repeats
	}{
		{"nothing special", []sent{{3, 2880, frame(3, 80)}}, 2},
		{"a pause within the bounds", []sent{{3, 960 + 16383, frame(3, 80)}}, 2},
		{"a pause too long for the older", []sent{{3, 960 + 16384, frame(3, 80)}}, 1},
		{"a pause beyond them", []sent{{3, 1920 + 16384, frame(3, 80)}}, 0},
		{"a frame too long to repeat", []sent{{3, 2880, frame(3, 1024)}, {4, 3840, frame(4, 20)}}, 0},
		{"one that is not", []sent{{3, 2880, frame(3, 1023)}, {4, 3840, frame(4, 20)}}, 2},
		{"a full packet", []sent{{3, 2880, frame(3, 1200-5-80)}}, 1},
		{"and one byte more", []sent{{3, 2880, frame(3, 1200-5-79)}}, 0},
		{"a packet left out", []sent{{4, 3840, frame(4, 80)}}, 0},
		{"the numbers begin anew", []sent{{40000, 3840, frame(4, 80)}, {40001, 4800, frame(5, 80)}}, 1},
		{"an empty packet", []sent{{3, 2880, nil}, {4, 3840, frame(4, 80)}}, 0},
		{"time stands still", []sent{{3, 1920, frame(3, 80)}}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t)
				defer l.close()
				l.repeat(2)
				l.send(sent{1, 960, frame(1, 80)})
				l.send(sent{2, 1920, frame(2, 80)})
				for _, p := range test.packets {
					l.send(p)
				}
				_, blocks := l.onWire()
				if got := max(len(blocks)-1, 0); got != test.want {
					t.Errorf("repeats %d frames, want %d", got, test.want)
				}
				if len(l.wire) > 12+codec.MaxREDPayload {
					t.Errorf("%d bytes", len(l.wire))
				}
			})
		})
	}
}

// TestREDLeavesOthersAlone: packets sent again and other payload types on the stream pass as they are.
func TestREDLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		defer l.close()
		l.repeat(1)
		for n := range 5 {
			l.send(speech(n, 80))
		}
		for _, n := range []int{4, 2} {
			l.send(speech(n, 80))
			if payloadType, _ := l.onWire(); payloadType != receiverOpus {
				t.Errorf("packet %d sent again has type %d", n, payloadType)
			}
		}
		l.send(speech(5, 80))
		if _, blocks := l.onWire(); len(blocks) != 2 || !bytes.Equal(blocks[0].Payload, frame(4, 80)) {
			t.Errorf("after packets sent again: %v", blocks)
		}
		event := speech(6, 4)
		l.write(&rtp.Header{Version: 2, PayloadType: 101, SequenceNumber: event.sequence, Timestamp: event.stamp}, event.payload)
		if payloadType, _ := l.onWire(); payloadType != 101 {
			t.Errorf("an event has type %d", payloadType)
		}
		l.send(speech(7, 80)) // the packet before it is no frame of Opus, so none is repeated
		if payloadType, _ := l.onWire(); payloadType != receiverOpus {
			t.Errorf("after an event: type %d", payloadType)
		}
		l.send(speech(8, 80))
		if _, blocks := l.onWire(); len(blocks) != 2 {
			t.Errorf("then: %v", blocks)
		}
	})
}

// TestREDAgainstAModel sends random streams under changing depths through losses. Each packet that comes is the one that
// was sent, and repeats exactly the latest frames that may be.
func TestREDAgainstAModel(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			l := newLine(t)
			defer l.close()
			var all []sent
			next := sent{sequence: uint16(rng.Uint32()), stamp: rng.Uint32()}
			came, repeats := 0, 0
			for range 120 {
				if rng.IntN(5) == 0 {
					l.repeat(rng.Uint32N(5))
				}
				next.sequence++
				next.stamp += 960 * []uint32{1, 1, 1, 3, 6, 15, 18}[rng.IntN(7)]
				next.payload = frame(len(all), []int{1, 40, 80, 300, 700, 1023, 1024, 1200}[rng.IntN(8)])
				l.send(next)
				all = append(all, next)
				if rng.IntN(4) == 0 {
					continue // lost
				}
				came++
				p, repeated := l.read()
				if p.SequenceNumber != next.sequence || p.Timestamp != next.stamp || !bytes.Equal(p.Payload, next.payload) || p.PayloadType != receiverOpus {
					t.Fatalf("sent %d, came %v", next.sequence, p)
				}
				want, size := 0, 1+len(next.payload)
				for want < int(l.depth.Load()) && want+1 < len(all) {
					older := all[len(all)-2-want]
					if size += 4 + len(older.payload); size > 1200 || len(older.payload) > 1023 || next.stamp-older.stamp > 16383 {
						break
					}
					want++
				}
				if len(repeated) != want {
					t.Fatalf("repeats %d frames, want %d", len(repeated), want)
				}
				for i, r := range repeated {
					if older := all[len(all)-1-want+i]; r.SequenceNumber != older.sequence || r.Timestamp != older.stamp || !bytes.Equal(r.Payload, older.payload) {
						t.Fatalf("repeats %d of %d bytes, want %d of %d", r.SequenceNumber, len(r.Payload), older.sequence, len(older.payload))
					}
				}
				repeats += want
			}
			if came < 60 || repeats < 10 {
				t.Errorf("%d packets with %d repeats: the test shows little", came, repeats)
			}
		})
	}
}

// TestREDUnpacksWholePackets: header extensions, contributing sources, marker and padding, and a frame of another codec.
func TestREDUnpacksWholePackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		defer l.close()
		payload, err := codec.AppendRED(nil, []codec.REDBlock{
			{PayloadType: 13, Offset: 2880, Payload: []byte("noise")},
			{PayloadType: receiverOpus, Offset: 960, Payload: []byte("before")},
			{PayloadType: receiverOpus, Payload: []byte("now")},
		})
		if err != nil {
			t.Fatal(err)
		}
		header := rtp.Header{
			Version: 2, Marker: true, Padding: true, PaddingSize: 7, PayloadType: receiverRED, SequenceNumber: 9, Timestamp: 9000, CSRC: []uint32{1, 2},
		}
		if err := header.SetExtension(3, []byte{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if l.wire, err = (&rtp.Packet{Header: header, Payload: payload, PaddingSize: 7}).Marshal(); err != nil {
			t.Fatal(err)
		}
		p, repeated := l.read()
		if !p.Marker || p.PayloadType != receiverOpus || string(p.Payload) != "now" || p.PaddingSize != 0 ||
			!slices.Equal(p.CSRC, header.CSRC) || !bytes.Equal(p.GetExtension(3), []byte{1, 2, 3}) {
			t.Errorf("%v", p)
		}
		want := []policy.RepeatedFrame{{SequenceNumber: 8, Timestamp: 8040, Payload: []byte("before")}}
		if diff := cmp.Diff(want, slices.Clone(repeated)); diff != "" {
			t.Errorf("repeated (-want +got):\n%s", diff)
		}
		// What libwebrtc sends when it has nothing to repeat, and when it is told to repeat nine.
		plain := rtp.Header{Version: 2, PayloadType: receiverRED, SequenceNumber: 20, Timestamp: 90000}
		for repeats := range 10 {
			var blocks []codec.REDBlock
			for n := repeats; n >= 0; n-- {
				blocks = append(blocks, codec.REDBlock{PayloadType: receiverOpus, Offset: uint16(960 * n), Payload: frame(n, 30+n)})
			}
			if payload, err = codec.AppendRED(nil, blocks); err != nil {
				t.Fatal(err)
			}
			if l.wire, err = (&rtp.Packet{Header: plain, Payload: payload}).Marshal(); err != nil {
				t.Fatal(err)
			}
			p, repeated := l.read()
			if p.PayloadType != receiverOpus || !bytes.Equal(p.Payload, frame(0, 30)) || len(repeated) != repeats {
				t.Errorf("%v, repeating %d frames, want %d", p, len(repeated), repeats)
			}
			for i, r := range repeated {
				n := repeats - i
				if r.SequenceNumber != uint16(20-n) || r.Timestamp != uint32(90000-960*n) || !bytes.Equal(r.Payload, frame(n, 30+n)) {
					t.Errorf("frame %d of %d: %+v", i, repeats, r)
				}
			}
		}
		l.wire = rtpPacket(t, 10) // nothing of the packet before is left
		if _, repeated := l.read(); len(repeated) != 0 {
			t.Errorf("a plain packet repeats %v", repeated)
		}
	})
}

// TestREDIsCountedAsSent: what a segment sent includes what it repeated.
func TestREDIsCountedAsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rule depth
		rule.Store(2)
		w := newWire(t, policy.WithRule(&rule), policy.WithRED(), policy.WithInterval(4*time.Second), policy.WithEvents(func(e policy.Event) {
			if e.Kind != policy.EventSegment || e.Measurement.SentKbps != e.Measurement.SentKbps {
				return
			}
			// 50 packets a second of 80 bytes thrice, 9 of headers within, 50 of headers around.
			if got, want := e.Measurement.SentKbps, 50*8*(3*80+9+50)/1000.0; got < want-3 || got > want+1 { // a packet more or less
				t.Errorf("%v kbit/s, want %v", got, want)
			}
			if e.Measurement.LossBefore != 0.1 || e.Measurement.LossAfter != 0.05 { // as ever: of packets, and of what was played
				t.Errorf("%+v", e.Measurement)
			}
		}))
		w.factory.Negotiated(described(senderOpus, senderRED), described(receiverOpus, receiverRED))
		w.payloadType = receiverOpus
		w.talk(9, 5)
		w.close()
	})
}

// TestREDNeedsBothSides, and the word that they agree before the first packet.
func TestREDNeedsBothSides(t *testing.T) {
	both := described(111, 63)
	plain := strings.ReplaceAll(both, "red/48000", "telephone-event/48000")
	for _, test := range []struct {
		name          string
		local, remote string // empty: not told
		offered, want bool
	}{
		{"both", both, both, true, true},
		{"not the peer", both, plain, true, false},
		{"not this side", plain, both, true, false},
		{"not told", "", "", true, false},
		{"not offered", both, both, false, false},
		{"without parameters", both, strings.ReplaceAll(both, "a=fmtp:63", "a=x:63"), true, false},
		{"of another codec", both, strings.ReplaceAll(both, "111/111", "9/9"), true, false},
		{"of two codecs", both, strings.ReplaceAll(both, "111/111", "111/9"), true, false},
		{"mono", both, strings.ReplaceAll(both, "red/48000/2", "red/8000"), true, false},
		{"not listed", both, strings.ReplaceAll(both, "SAVPF 111 63", "SAVPF 111"), true, false},
		{"refused section", both, strings.ReplaceAll(both, "m=audio 9", "m=audio 0"), true, false},
		{"video", both, strings.ReplaceAll(both, "m=audio", "m=video"), true, false},
		{"in the second section", both, "v=0\nm=audio 9 X 0\nm=video 9 X 96\n" + strings.ToUpper(both[5:6]) + both[6:], true, false},
		{"after video", both, "v=0\nm=video 9 X 111 63\na=rtpmap:63 VP8/90000\n" + both[5:], true, true},
		{"three blocks, capital letters", both, strings.ReplaceAll(strings.ReplaceAll(both, "111/111", "111/111/111"), "opus", "OPUS"), true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var decisions []policy.Event
				var rule depth
				rule.Store(1)
				options := []policy.Option{policy.WithRule(&rule), policy.WithEvents(func(e policy.Event) {
					if e.Kind == policy.EventDecision {
						decisions = append(decisions, e)
					}
				})}
				if test.offered {
					options = append(options, policy.WithRED())
				}
				w := newWire(t, options...)
				w.payloadType = 111
				if test.local != "" {
					w.factory.Negotiated(test.local, test.remote)
				}
				time.Sleep(time.Second)
				w.talk(3, 0)
				if got := w.factory.Action().Codec == model.CodecOpusRED; got != test.want || (w.reds > 0) != test.want {
					t.Errorf("%v, %d packets of %d are RED", w.factory.Action(), w.reds, w.sequence)
				}
				if again := test.offered && !test.want; (len(decisions) == 2) != again || decisions[len(decisions)-1].Cause != model.CauseStart {
					t.Errorf("%d decisions: %+v", len(decisions), decisions)
				}
				w.close()
			})
		})
	}
}

// redDocument is a policy whose default is RED and which explores three actions.
func redDocument() policy.Document {
	d := staticDocument()
	plain := model.DefaultAction()
	red, slow := plain, plain
	red.Codec, red.REDDepth, slow.BitrateKbps = model.CodecOpusRED, 1, 16
	d.Catalogue = model.Catalogue{red, plain, slow}
	d.Arms[0].Default = map[model.NetworkType]int{model.NetworkUnknown: 0}
	d.Arms[0].Exploration = policy.Exploration{Share: map[model.NetworkType]float64{model.NetworkUnknown: 0.3}}
	return d
}

// TestREDPropensities: a decision is made among the actions that there are. Where RED turns out not to be one before media
// flows the draw is made anew whatever it was; where it goes away later, a decision for it ends at once and others stand.
func TestREDPropensities(t *testing.T) {
	d := redDocument()
	p, all := parse(t, d, nil), d.Catalogue
	both := described(111, 63)
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{t: t}
			var source policy.Holder
			source.Store(p)
			w := newWire(t, policy.WithSource(&source), policy.WithRED(), policy.WithRecorder(r), policy.WithExplorationSeed(seed), policy.WithInterval(3*time.Second))
			w.payloadType = 111
			w.factory.Negotiated(both, both)
			w.talk(4, 0)
			inForce := w.factory.Action()
			w.factory.Negotiated(both, "v=0\r\n") // the peer is another client now
			synctest.Wait()
			reds := w.reds
			w.talk(4, 0)
			w.factory.Negotiated(both, both)
			w.talk(4, 0)
			w.close()
			if inForce.Codec != model.CodecOpusRED && reds == 0 {
				return // both draws explored other actions
			}
			refused := 0
			for i, s := range r.all() {
				without := map[model.Action]uint32{all[0]: 0, all[1]: 850_000, all[2]: 150_000}[s.Action]
				with := map[model.Action]uint32{all[0]: 800_000, all[1]: 100_000, all[2]: 100_000}[s.Action]
				if s.Propensity == without && without != with {
					refused++
				} else if s.Propensity != with {
					t.Errorf("segment %d: %v with propensity %d", i, s.Action, s.Propensity)
				}
				if i > 0 && s.Cause == model.CauseNetwork && (inForce.Codec != model.CodecOpusRED || s.Propensity != without) {
					t.Errorf("segment %d: cause %v, %v with propensity %d", i, s.Cause, s.Action, s.Propensity)
				}
			}
			if refused == 0 {
				t.Error("no segment was decided without RED")
			}
		})
	}
}

// TestREDPacketsDoNotAllocate, in either direction.
func TestREDPacketsDoNotAllocate(t *testing.T) {
	write, read := redPath(t)
	if n := testing.AllocsPerRun(1000, write); n != 0 {
		t.Errorf("%v allocations a packet sent", n)
	}
	if n := testing.AllocsPerRun(1000, read); n != 0 {
		t.Errorf("%v allocations a packet received", n)
	}
}

// redPath is one stream in each direction whose packets repeat two frames.
func redPath(t testing.TB) (write, read func()) {
	t.Helper()
	var rule depth
	rule.Store(2)
	f, err := policy.NewInterceptor(policy.WithRED(), policy.WithRule(&rule))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	f.Negotiated(described(111, 63), described(111, 63))
	i, err := f.NewInterceptor("")
	if err != nil {
		t.Fatal(err)
	}
	payload, err := codec.AppendRED(nil, []codec.REDBlock{
		{PayloadType: 111, Offset: 1920, Payload: frame(1, 80)},
		{PayloadType: 111, Offset: 960, Payload: frame(2, 80)},
		{PayloadType: 111, Payload: frame(3, 80)},
	})
	if err != nil {
		t.Fatal(err)
	}
	packet, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: remoteSSRC, PayloadType: 63}, Payload: payload}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	network := &endpoint{packet: packet}
	out := i.BindLocalStream(&interceptor.StreamInfo{SSRC: localSSRC, ClockRate: 48000, MimeType: "audio/opus"}, network)
	in := i.BindRemoteStream(&interceptor.StreamInfo{SSRC: remoteSSRC, ClockRate: 48000, MimeType: "audio/opus"}, network)
	header, speech, buffer := &rtp.Header{Version: 2, SSRC: localSSRC}, frame(4, 80), make([]byte, 1500)
	sequence := uint16(0)
	write = func() {
		header.SequenceNumber++
		header.Timestamp += 960
		header.PayloadType = 111 // as pion sets it for each packet
		if n, err := out.Write(header, speech, nil); err != nil || n < 80 {
			t.Fatal(n, err)
		}
	}
	for range 3 {
		write()
	}
	if header.PayloadType != 63 {
		t.Fatal("packets are not RED")
	}
	attributes := interceptor.Attributes{}
	read = func() {
		sequence++
		network.packet[2], network.packet[3] = byte(sequence>>8), byte(sequence)
		_, a, err := in.Read(buffer, attributes)
		if repeated := policy.Repeated(a); err != nil || len(repeated) != 2 || repeated[1].SequenceNumber != sequence-1 {
			t.Fatal(repeated, err)
		}
	}
	return write, read
}

// BenchmarkRED times a packet that repeats two frames, sent and received.
func BenchmarkRED(b *testing.B) {
	write, read := redPath(b)
	for name, run := range map[string]func(){"send": write, "receive": read} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

// FuzzREDPackets: any packet of the peer goes through. What is not RED passes as it is, and what is repeats earlier packets.
func FuzzREDPackets(f *testing.F) {
	payload, err := codec.AppendRED(nil, []codec.REDBlock{{PayloadType: 111, Offset: 960, Payload: frame(1, 8)}, {PayloadType: 111, Payload: frame(2, 8)}})
	if err != nil {
		f.Fatal(err)
	}
	seed, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 63, SequenceNumber: 1}, Payload: payload}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	leg, err := policy.NewInterceptor(policy.WithRED())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := leg.Close(); err != nil {
			f.Error(err)
		}
	})
	leg.Negotiated(described(111, 63), described(111, 63))
	i, err := leg.NewInterceptor("")
	if err != nil {
		f.Fatal(err)
	}
	network := new(endpoint)
	in := i.BindRemoteStream(&interceptor.StreamInfo{SSRC: remoteSSRC, ClockRate: 48000, MimeType: "audio/opus"}, network)
	read := func(packet []byte) ([]byte, []policy.RepeatedFrame) {
		buffer := make([]byte, len(packet)+1)
		network.packet = packet
		n, a, err := in.Read(buffer, nil)
		if err != nil {
			f.Fatal(err)
		}
		return buffer[:n], policy.Repeated(a)
	}
	if got, repeated := read(seed); len(got) != 12+8 || len(repeated) != 1 {
		f.Fatalf("the seed gives %x and %v", got, repeated)
	}
	f.Add(seed)
	for cut := range len(seed) {
		f.Add(seed[:cut])
	}
	for _, first := range []byte{0xa0, 0x90, 0x8f, 0xbf, 0x00} { // padding, extension, contributing sources, all of them, another version
		f.Add(append([]byte{first}, seed[1:]...))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		bad := leg.Counts().BadRED
		got, repeated := read(packet)
		if counts := leg.Counts(); counts.Panics > 0 || counts.BadRED > bad && !bytes.Equal(got, packet) {
			t.Fatalf("%+v, %x became %x: %v", counts, packet, got, leg.Err())
		}
		if len(got) > len(packet) {
			t.Errorf("%d bytes of %d", len(got), len(packet))
		}
		for _, r := range repeated {
			sequence := uint16(packet[2])<<8 | uint16(packet[3])
			if behind := sequence - r.SequenceNumber; behind < 1 || behind > codec.MaxREDBlocks-1 || len(r.Payload) == 0 {
				t.Errorf("packet %d repeats %d, %d bytes", sequence, r.SequenceNumber, len(r.Payload))
			}
		}
	})
}
