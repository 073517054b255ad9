package policy_test

import (
	"testing"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/policy"
)

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
