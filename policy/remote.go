package policy

import (
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
)

// remote is the other direction of a leg: the streams the peer sends, and the way to tell it what became of them.
type remote struct {
	mu      sync.Mutex
	streams map[uint32]*arrivals
	latest  uint32 // SSRC of the stream bound last, the one feedback is about
	writer  interceptor.RTCPWriter
}

func (r *remote) add(ssrc uint32) *arrivals {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams == nil {
		r.streams = make(map[uint32]*arrivals)
	}
	stream := new(arrivals)
	r.streams[ssrc], r.latest = stream, ssrc
	return stream
}

func (r *remote) remove(ssrc uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, ssrc)
}

func (r *remote) setWriter(w interceptor.RTCPWriter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writer = w
}

func (r *remote) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.streams)
	r.writer = nil
}

// current is the stream feedback is about; false while there is none, or no way to send.
func (r *remote) current() (ssrc uint32, stream *arrivals, writer interceptor.RTCPWriter, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stream, ok = r.streams[r.latest]
	return r.latest, stream, r.writer, ok && r.writer != nil
}

// sendFeedback tells the peer what this side played of its stream, or at least what came.
func (f *Factory) sendFeedback() {
	defer f.recover("send feedback")
	ssrc, stream, writer, ok := f.remote.current()
	if !ok || f.inert.Load() {
		return
	}
	feedback := Feedback{SSRC: ssrc}
	if f.options.playout != nil {
		feedback.Playout = f.options.playout.Playout()
	} else {
		feedback.Playout = stream.totals()
	}
	f.meter.stamp(&feedback, f.now())
	if _, err := writer.Write([]rtcp.Packet{MarshalFeedback(feedback)}, make(interceptor.Attributes)); err != nil {
		f.counters.feedback.Add(1)
	}
}
