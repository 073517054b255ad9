package policy

import (
	"math"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// scene is a meter with one stream and hand-made time.
type scene struct {
	*meter
	totals model.Playout
	report rtcp.ReceptionReport
}

func newScene() *scene {
	s := &scene{meter: newMeter()}
	s.addStream(1, 48000, time.Now())
	s.begin(at(0), true)
	s.beginMedia(at(0))
	s.totals.JitterBufferDelay = 40 * time.Millisecond
	s.report.SSRC = 1
	return s
}

// send counts n packets of 80 payload bytes.
func (s *scene) send(n int) {
	for range n {
		s.sent.count(&rtp.Header{Version: 2}, make([]byte, 80))
	}
}

// played reports that of n packets lost ones were missing, in runs, and that concealed of 960 n samples were made up.
func (s *scene) played(seconds float64, n, lost, runs, concealed uint32) {
	s.totals.Expected += n
	s.totals.Received += n - lost
	s.totals.LossRuns += runs
	s.totals.TotalSamples += uint64(n) * 960
	s.totals.ConcealedSamples += uint64(concealed)
	s.feedback(Feedback{SSRC: 1, Playout: s.totals, Sent: ntpMiddle(at(seconds))}, at(seconds))
}

func (s *scene) received(seconds float64, n, lost uint32) {
	s.report.LastSequenceNumber += n
	s.report.TotalLost += lost
	s.receptionReport(s.report, at(seconds))
}

type fixedQuality struct{ last model.QualityInput }

func (q *fixedQuality) MOS(in model.QualityInput) float64 {
	q.last = in
	return 4.5 - 3.5*in.Loss
}

func near(got, want float64) bool {
	return math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) < 1e-9
}

var talk = model.DefaultAction()

func TestMeasureWithPlayoutFeedback(t *testing.T) {
	s, q := newScene(), new(fixedQuality)
	for second := range 4 {
		s.send(50)
		s.played(float64(second+1), 50, 10, 4, 960) // 10 lost in 4 runs, all but 1 repaired
	}
	m := s.measure(at(4), talk, q)
	// 50 packets a second of 80 bytes of payload and 50 of overhead.
	want := model.Measurement{
		MOS: 4.5 - 3.5*0.02, LossBefore: 0.2, LossAfter: 0.02, Concealed: 0.02, BurstRatio: 10.0 / 4 * 0.8,
		RoundTripTime: -1, Jitter: -1, JitterBufferDelay: 40 * time.Millisecond, SentKbps: 52, AvailableKbps: 52 * 0.8,
	}
	if !near(m.MOS, want.MOS) || !near(m.LossBefore, want.LossBefore) || !near(m.LossAfter, want.LossAfter) ||
		!near(m.Concealed, want.Concealed) || !near(m.BurstRatio, want.BurstRatio) || m.JitterBufferDelay != want.JitterBufferDelay ||
		!near(m.SentKbps, want.SentKbps) || !near(m.AvailableKbps, want.AvailableKbps) || m.RoundTripTime != -1 || m.Jitter != -1 {
		t.Errorf("%+v\nwant %+v", m, want)
	}
	if in := q.last; in.OneWayDelay != 60*time.Millisecond || !near(in.BurstRatio, 2) || in.Action != talk {
		t.Errorf("quality was asked %+v", in)
	}
}

func TestMeasureWithReceiverReportsAlone(t *testing.T) {
	s, q := newScene(), new(fixedQuality)
	ntp := uint64(ntpMiddle(at(1))) << 16
	s.senderReport(&rtcp.SenderReport{SSRC: 1, NTPTime: ntp}, at(1))
	s.senderReport(&rtcp.SenderReport{SSRC: 99, NTPTime: ntp}, at(0)) // not ours
	s.send(50)
	s.received(1.01, 50, 0)
	s.send(100)
	s.report.LastSenderReport, s.report.Delay, s.report.Jitter = uint32(ntp>>16), 65536, 960
	s.received(2.2, 50, 5)
	s.received(2.2, 0, 0) // a copy, read by another stream's reader
	m := s.measure(at(3), talk, q)
	if !near(m.LossBefore, 0.1) || !near(m.LossAfter, 0.1) || !math.IsNaN(m.Concealed) || !math.IsNaN(m.BurstRatio) {
		t.Errorf("loss %v after %v, concealed %v, burst %v", m.LossBefore, m.LossAfter, m.Concealed, m.BurstRatio)
	}
	if (m.RoundTripTime-200*time.Millisecond).Abs() > time.Millisecond || m.Jitter != 20*time.Millisecond || m.JitterBufferDelay != -1 {
		t.Errorf("round trip %v, jitter %v, buffer %v", m.RoundTripTime, m.Jitter, m.JitterBufferDelay)
	}
	if got := q.last.OneWayDelay; (got - 160*time.Millisecond).Abs() > time.Millisecond { // 100 + 2x20 + 20
		t.Errorf("one-way delay %v", got)
	}
}

