package getstats

import (
	"math"
	"time"

	"github.com/attune-calls/attune/model"
)

// What statistics do not say of how the sender ran its encoder is inferred:
//
//   - the bitrate is targetBitrate where there is one, else the median payload rate of the stream; both are rounded to a step of bitrates;
//   - the frame is the one of 20, 40, 60 and 120 ms nearest to the time per packet, lost ones included; 20 ms with DTX;
//   - the audio bandwidth is what libopus chooses by itself for speech at that bitrate;
//   - FEC is on where both sides agreed to it and the interval before lost packets: WebRTC tells its encoder the loss that
//     receiver reports show, and libopus adds nothing at 0 %.

// bitrates are the steps an inferred bitrate is rounded to, in kbps.
var bitrates = []float64{6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128}

// frames are the frame durations of the vocabulary, in ms.
var frames = []float64{20, 40, 60, 120}

// pcmuKbps is the payload rate of G.711.
const pcmuKbps = 64

// segments turns windows into decisions and what came of them.
func (s *stream) segments(windows []window, context model.Context, quality Quality) []model.Segment {
	base := s.baseAction(windows)
	var list []model.Segment
	seen := model.Unmeasured()
	for i, w := range windows {
		context.Network = w.path.network
		action := s.actionAt(base, w, seen.LossBefore)
		m := s.measure(w, action, quality)
		segment := model.Segment{
			Cause: model.CauseInterval, Context: context, Action: action, Propensity: model.PropensityScale,
			Seconds: uint8(math.Round(w.to - w.from)), Outcome: m.Outcome(),
		}
		if i == 0 {
			segment.Cause = model.CauseStart
		} else {
			if windows[i-1].path.network != w.path.network {
				segment.Cause = model.CauseNetwork
			}
			segment.Context.Previous = list[i-1].Action
			seen.Describe(&segment.Context)
		}
		list = append(list, segment)
		seen = m
	}
	return list
}

// baseAction is what holds for the whole stream.
func (s *stream) baseAction(windows []window) model.Action {
	a := model.Action{Codec: s.codec, DTX: s.dtx, FrameMillis: 20}
	if s.codec == model.CodecOpusRED {
		a.REDDepth = 1
	}
	perPacket := typical(windows, func(w window) float64 {
		lost := s.lost(w)
		if s.sent() || math.IsNaN(lost) { // what was sent is counted with what was lost
			lost = 0
		}
		return (w.to - w.from) * 1000 / (w.packets + lost)
	})
	if !s.dtx && !math.IsNaN(perPacket) {
		a.FrameMillis = uint8(nearest(frames, perPacket))
	}
	kbps := typical(windows, func(w window) float64 {
		return s.counted(s.bytes(), w.from, w.to) * 8 / 1000 / (w.to - w.from)
	})
	a.BitrateKbps = step(kbps / float64(1+a.REDDepth))
	return a
}

// actionAt is the action of one window, given the loss of the one before.
func (s *stream) actionAt(a model.Action, w window, lossBefore float64) model.Action {
	a.Transport = w.path.transport
	if target := s.series["targetBitrate"].at(w.from); target > 0 {
		a.BitrateKbps = step(target / 1000)
	}
	if s.codec == model.CodecPCMU {
		a.BitrateKbps, a.Bandwidth, a.DTX = pcmuKbps, model.BandwidthNarrow, false
		return a
	}
	a.Bandwidth = model.AutomaticBandwidth(a.BitrateKbps)
	switch {
	case !s.fec || !(lossBefore >= 0.01):
	case lossBefore < 0.15:
		a.ExpectedLoss = 10
	default:
		a.ExpectedLoss = 25
	}
	return a
}

// step rounds a bitrate in kbps to one of bitrates; unknown ones to the 32 kbps that WebRTC starts with.
func step(kbps float64) uint8 {
	if math.IsNaN(kbps) || kbps <= 0 {
		return 32
	}
	return uint8(nearest(bitrates, kbps))
}

// nearest is the step with the smallest ratio to v.
func nearest(steps []float64, v float64) float64 {
	best := steps[0]
	for _, s := range steps {
		if math.Abs(math.Log(s/v)) < math.Abs(math.Log(best/v)) {
			best = s
		}
	}
	return best
}

// lost is how many packets of a window never came; NaN when it is not known. The count falls when packets came late or twice
// (RFC 3550 section 6.4.1); then none of this window was lost.
func (s *stream) lost(w window) float64 {
	from := s.object
	if s.sent() {
		from = s.remote
	}
	line := from.series["packetsLost"]
	was := line.at(w.from)
	if math.IsNaN(was) {
		was = 0
	}
	is := line.at(w.to)
	if math.IsNaN(is) {
		return nan
	}
	return max(is-was, 0)
}

// measure reads what a window measured. Of a stream that was sent nobody says what was repaired or concealed: what did not
// come counts as missing, and the jitter buffer is taken to hold twice the jitter, as the interceptor does.
func (s *stream) measure(w window, action model.Action, quality Quality) model.Measurement {
	m := model.Unmeasured()
	span := w.to - w.from
	if lost := s.lost(w); !math.IsNaN(lost) {
		expected := w.packets
		if !s.sent() {
			expected += lost
		}
		m.LossBefore = min(lost/expected, 1)
	}
	m.LossAfter = m.LossBefore
	if !s.sent() {
		if samples := s.grown("totalSamplesReceived", w.from, w.to); samples > 0 {
			concealed := s.grown("concealedSamples", w.from, w.to)
			if silent := s.grown("silentConcealedSamples", w.from, w.to); s.series["silentConcealedSamples"] != nil && silent <= concealed {
				concealed -= silent // comfort noise and muted stretches are no fault
			}
			m.Concealed = min(concealed/samples, 1)
			m.LossAfter = m.Concealed
		}
		if emitted := s.grown("jitterBufferEmittedCount", w.from, w.to); emitted > 0 {
			m.JitterBufferDelay = duration(s.grown("jitterBufferDelay", w.from, w.to) / emitted)
		}
	}
	heard, pair := s.object, w.path.pair
	if s.sent() {
		heard = s.remote
		m.AvailableKbps = pair.series["availableOutgoingBitrate"].at(w.to) / 1000
	}
	m.Jitter = duration(heard.series["jitter"].at(w.to))
	m.RoundTripTime = duration(pair.series["currentRoundTripTime"].at(w.to))
	if m.RoundTripTime < 0 && s.sent() {
		m.RoundTripTime = duration(heard.series["roundTripTime"].at(w.to))
	}
	payload := s.counted(s.bytes(), w.from, w.to)
	m.SentKbps = (payload + w.packets*float64(action.Transport.OverheadBytes())) * 8 / 1000 / span
	if !math.IsNaN(m.LossAfter) {
		m.MOS = quality.MOS(model.QualityInput{
			Action: action, Loss: m.LossAfter, BurstRatio: 1, OneWayDelay: mouthToEar(action, &m),
		})
	}
	return m
}

// mouthToEar is half a round trip, the jitter buffer, and the frame that must fill before it is sent.
func mouthToEar(action model.Action, m *model.Measurement) time.Duration {
	buffer := m.JitterBufferDelay
	if buffer < 0 {
		buffer = max(action.FrameDuration(), 2*m.Jitter)
	}
	return action.FrameDuration() + max(m.RoundTripTime, 0)/2 + buffer
}

// duration is negative when it was not measured, or cannot have been.
func duration(seconds float64) time.Duration {
	if math.IsNaN(seconds) || seconds < 0 || seconds > 60 {
		return -1
	}
	return time.Duration(seconds * float64(time.Second))
}
