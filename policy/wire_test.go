package policy_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const (
	localSSRC  = 0x1111
	remoteSSRC = 0x2222
)

// wire holds the ends of a leg's interceptor as a peer connection would.
type wire struct {
	t       testing.TB
	factory *policy.Factory
	bound   interceptor.Interceptor

	rtpOut  interceptor.RTPWriter
	rtpIn   interceptor.RTPReader
	rtcpOut interceptor.RTCPWriter
	rtcpIn  interceptor.RTCPReader

	incoming []byte // what the next inner Read gives
	sequence uint16
	totals   model.Playout
	header   rtp.Header
	buffer   [1500]byte

	payloadType uint8 // of speech
	reds        int   // packets that went out as another type

	mu      sync.Mutex
	written []rtcp.Packet // what reached the network
}

var errNetwork = errors.New("network is down")

func newWire(t testing.TB, opts ...policy.Option) *wire {
	t.Helper()
	f, err := policy.NewInterceptor(opts...)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, factory: f, totals: model.Playout{JitterBufferDelay: 40 * time.Millisecond}}
	w.bind()
	return w
}

func (w *wire) bind() {
	w.t.Helper()
	i, err := w.factory.NewInterceptor("leg")
	if err != nil {
		w.t.Fatal(err)
	}
	w.bound = i
	w.rtcpOut = i.BindRTCPWriter(interceptor.RTCPWriterFunc(func(packets []rtcp.Packet, _ interceptor.Attributes) (int, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.written = append(w.written, packets...)
		return len(packets), nil
	}))
	read := func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		if w.incoming == nil {
			return 0, a, errNetwork
		}
		return copy(b, w.incoming), a, nil
	}
	w.rtcpIn = i.BindRTCPReader(interceptor.RTCPReaderFunc(read))
	w.rtpOut = i.BindLocalStream(&interceptor.StreamInfo{SSRC: localSSRC, ClockRate: 48000, MimeType: "audio/opus"},
		interceptor.RTPWriterFunc(func(header *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
			if header != nil && header.PayloadType != w.payloadType {
				w.reds++
			}
			return len(payload), nil
		}))
	w.rtpIn = i.BindRemoteStream(&interceptor.StreamInfo{SSRC: remoteSSRC, ClockRate: 48000, MimeType: "audio/opus"},
		interceptor.RTPReaderFunc(read))
}

// send writes one packet of speech.
func (w *wire) send() {
	w.header = rtp.Header{Version: 2, SSRC: localSSRC, PayloadType: w.payloadType, SequenceNumber: w.sequence, Timestamp: 960 * uint32(w.sequence)}
	w.sequence++
	if n, err := w.rtpOut.Write(&w.header, w.buffer[:80], nil); n < 80 || err != nil {
		w.t.Errorf("write: %d, %v", n, err)
	}
}

// readRTCP has a batch arrive from the peer.
func (w *wire) readRTCP(packets ...rtcp.Packet) {
	w.t.Helper()
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		w.t.Fatal(err)
	}
	w.incoming = raw
	for _, a := range []interceptor.Attributes{nil, {}} { // twice: two readers may see the same packet
		n, _, err := w.rtcpIn.Read(w.buffer[:], a)
		if n != len(raw) || err != nil {
			w.t.Errorf("read: %d of %d, %v", n, len(raw), err)
		}
	}
}

// talk sends 20 ms packets for some seconds, while the peer reports once a second that of 50 packets lost ones were
// missing, and half of those made up.
func (w *wire) talk(seconds int, lost uint32) {
	w.t.Helper()
	for range seconds {
		for range 50 {
			w.send()
			time.Sleep(20 * time.Millisecond)
		}
		w.totals.Expected += 50
		w.totals.Received += 50 - lost
		w.totals.LossRuns += lost
		w.totals.TotalSamples += 48000
		w.totals.ConcealedSamples += uint64(lost) * 480
		w.readRTCP(policy.MarshalFeedback(policy.Feedback{SSRC: localSSRC, Playout: w.totals}))
	}
}

// feedback is what was sent to the peer so far.
func (w *wire) feedback() []policy.Feedback {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []policy.Feedback
	for _, packet := range w.written {
		app, ok := packet.(*rtcp.ApplicationDefined)
		if !ok {
			continue
		}
		f, err := policy.ParseFeedback(app)
		if err != nil || f.SSRC != remoteSSRC {
			w.t.Errorf("feedback about %x: %v", f.SSRC, err)
		}
		all = append(all, f)
	}
	return all
}

func (w *wire) close() {
	w.t.Helper()
	if err := errors.Join(w.bound.Close(), w.factory.Close(), w.factory.Close()); err != nil {
		w.t.Error(err)
	}
}

// encoder notes what is applied, and refuses or panics when told to.
type encoder struct {
	applied []model.Action
	refuse  func(model.Action) error
}

func (e *encoder) Apply(a model.Action) error {
	e.applied = append(e.applied, a)
	if e.refuse != nil {
		return e.refuse(a)
	}
	return nil
}

// recorder keeps segments, and checks that they could be reported.
type recorder struct {
	t        testing.TB
	mu       sync.Mutex
	segments []model.Segment
}

func (r *recorder) Record(s model.Segment) {
	if err := s.Validate(); err != nil {
		r.t.Errorf("segment %+v: %v", s, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.segments = append(r.segments, s)
}

func (r *recorder) all() []model.Segment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]model.Segment(nil), r.segments...)
}

// quality falls linearly with loss.
type quality struct{}

func (quality) MOS(in model.QualityInput) float64 { return 4.5 - 3.5*in.Loss }

// switcher notes what it is asked.
type switcher struct {
	asked  []policy.TransportLock
	answer func(policy.TransportLock) error
}

func (s *switcher) SwitchTransport(t model.Transport, site model.Site) error {
	lock := policy.TransportLock{Transport: t, Site: site}
	s.asked = append(s.asked, lock)
	if s.answer != nil {
		return s.answer(lock)
	}
	return nil
}