// What the far end says shortly after a change tells of the action before.
func TestMeasureSettlesAfterAChange(t *testing.T) {
	for _, changed := range []bool{false, true} {
		s := newScene()
		s.send(100)
		s.played(1, 50, 0, 0, 0)
		s.played(2, 50, 0, 0, 0)
		s.begin(at(2.1), changed)
		s.send(200)
		s.played(3, 50, 50, 1, 48000) // began at 2, before the change
		s.played(4, 50, 25, 1, 24000) // began at 3, within the second it takes to settle
		s.played(5, 50, 0, 0, 0)
		s.played(6, 50, 10, 1, 0)
		want := 10.0 / 100
		if !changed {
			want = 85.0 / 200
		}
		if m := s.measure(at(6.1), talk, nil); !near(m.LossBefore, want) {
			t.Errorf("changed %v: loss %v, want %v", changed, m.LossBefore, want)
		}
	}
	// Too short to settle: the last interval is kept.
	s := newScene()
	s.send(100)
	s.played(1, 50, 0, 0, 0)
	s.begin(at(1), true)
	s.send(50)
	s.played(1.5, 25, 25, 1, 0)
	s.played(2.5, 50, 5, 1, 0)
	if m := s.measure(at(2.5), talk, nil); !near(m.LossBefore, 0.1) {
		t.Errorf("short segment: loss %v", m.LossBefore)
	}
}

func TestMeasureRoundTripBelongsToItsAction(t *testing.T) {
	s := newScene()
	ntp := func(seconds float64) uint64 { return uint64(ntpMiddle(at(seconds))) << 16 }
	answer := func(sent, received float64) {
		s.senderReport(&rtcp.SenderReport{SSRC: 1, NTPTime: ntp(sent)}, at(sent))
		s.report.LastSenderReport = uint32(ntp(sent) >> 16)
		s.received(received, 50, 0)
	}
	s.send(300)
	answer(1, 1.1)
	s.begin(at(2), true)
	s.send(300)
	answer(1.8, 2.8) // set out before the change
	answer(3, 3.2)
	answer(4, 4.4)
	if m := s.measure(at(5), talk, nil); (m.RoundTripTime - 300*time.Millisecond).Abs() > time.Millisecond {
		t.Errorf("round trip %v", m.RoundTripTime)
	}
}

func TestMeasureUnmeasured(t *testing.T) {
	for name, prepare := range map[string]func(*scene){
		"shorter than a second": func(s *scene) { s.begin(at(9.5), false); s.send(20); s.played(9.9, 20, 0, 0, 0) },
		"nothing sent":          func(s *scene) { s.played(1, 50, 0, 0, 0); s.played(9, 50, 0, 0, 0) },
	} {
		s := newScene()
		prepare(s)
		m := s.measure(at(10), talk, new(fixedQuality))
		if outcome := m.Outcome(); outcome != (model.Outcome{}) {
			t.Errorf("%s: %+v", name, m)
		}
	}
	s := &scene{meter: newMeter()}
	s.begin(at(0), true)
	if m := s.measure(at(9), talk, nil); !math.IsNaN(m.SentKbps) {
		t.Errorf("before media: %+v", m)
	}
}

