package policy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// sender counts what this side sends; the only work done for each outgoing packet.
type sender struct {
	packets, bytes atomic.Uint64 // bytes: payload and whatever the RTP header holds beyond its first 12 bytes
	began          chan struct{} // gets a token at the first packet
}

func (s *sender) count(header *rtp.Header, payload []byte) {
	if header != nil {
		s.countBytes(len(payload) + header.MarshalSize() - 12)
	}
}

func (s *sender) countBytes(bytes int) {
	s.bytes.Add(uint64(bytes))
	if s.packets.Add(1) == 1 {
		select {
		case s.began <- struct{}{}:
		default:
		}
	}
}

// meter measures the segments of one leg. Feedback comes in on the goroutines that read RTCP; the leg's own goroutine
// begins and ends segments.
type meter struct {
	sent  sender
	heard atomic.Uint64 // RTP packets of the peer, a sign of life

	mu        sync.Mutex
	streams   map[uint32]*localStream // the audio streams we send, by SSRC
	reports   sentStamps              // of our sender reports
	stamps    sentStamps              // of our feedback
	heardOf   peerStamp
	mediaFrom time.Time // when the first packet was sent
	roundTrip time.Duration
	lag       time.Duration // from sending audio to hearing of it; negative when not known
	fedBack   time.Time     // the last time
	asked     time.Time     // when the first stamp was sent by the path in use; zero before that

	segment segmentMeter

	path bandwidth // of the leg's goroutine only
}

type localStream struct {
	playout   playoutTrack
	reception receptionTrack
	last      Feedback
}

// peerStamp is the peer's last feedback stamp and when it came.
type peerStamp struct {
	sent uint32
	at   time.Time
}

// segmentMeter is what a meter holds of one segment.
type segmentMeter struct {
	from           time.Time
	settled        time.Time // zero when the action did not change
	packets, bytes uint64    // the counters when it began
	heard          uint64
	playout        tally
	reception      tally
	roundTrips     time.Duration // sum
	roundTripCount int
}

func newMeter() *meter {
	return &meter{
		sent: sender{began: make(chan struct{}, 1)}, streams: make(map[uint32]*localStream), roundTrip: -1, lag: -1,
	}
}

func (m *meter) addStream(ssrc, clockRate uint32, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if clockRate == 0 {
		clockRate = 48000
	}
	m.streams[ssrc] = &localStream{
		playout:   playoutTrack{mark: mark{at: now, sent: m.sent.packets.Load()}},
		reception: receptionTrack{clockRate: clockRate},
	}
}

func (m *meter) removeStream(ssrc uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, ssrc)
}

func (m *meter) senderReport(report *rtcp.SenderReport, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ours := m.streams[report.SSRC]; ours {
		m.reports.add(uint32(report.NTPTime>>16), now)
	}
}

func (m *meter) receptionReport(r rtcp.ReceptionReport, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stream, ours := m.streams[r.SSRC]
	if !ours || stream.reception.started && stream.reception.last == r {
		return
	}
	m.fedBack = now
	if i, ok := stream.reception.next(r, now, m.sent.packets.Load()); ok {
		m.segment.reception.book(i)
	}
	m.bookRoundTrip(m.reports.roundTrip(r.LastSenderReport, r.Delay, now))
}

func (m *meter) feedback(f Feedback, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stream, ours := m.streams[f.SSRC]
	if !ours || stream.last == f {
		return // a copy: a packet may reach several readers
	}
	stream.last = f
	m.fedBack, m.heardOf = now, peerStamp{sent: f.Sent, at: now}
	if i, ok := stream.playout.next(f.Playout, now, m.sent.packets.Load()); ok {
		m.segment.playout.book(i)
	}
	m.bookRoundTrip(m.stamps.roundTrip(f.LastSent, f.Held, now))
	if f.Playout.JitterBufferDelay >= 0 && m.roundTrip >= 0 {
		m.lag = m.roundTrip + f.Playout.JitterBufferDelay
	}
}

// bookRoundTrip takes one measured round trip and when it set out. It belongs to the action under which it did.
func (m *meter) bookRoundTrip(roundTrip time.Duration, sent time.Time, ok bool) {
	if !ok {
		return
	}
	m.roundTrip = roundTrip
	if m.segment.settled.IsZero() || !sent.Before(m.segment.from) {
		m.segment.roundTrips += roundTrip
		m.segment.roundTripCount++
	}
}

// stamp fills in the round trip fields of feedback that is about to be sent.
func (m *meter) stamp(f *Feedback, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f.Sent = ntpMiddle(now)
	m.stamps.add(f.Sent, now)
	if m.asked.IsZero() {
		m.asked = now
	}
	if !m.heardOf.at.IsZero() {
		f.LastSent, f.Held = m.heardOf.sent, uint32(now.Sub(m.heardOf.at)*(1<<16)/time.Second)
	}
}

// Bounds of the settle time. Without a measurement a second covers a far mobile network: a round trip of 600 ms and
// 300 ms of jitter buffer.
const (
	unknownLag = time.Second
	minLag     = 200 * time.Millisecond
	maxLag     = 3 * time.Second
)

// begin starts a segment; changed tells that it runs under another action than the one before.
func (m *meter) begin(now time.Time, changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.segment = segmentMeter{
		from: now, packets: m.sent.packets.Load(), bytes: m.sent.bytes.Load(), heard: m.heard.Load(),
	}
	if changed && !m.mediaFrom.IsZero() {
		lag := unknownLag
		if m.lag >= 0 {
			lag = max(minLag, min(m.lag, maxLag))
		}
		m.segment.settled = now.Add(lag)
		m.segment.playout.settled = m.segment.settled
		m.segment.reception.settled = m.segment.settled
	}
}

// beginMedia moves the start of the first segment to the first packet, so that connecting does not count.
func (m *meter) beginMedia(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mediaFrom = now
	m.segment.from = now
	for _, stream := range m.streams {
		stream.playout.mark.at = now
	}
}

// age is how long the segment has lasted since its first packet could be sent, and how many packets were.
func (m *meter) age(now time.Time) (age time.Duration, packets uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mediaFrom.IsZero() {
		return 0, 0
	}
	return now.Sub(m.segment.from), m.sent.packets.Load() - m.segment.packets
}

// forgetPath starts the estimates of the path over, after a change of network or transport.
func (m *meter) forgetPath() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.path.forget()
	m.roundTrip, m.lag, m.asked = -1, -1, time.Time{}
}

// leastRoundTrip is what is known of a round trip that was not measured yet: it takes at least as long as the first
// stamp has gone without an answer, less the time a peer may hold it. Negative when that tells nothing. A call on an
// overloaded path ends its first segment like this, and must not count as one without delay.
func (m *meter) leastRoundTrip(now time.Time) time.Duration {
	if m.asked.IsZero() {
		return -1
	}
	if least := now.Sub(m.asked) - feedbackInterval; least > 0 {
		return least
	}
	return -1
}

func (m *meter) removeStreams() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.streams)
}
