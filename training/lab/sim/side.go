package sim

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// side is one party of a call.
type side struct {
	driver   *policy.Stepped
	frames   *Frames
	wire     wire
	out      path          // to the other side
	receive  func(*packet) // takes what the other side sends
	buffer   *playout.Buffer
	reported []told // what this side has told, by index

	table    *table
	coded    model.Action // the one of the table
	tick     int          // of the speech, that is coded next
	frame    int          // of the table, that the tick is in
	begun    int          // ticks of that frame coded
	sequence uint16
	stamp    uint32
	latest   [model.MaxREDDepth]sentFrame // sent before, the latest first
	phase    time.Duration                // of its clock within a tick
	clocks   [clocks]time.Duration        // when what comes with each is sent next
	created  time.Duration                // when the peer connection was: where it is the callee's, once the offer had come
	reports  [3]kind                      // of RTCP, in the order they are sent in
	lastCame time.Duration                // when anything came last
	recent   reception
	watch    Watcher
	listens  bool // the watcher is told what this side gets, instead of what it sends
	packets  int  // sent
	meter    *meter

	due  time.Duration // of the next decision
	dead bool
}

// told is what RTCP tells the other side about once a second.
type told struct {
	feedback policy.Feedback
	report   rtcp.ReceptionReport
}

// The sizes of packets of RTCP, each sent on its own as pion does, and of STUN (a binding request as ICE makes it, and its
// answer): on the wire these carry an SRTCP index and tag (14 bytes) or nothing, where media have an RTP header and an SRTP
// tag (22, counted by model.Transport.OverheadBytes).
const (
	feedbackBytes     = 60 + 14 - 22
	reportBytes       = 32 + 14 - 22
	senderReportBytes = 28 + 14 - 22
	consentBytes      = 112 - 22
	consentedBytes    = 64 - 22
)

// speak codes the tick that begins now, and sends the frame that begins with it. A frame is sent when its audio is
// complete.
func (s *side) speak(now time.Duration, epoch time.Time) error {
	if s.begun == 0 { // at a frame boundary, where a new action takes effect
		if action := s.driver.Action(); s.table == nil || action != s.coded {
			t, err := s.frames.table(action)
			if err != nil {
				return err
			}
			s.table, s.coded = t, action
			if s.meter != nil {
				s.meter.coded(now, action)
			}
			s.tick -= s.tick % t.ticks // a longer frame begins on its own grid
			s.frame = t.at(s.tick)
		}
	}
	s.tick++
	var coded frame
	s.begun++
	whole := s.begun == s.table.ticks
	if whole {
		coded = s.table.frames[s.frame]
		s.begun = 0
		if s.frame++; s.frame == len(s.table.frames) {
			s.frame = 0
		}
	}
	if s.watch != nil && !s.listens {
		s.tellWatcher(now, coded)
	}
	if !whole {
		return nil
	}
	if coded.bytes > 0 {
		s.send(now, coded, epoch)
	}
	s.stamp += uint32(s.table.ticks * playout.TickSamples)
	return nil
}

// tellWatcher tells of a tick, and of the frame that it completes, if it does.
func (s *side) tellWatcher(now time.Duration, coded frame) {
	number, action := -1, s.coded
	action.REDDepth = 0
	if coded.bytes > 0 {
		number = s.packets
		size := s.size(coded)
		action.REDDepth = uint8(size.Repeats())
	}
	s.watch.Coded(now, action, number)
}

// sentFrame is a frame that was sent, which later packets may repeat.
type sentFrame struct {
	bytes uint16
	stamp uint32
	ticks uint8
	fec   uint8
}

// size is that of the packet of a frame, with the frames that the action repeats, by the rule of policy's interceptor.
func (s *side) size(coded frame) codec.REDSize {
	size := codec.NewREDSize(int(coded.bytes))
	for _, older := range s.latest[:s.driver.Action().REDDepth] {
		if !size.Repeat(int(older.bytes), s.stamp-older.stamp) {
			break
		}
	}
	return size
}

// send sends a frame, and those before it that the packet repeats.
func (s *side) send(now time.Duration, coded frame, epoch time.Time) {
	size := s.size(coded)
	s.sequence++
	p := packet{
		sequence: s.sequence, stamp: s.stamp, ticks: uint8(s.table.ticks), fec: coded.fec, number: int32(s.packets),
		red: uint8(size.Repeats()),
	}
	for i, older := range s.latest[:p.red] {
		p.repeats[i] = repeated{back: uint8((s.stamp - older.stamp) / playout.TickSamples), ticks: older.ticks, fec: older.fec}
	}
	copy(s.latest[1:], s.latest[:])
	s.latest[0] = sentFrame{bytes: coded.bytes, stamp: s.stamp, ticks: p.ticks, fec: p.fec}
	if s.packets == 0 {
		s.driver.MediaBegan(epoch.Add(now))
		s.look(epoch)
	}
	s.packets++
	s.driver.Sent(size.Bytes())
	if s.meter != nil {
		s.meter.sent(size.Bytes() + s.coded.Transport.OverheadBytes())
	}
	s.out.send(now, size.Bytes(), p)
}

