package policy_test

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/policy"
)

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

// TestREDLeavesReceiverReportsRight: pion's reports, made between the interceptor and the client, tell the packets that
// came, whatever their payload types, and nothing of what was repeated.
func TestREDLeavesReceiverReportsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		factory, err := report.NewReceiverInterceptor()
		if err != nil {
			t.Fatal(err)
		}
		reports, err := factory.NewInterceptor("")
		if err != nil {
			t.Fatal(err)
		}
		var last rtcp.ReceptionReport
		reports.BindRTCPWriter(interceptor.RTCPWriterFunc(func(packets []rtcp.Packet, _ interceptor.Attributes) (int, error) {
			for _, p := range packets {
				if r, ok := p.(*rtcp.ReceiverReport); ok && len(r.Reports) > 0 {
					last = r.Reports[0]
				}
			}
			return 0, nil
		}))
		l.in = reports.BindRemoteStream(&interceptor.StreamInfo{SSRC: remoteSSRC, ClockRate: 48000, MimeType: "audio/opus"}, l.in)
		lost, types := uint32(0), make(map[uint8]int)
		for n := range 150 {
			if n%20 == 0 {
				l.repeat(uint32(n / 20 % 3))
			}
			l.send(speech(10+n, 80))
			if payloadType, _ := l.onWire(); n%5 == 4 && n < 149 {
				lost++
			} else {
				types[payloadType]++
				l.read()
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if err := reports.Close(); err != nil {
			t.Error(err)
		}
		l.close()
		if types[receiverRED] < 50 || types[receiverOpus] < 30 {
			t.Errorf("payload types %v: the test shows little", types)
		}
		if last.TotalLost != lost || uint16(last.LastSequenceNumber) != speech(10+149, 0).sequence || last.Jitter > 48 {
			t.Errorf("%+v, want %d lost", last, lost)
		}
	})
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
