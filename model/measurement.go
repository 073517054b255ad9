package model

import (
	"math"
	"time"
)

// Measurement is what one segment measured, before quantization. It lives in memory on the device and nowhere else;
// Outcome and Context carry the quantized form. A field that was not measured is NaN, or negative for a duration.
type Measurement struct {
	MOS               float64
	LossBefore        float64 // fraction of packets that never came
	LossAfter         float64 // fraction of audio still missing after FEC, RED and the jitter buffer
	Concealed         float64 // fraction of samples made up by concealment
	BurstRatio        float64 // BurstR of ITU-T G.107
	RoundTripTime     time.Duration
	Jitter            time.Duration
	JitterBufferDelay time.Duration
	SentKbps          float64 // on the wire, headers included
	AvailableKbps     float64 // estimate of what the path carries
}

// Unmeasured is a Measurement that knows nothing.
func Unmeasured() Measurement {
	nan := math.NaN()
	return Measurement{
		MOS: nan, LossBefore: nan, LossAfter: nan, Concealed: nan, BurstRatio: nan,
		RoundTripTime: -1, Jitter: -1, JitterBufferDelay: -1, SentKbps: nan, AvailableKbps: nan,
	}
}

// Outcome quantizes m for a report.
func (m *Measurement) Outcome() Outcome {
	return Outcome{
		MOS:               ScaleMOS.index.bucket(m.MOS),
		LossBefore:        ScaleOutcomeLoss.index.bucket(m.LossBefore),
		LossAfter:         ScaleOutcomeLoss.index.bucket(m.LossAfter),
		Concealed:         ScaleOutcomeLoss.index.bucket(m.Concealed),
		RoundTripTime:     ScaleDelay.index.bucket(milliseconds(m.RoundTripTime)),
		JitterBufferDelay: ScaleDelay.index.bucket(milliseconds(m.JitterBufferDelay)),
		Rate:              ScaleRate.index.bucket(m.SentKbps),
	}
}

// Describe writes the call so far into the measured fields of c, for the next decision.
func (m *Measurement) Describe(c *Context) {
	c.RoundTripTime = ScaleRoundTripTime.index.bucket(milliseconds(m.RoundTripTime))
	c.Jitter = ScaleJitter.index.bucket(milliseconds(m.Jitter))
	c.Loss = ScaleLoss.index.bucket(m.LossBefore)
	c.Burst = ScaleBurst.index.bucket(m.BurstRatio)
	c.Bandwidth = ScaleBandwidth.index.bucket(m.AvailableKbps)
}

func milliseconds(d time.Duration) float64 {
	if d < 0 {
		return math.NaN()
	}
	return float64(d) / float64(time.Millisecond)
}

// Playout is what the receiving side of a call did with the packets that came, as running totals since the call
// began. Its fields carry the W3C webrtc-stats names where there are any.
type Playout struct {
	Received          uint32        // RTP packets that came, late and doubled ones included
	Expected          uint32        // RTP packets the sequence numbers say were sent
	LossRuns          uint32        // runs of one or more packets that never came
	TotalSamples      uint64        // 48 kHz samples played, made-up ones included
	ConcealedSamples  uint64        // of these, made up by concealment
	FECSamples        uint64        // of these, recovered from in-band FEC or RED
	LateDiscarded     uint32        // packets that came after their time
	JitterBufferDelay time.Duration // now, not a total
}

// QualityInput is what a quality estimate of one segment needs.
type QualityInput struct {
	Action      Action
	Loss        float64       // fraction of audio missing after repair, 0..1
	BurstRatio  float64       // >= 1
	OneWayDelay time.Duration // mouth to ear
}