// look asks when the next decision is due.
func (s *side) look(epoch time.Time) {
	if due := s.driver.Due(); !due.IsZero() {
		s.due = due.Sub(epoch)
	}
}

// transportIs tells the driver which transport is in force.
func (s *side) transportIs(now time.Duration, t policyTransport, epoch time.Time) {
	s.driver.TransportIs(epoch.Add(now), t.transport, t.site)
	s.look(epoch)
}

// play plays one tick.
func (s *side) play(now time.Duration) {
	s.buffer.Next(now)
	if s.watch != nil && s.listens {
		s.watch.Played(now)
	}
}

// The clocks of what a side sends in between. RTCP has one for all its kinds, as the tickers of a client all begin with its
// peer connection.
const (
	clockRTCP    = iota
	clockConsent // ICE asks whether the peer still wants to hear (RFC 7675)
	clocks
)

// tellEvery is how often each clock strikes. That of consent is the keep-alive interval of the clients of package lab.
var tellEvery = [clocks]time.Duration{clockRTCP: time.Second, clockConsent: 2 * time.Second}

// checkEvery is how often ICE repeats its checks until they have found a pair. Its keep-alives go on from there.
const checkEvery = 200 * time.Millisecond

// startClocks sets the clock of RTCP to when it strikes first once media flow. It has run since the peer connection was
// made.
func (s *side) startClocks(begin time.Duration) {
	every := tellEvery[clockRTCP]
	s.clocks[clockRTCP] = s.created + ((begin-s.created)/every+1)*every
}

// tell sends what is due before the next tick.
func (s *side) tell(now time.Duration, epoch time.Time) {
	for {
		clock := clockRTCP
		if s.clocks[clockConsent] < s.clocks[clockRTCP] {
			clock = clockConsent
		}
		at := s.clocks[clock]
		if at >= now+playout.Tick {
			return
		}
		s.clocks[clock] += tellEvery[clock]
		at = max(at, now)
		if clock == clockConsent { // which is when ICE looks how long nothing has come
			s.dead = at-s.lastCame > silencePatience
			s.out.send(at, consentBytes, packet{kind: kindConsent})
			continue
		}
		s.rtcp(at, epoch)
	}
}

// rtcp sends a report of each kind.
func (s *side) rtcp(now time.Duration, epoch time.Time) {
	for _, k := range s.reports {
		s.report(k, now, epoch)
	}
}

// report sends a sender report, a receiver report or feedback.
func (s *side) report(k kind, now time.Duration, epoch time.Time) {
	if k == kindSenderReport {
		s.out.send(now, senderReportBytes, packet{kind: k, sent: now})
		return
	}
	report, heard := s.recent.report(now, epoch)
	if !heard {
		return
	}
	t := told{report: report}
	bytes := reportBytes
	if k == kindFeedback {
		t.feedback = s.driver.Feedback(epoch.Add(now), s.buffer.Stats())
		bytes = feedbackBytes
	}
	s.reported = append(s.reported, t)
	s.out.send(now, bytes, packet{kind: k, number: int32(len(s.reported) - 1)})
}

// take receives a packet of the peer.
func (s *side) take(p *packet, peer *side, epoch time.Time) {
	s.lastCame = p.at
	switch p.kind {
	case kindFeedback:
		s.driver.TakeFeedback(epoch.Add(p.at), peer.reported[p.number].feedback)
		return
	case kindReport:
		s.driver.TakeReport(epoch.Add(p.at), peer.reported[p.number].report)
		return
	case kindConsent:
		s.out.send(p.at, consentedBytes, packet{kind: kindOther})
		return
	case kindSenderReport:
		s.recent.sender, s.recent.senderAt = p.sent, p.at
		return
	case kindOther:
		return
	}
	s.driver.Heard()
	s.recent.observe(p)
	if peer.meter != nil {
		peer.meter.arrived(p.at, p.stamp, p.ticks, s.recent.jitter)
	}
	if s.watch != nil && s.listens {
		s.watch.Arrived(p.at, int(p.number))
	}
	for i := int(p.red) - 1; i >= 0; i-- {
		older := p.repeats[i]
		s.buffer.PushRedundant(p.at, p.sequence-uint16(i+1), p.stamp-uint32(older.back)*playout.TickSamples, payload(older.ticks, older.fec))
	}
	s.buffer.Push(p.at, p.sequence, p.stamp, payload(p.ticks, p.fec))
}

// payload stands for a coded frame: how many ticks it plays, and how many before it it can restore.
func payload(ticks, fec uint8) []byte { return payloads[ticks][fec][:] }

var payloads = func() (all [wholeTicks + 1][wholeTicks + 1][2]byte) {
	for ticks := range all {
		for fec := range all[ticks] {
			all[ticks][fec] = [2]byte{byte(ticks), byte(fec)}
		}
	}
	return all
}()
