package policy

import (
	"strings"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// legInterceptor is the part of a Factory that sees packets. What it does for each is counting; everything that takes
// time or may fail happens on the goroutines of the Factory.
type legInterceptor struct {
	interceptor.NoOp
	factory *Factory
}

// BindLocalStream counts outgoing packets, and packs redundant audio into them. Streams other than audio pass untouched.
func (i *legInterceptor) BindLocalStream(info *interceptor.StreamInfo, writer interceptor.RTPWriter) interceptor.RTPWriter {
	if !audio(info) {
		return writer
	}
	f, stream := i.factory, new(redSender)
	f.meter.addStream(info.SSRC, info.ClockRate, f.now())
	return interceptor.RTPWriterFunc(func(header *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		return f.write(stream, writer, header, payload, a)
	})
}

// UnbindLocalStream forgets a stream.
func (i *legInterceptor) UnbindLocalStream(info *interceptor.StreamInfo) {
	i.factory.meter.removeStream(info.SSRC)
}

// BindRemoteStream counts incoming packets, and unpacks those with redundant audio. Streams other than audio pass untouched.
func (i *legInterceptor) BindRemoteStream(info *interceptor.StreamInfo, reader interceptor.RTPReader) interceptor.RTPReader {
	if !audio(info) {
		return reader
	}
	m, stream, red := i.factory.meter, i.factory.remote.add(info.SSRC), new(redReceiver)
	if i.factory.options.playout != nil {
		stream = nil // the source knows more than the sequence numbers
	}
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := reader.Read(b, a)
		if err == nil && n <= len(b) {
			m.heard.Add(1)
			if stream != nil {
				stream.observe(b[:n])
			}
			n, a = i.factory.unpack(red, b, n, a)
		}
		return n, a, err
	})
}

// UnbindRemoteStream forgets a stream.
func (i *legInterceptor) UnbindRemoteStream(info *interceptor.StreamInfo) {
	i.factory.remote.remove(info.SSRC)
}

// BindRTCPReader reads receiver reports and feedback.
func (i *legInterceptor) BindRTCPReader(reader interceptor.RTCPReader) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := reader.Read(b, a)
		if err == nil && n <= len(b) {
			i.factory.readRTCP(b[:n], a)
		}
		return n, a, err
	})
}

// BindRTCPWriter notes when sender reports go out, for round trips, and keeps the writer for feedback. It sees the
// reports of interceptors that were added to the registry after this one; for the others see sentStamps.
func (i *legInterceptor) BindRTCPWriter(writer interceptor.RTCPWriter) interceptor.RTCPWriter {
	i.factory.remote.setWriter(writer)
	return interceptor.RTCPWriterFunc(func(packets []rtcp.Packet, a interceptor.Attributes) (int, error) {
		i.factory.noteRTCP(packets)
		return writer.Write(packets, a)
	})
}

// Close forgets every stream of the peer connection. The leg goes on until Factory.Close: a client may connect anew.
func (i *legInterceptor) Close() error {
	i.factory.meter.removeStreams()
	i.factory.remote.reset()
	i.factory.bound.Store(false)
	return nil
}

// audio also takes streams whose type is not known, as in tests and simple clients.
func audio(info *interceptor.StreamInfo) bool {
	return info.MimeType == "" || len(info.MimeType) >= 6 && strings.EqualFold(info.MimeType[:6], "audio/")
}

// readRTCP takes what is of use from a batch. It keeps nothing of b, and bad packets only count.
func (f *Factory) readRTCP(b []byte, a interceptor.Attributes) {
	if f.inert.Load() {
		return
	}
	defer f.recover("read RTCP")
	packets, err := a.GetRTCPPackets(b)
	if err != nil {
		f.counters.badRTCP.Add(1)
		return
	}
	now := f.now()
	for _, packet := range packets {
		switch p := packet.(type) {
		case *rtcp.ReceiverReport:
			for _, r := range p.Reports {
				f.meter.receptionReport(r, now)
			}
		case *rtcp.SenderReport:
			for _, r := range p.Reports {
				f.meter.receptionReport(r, now)
			}
		case *rtcp.ApplicationDefined:
			if p.Name != FeedbackName || p.SubType != FeedbackSubtype {
				continue
			}
			feedback, err := ParseFeedback(p)
			if err != nil {
				f.counters.badRTCP.Add(1)
				continue
			}
			f.meter.feedback(feedback, now)
		}
	}
}

// noteRTCP looks for sender reports among outgoing packets.
func (f *Factory) noteRTCP(packets []rtcp.Packet) {
	if f.inert.Load() {
		return
	}
	defer f.recover("write RTCP")
	for _, packet := range packets {
		if report, ok := packet.(*rtcp.SenderReport); ok && report != nil {
			f.meter.senderReport(report, f.now())
		}
	}
}
