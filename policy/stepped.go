package policy

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/attune-calls/attune/model"
)

// Stepped is a Factory without packets, goroutines and a clock: the same decisions and measurements, for simulations in
// virtual time. The caller says when a packet is sent or heard, carries feedback to the other side, and calls Step when
// a decision is due. Times never go back. It serves one goroutine.
type Stepped struct {
	factory *Factory
	at      time.Time

	packets, bytes, heard uint64 // not told to the meter yet
}

// steppedSSRC names the one stream of a Stepped.
const steppedSSRC = 1

// NewStepped makes the first decision at a time. Options that concern goroutines or streams of pion have no effect.
func NewStepped(now time.Time, opts ...Option) (*Stepped, error) {
	s := &Stepped{at: now}
	var err error
	if s.factory, err = newFactory(func() time.Time { return s.at }, opts); err != nil {
		return nil, err
	}
	s.factory.stepped, s.factory.leg.red = true, true // the caller packs, whatever peers say of themselves
	s.factory.meter.addStream(steppedSSRC, samplesPerSecond, now)
	s.factory.start()
	return s, nil
}

// Action is the action in force.
func (s *Stepped) Action() model.Action { return s.factory.leg.segment.Action }

// Ways are those that a call may be set up by where the action in force cannot be, if a Connector decides.
func (s *Stepped) Ways() []TransportLock {
	if c, ok := s.factory.options.rule.(Connector); ok {
		return c.Ways()
	}
	return nil
}

// Pinger is the rule that decides, if it pings relays; or nil.
func (s *Stepped) Pinger() Pinger {
	p, _ := s.factory.options.rule.(Pinger)
	return p
}

// Arm is the index of the arm that decides.
func (s *Stepped) Arm() uint8 { return s.factory.leg.arm }

// MediaBegan begins the call's first segment; call it before the first packet is counted.
func (s *Stepped) MediaBegan(now time.Time) {
	s.pass(now)
	s.factory.mediaBegan()
}

// Sent counts an RTP packet with a payload of so many bytes.
func (s *Stepped) Sent(bytes int) {
	s.packets++
	s.bytes += uint64(bytes)
}

// Heard counts an RTP packet of the peer.
func (s *Stepped) Heard() { s.heard++ }

// pass lets time pass: what was counted until now is of the time before.
func (s *Stepped) pass(now time.Time) {
	s.at = now
	m := s.factory.meter
	m.sent.packets.Add(s.packets)
	m.sent.bytes.Add(s.bytes)
	m.heard.Add(s.heard)
	s.packets, s.bytes, s.heard = 0, 0, 0
}

// Due is when Step is to be called; zero before media flows.
func (s *Stepped) Due() time.Time { return s.factory.leg.due }

// Step ends the segment and decides anew.
func (s *Stepped) Step(now time.Time) {
	s.pass(now)
	s.factory.intervalPassed()
}

// Feedback is what to tell the peer, about once a second, of what this side has played.
func (s *Stepped) Feedback(now time.Time, played model.Playout) Feedback {
	s.pass(now)
	f := Feedback{SSRC: steppedSSRC, Playout: played}
	s.factory.meter.stamp(&f, now)
	return f
}

// TakeFeedback takes what the peer tells.
func (s *Stepped) TakeFeedback(now time.Time, f Feedback) {
	s.pass(now)
	s.factory.meter.feedback(f, now)
}

// TakeReport takes a receiver report of the peer (RFC 3550, section 6.4.2) on the stream; its jitter is in units of 1/48000 s.
func (s *Stepped) TakeReport(now time.Time, r rtcp.ReceptionReport) {
	s.pass(now)
	r.SSRC = steppedSSRC
	s.factory.meter.receptionReport(r, now)
}

// TransportIs takes the caller's word on the transport in force, as Factory.TransportChanged does.
func (s *Stepped) TransportIs(now time.Time, t model.Transport, site model.Site) {
	s.pass(now)
	s.factory.transportIs(TransportLock{Transport: t, Site: site})
}

// Close ends the last segment. Of a call that never had media it is the first decision, with nothing measured.
func (s *Stepped) Close(now time.Time) {
	s.pass(now)
	s.factory.endSegment(now)
}
