package codec

import (
	"math"

	"github.com/attune-calls/attune/model"
)

// Measured estimates the conversational quality of one direction of a call from what this product's own codec, jitter
// buffer and repair did to real speech, as two full-reference metrics heard it (PESQ-WB and ViSQOL, put on the scale of
// ITU-T G.107.2 by way of codecs with published impairments; docs/quality.md). It has the contract of Fullband and the
// same scale, and takes its place.
//
// The shape is that of the fullband E-model, the numbers are fitted (surface_table.go):
//
//   - Coding. The impairment of Opus by rate, one falling curve for each limit of the audio bandwidth; a wider limit is
//     never worse. Longer frames count as a somewhat different rate, DTX as an impairment of its own.
//   - Protection. In-band FEC takes a share of the rate from the speech, and what it restores is coded worse than what it
//     stands for. RED costs speech nothing.
//   - Loss, which is the loss left after repair, and bursts: the share of quality lost rises with the loss over a
//     robustness that depends on the frame and falls with the burst ratio.
//   - Delay. Idd of G.107.2: no metric hears delay.
//
// Where nothing was measured it is the E-model, joined without a step: beyond 60 % loss and 96 kbps by its own formula,
// below 6 kbps on a straight line, and for G.711 Fullband itself.
//
// Limits: metrics, not people, English and some Italian speech, no noise and no echo. Trust differences of 0.1 and more
// between settings, not absolute values.
type Measured struct{}

// surfaceTable is what bench/surface/fit.py fits.
type surfaceTable struct {
	knots      [model.BandwidthFull][]point // impairment by kbps, narrowband first
	robustness [len(frameSteps)]float64     // percent of loss at which half is lost of what loss can take, by frame
	rate       [len(frameSteps)]float64     // what a frame length makes of a rate
	worst      float64                      // impairment that loss tends to
	shape      float64                      // power of the loss
	burst      float64                      // power of the burst ratio by which robustness falls
	fecShare   float64                      // of the rate that in-band FEC takes at once
	fecSlope   float64                      // and for each percent of expected loss
	fecBegins  float64                      // rate of speech, in kbps, that FEC leaves alone; see SpeechKbps
	coding     float64                      // log of what codingSpan more impairment makes of the robustness
	fecLoss    float64                      // how much more a loss counts beside frames that FEC restored
	dtx        float64                      // impairment of comfort noise
}

// frameSteps are the frame lengths that were measured, in ms.
var frameSteps = [...]uint8{20, 40, 60, 120}

// What the fit has set: the most that FEC takes of a rate, the impairment at which robustness is quoted, and the step of
// surfaceTable.coding.
const (
	mostFEC     = 0.75
	codingPivot = 20
	codingSpan  = 50
)

// bandFloor is the least impairment a limit of the audio bandwidth leaves, which more rate approaches beyond the last
// knot: the distance of its scale from the fullband one (mediumband lies halfway), or the best codec known.
var bandFloor = [model.BandwidthFull]float64{
	Full.Ideal - Narrowband.Ideal,
	Full.Ideal - (Narrowband.Ideal+Wideband.Ideal)/2,
	Full.Ideal - Wideband.Ideal,
	bestImpairment,
	bestImpairment,
}

// surfaceCurves are smooth through the knots.
var surfaceCurves = func() (curves [model.BandwidthFull]curve) {
	for band, knots := range surface.knots {
		curves[band] = fitFalling(knots, math.Min(knots[len(knots)-1].y, bandFloor[band]), Full.Worst)
	}
	return curves
}()

// MOS is the estimated mean opinion score, 1..4.5. It never falls with the bit rate or the audio bandwidth, and never
// rises with loss, burst ratio or delay. It is NaN where the action names no codec or the loss was not measured; a
// burst ratio that was not measured counts as 1, and a delay that was not as 0. It does not allocate.
func (Measured) MOS(in model.QualityInput) float64 {
	return Full.MOS(Measured{}.Rating(in))
}

// Rating is R on the scale of G.107.2 behind MOS: 148 at best, below 0 when nothing gets through.
func (Measured) Rating(in model.QualityInput) float64 {
	if in.Action.Codec != model.CodecOpus && in.Action.Codec != model.CodecOpusRED {
		return Fullband{}.Rating(in)
	}
	if math.IsNaN(in.Loss) {
		return math.NaN()
	}
	frame := 0
	for frame < len(frameSteps)-1 && in.Action.FrameMillis > frameSteps[frame] {
		frame++
	}
	ie := measuredImpairment(measuredKbps(in.Action, frame), in.Action.Bandwidth)
	if in.Action.DTX {
		ie = math.Min(ie+surface.dtx, Full.Worst)
	}
	ie += (surface.worst - ie) * shareLost(in, frame, ie)
	return Full.Rating(ie, Full.DelayImpairment(in.OneWayDelay))
}

// measuredKbps is the rate at which Opus with 20 ms frames and without FEC sounds like action a without loss.
func measuredKbps(a model.Action, frame int) float64 {
	kbps := float64(a.BitrateKbps)
	if a.FEC() {
		share := math.Min(surface.fecShare+surface.fecSlope*float64(a.ExpectedLoss), mostFEC)
		kbps = math.Min(kbps, math.Max(surface.fecBegins, kbps*(1-share)))
	}
	return kbps * surface.rate[frame]
}

// measuredImpairment is the impairment without loss; an unknown bandwidth is no limit.
func measuredImpairment(kbps float64, limit model.AudioBandwidth) float64 {
	if limit == model.BandwidthUnknown || limit > model.BandwidthFull {
		limit = model.BandwidthFull
	}
	ie := Full.Worst
	for band := range surfaceCurves[:limit] {
		ie = math.Min(ie, surfaceCurves[band].at(kbps))
	}
	return ie
}

// shareLost is how much of what loss can take of the quality is taken, 0..1. What is coarse without loss has less to
// lose; how much less is bounded by the fit so that the better coding stays the better one.
func shareLost(in model.QualityInput, frame int, ie float64) float64 {
	loss := 100 * math.Min(in.Loss, 1)
	if !(loss > 0) {
		return 0
	}
	relative := loss / surface.robustness[frame]
	if in.Action.FEC() {
		relative *= 1 + surface.fecLoss
	}
	exponent := math.Log(relative) - surface.coding*(ie-codingPivot)/codingSpan
	if in.BurstRatio > 1 { // not when NaN
		exponent += surface.burst * math.Log(in.BurstRatio)
	}
	u := math.Exp(surface.shape * exponent)
	if math.IsInf(u, 1) {
		return 1
	}
	return u / (1 + u)
}