func TestMeasureDeadPath(t *testing.T) {
	alive := func(s *scene) {
		s.send(100)
		s.played(1, 50, 0, 0, 0)
		s.played(2, 50, 0, 0, 0)
	}
	for _, c := range []struct {
		name    string
		prepare func(*scene)
		now     float64
		dead    bool
	}{
		{"silence after media", func(s *scene) { alive(s); s.begin(at(2), false); s.send(150) }, 5, true},
		{"silence too short to tell", func(s *scene) { alive(s); s.begin(at(2), false); s.send(50) }, 3.5, false},
		{"never anything, still connecting", func(s *scene) { s.send(200) }, 4, false},
		{"never anything", func(s *scene) { s.send(300) }, 6, true},
		{"the peer is heard, only feedback is missing", func(s *scene) {
			alive(s)
			s.begin(at(2), false)
			s.send(150)
			s.heard.Add(100)
		}, 5, false},
		{"feedback says nothing came", func(s *scene) {
			alive(s)
			s.begin(at(2), false)
			for second := range 3 {
				s.send(50)
				s.played(float64(second+3), 0, 0, 0, 0)
			}
		}, 5, true},
		{"receiver reports say nothing came", func(s *scene) {
			s.send(50)
			s.received(1, 50, 0)
			s.begin(at(1), false)
			for second := range 3 {
				s.send(50)
				s.report.Delay++
				s.received(float64(second+2), 0, 0)
			}
		}, 4.5, true},
		{"a pause, then packets still on their way", func(s *scene) {
			alive(s)
			s.begin(at(2), false)
			s.played(3, 0, 0, 0, 0)
			s.send(10)
			s.played(4, 0, 0, 0, 0)
		}, 5, false},
	} {
		s := newScene()
		c.prepare(s)
		m := s.measure(at(c.now), talk, new(fixedQuality))
		if dead := m.MOS == model.WorstMOS && m.LossBefore == 1 && m.LossAfter == 1; dead != c.dead {
			t.Errorf("%s: dead %v, want %v: %+v", c.name, dead, c.dead, m)
		}
		if math.IsNaN(m.SentKbps) {
			t.Errorf("%s: what was sent is known all the same", c.name)
		}
	}
}

// An outage booked as a dead segment is not booked again when the far end comes back and tells of it.
func TestMeasureCountsAnOutageOnce(t *testing.T) {
	s := newScene()
	s.send(50)
	s.played(1, 50, 0, 0, 0)
	s.received(1, 50, 0)
	s.begin(at(1), false)
	s.send(250)
	if m := s.measure(at(6), talk, nil); m.LossBefore != 1 {
		t.Fatalf("outage: %+v", m)
	}
	s.begin(at(6), false)
	s.send(50)
	s.played(7, 300, 250, 1, 250*960)
	s.received(7, 300, 250)
	m := s.measure(at(8), talk, nil)
	if m.LossBefore != 0 || m.Concealed != 0 || !math.IsNaN(m.BurstRatio) {
		t.Errorf("after the outage: %+v", m)
	}
	if reception, ok := s.segment.reception.total(); !ok || reception.expected != 50 || reception.received != 50 {
		t.Errorf("receiver reports after the outage: %+v", reception)
	}
}

func TestMeterIgnoresStrangers(t *testing.T) {
	s := newScene()
	s.send(100)
	s.feedback(Feedback{SSRC: 2, Playout: model.Playout{Expected: 100}}, at(1))
	s.receptionReport(rtcp.ReceptionReport{SSRC: 2, LastSequenceNumber: 9}, at(1))
	if !s.fedBack.IsZero() {
		t.Error("took feedback about a stream of somebody else")
	}
}

// A round trip that was never answered is at least as long as the wait: an overloaded path must not look fast.
func TestUnansweredRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name string
		prep func(*scene)
		want time.Duration
	}{
		{"nobody was asked", func(*scene) {}, -1},
		{"asked a moment ago", func(s *scene) { s.stamp(new(Feedback), at(3.5)) }, -1},
		{"asked long ago", func(s *scene) { s.stamp(new(Feedback), at(0.5)) }, 2500 * time.Millisecond},
		{"asked twice", func(s *scene) { s.stamp(new(Feedback), at(0.5)); s.stamp(new(Feedback), at(1.5)) }, 2500 * time.Millisecond},
		{"asked on a path since left", func(s *scene) { s.stamp(new(Feedback), at(0.5)); s.forgetPath() }, -1},
		{"answered", func(s *scene) {
			s.stamp(new(Feedback), at(0.5))
			s.feedback(Feedback{SSRC: 1, LastSent: ntpMiddle(at(0.5)), Sent: 7}, at(0.75))
		}, 250 * time.Millisecond},
	} {
		s := newScene()
		s.send(200)
		s.played(1, 50, 0, 0, 0)
		c.prep(s)
		s.played(3.9, 50, 0, 0, 0)
		got := s.measure(at(4), talk, new(fixedQuality)).RoundTripTime
		if diff := got - c.want; diff < -time.Millisecond || diff > time.Millisecond {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
