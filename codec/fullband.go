package codec

import (
	"math"
	"slices"

	"github.com/attune-calls/attune/model"
)

// Fullband estimates the conversational quality of one direction of a call on the fullband scale of ITU-T G.107.2, for
// every codec setting, so that settings can be compared.
//
// How the parts are put on one scale:
//
//   - Coding. Ie of Opus was published on the scale of each audio bandwidth (see opus_table.go). An Ie is subtracted
//     from the ideal rating of its own scale, which makes the narrow bandwidth itself an impairment of 148-93.2 or
//     148-129 on the fullband scale. (ITU-T G.113, appendix V, gives the same 19 for going from Ie,wb to Ie,fb.) The
//     audio bandwidth of an action is an upper limit: below the rates at which libopus uses it, the narrower one
//     counts. Between the measured rates the curve is smooth and never rises.
//   - Loss. Ie,eff of G.107.2 with the median robustness measured for Opus on that scale. One robustness serves all
//     rates and bandwidths, because those published for the narrower scales belong to another Worst, and would let a
//     call improve under loss when it gives up bandwidth. Robustness was measured with 20 ms packets; a longer packet
//     loses as much audio in fewer, longer runs, which multiplies the burst ratio.
//   - Protection. Loss is the loss left after repair, so FEC and RED show in it. In-band FEC also takes bits from the
//     speech itself: see SpeechKbps.
//   - Delay. Idd of G.107.2.
//
// Limits: the sources are planning values and instrumental measurements of English speech, not opinions about this
// call. Measured rates end at 40 kbps; beyond that the impairment decays to that of the best codec listed on the
// scale. Below 6 kbps it is extrapolated. Noise, echo, level and clock drift are not part of it. Trust differences of
// 0.1 and more between settings, not absolute values.
type Fullband struct{}

// bestImpairment is the least Ie on the fullband scale in ITU-T G.113 (09/2024), appendix V: EVS at 24.4 kbps. No codec
// is taken to be better.
const bestImpairment = 7.2

// Impairment of Opus on the fullband scale by bit rate, for each limit of the audio bandwidth that was measured.
var (
	narrowCurve = fitFalling(slices.Concat(
		onFullScale(Narrowband, opusNarrow), onFullScale(Narrowband, opusNarrowConstant),
	), Full.Ideal-Narrowband.Ideal, Full.Worst)
	wideCurve = fitFalling(slices.Concat(
		onFullScale(Narrowband, opusNarrow), onFullScale(Wideband, opusWide), onFullScale(Wideband, opusWideConstant),
	), Full.Ideal-Wideband.Ideal, Full.Worst)
	superWideCurve = fitFalling(slices.Concat(
		onFullScale(Narrowband, opusNarrow), onFullScale(Wideband, opusWide), onFullScale(Full, opusSuperWide),
	), bestImpairment, Full.Worst)
	opusRobustness = medianRobustness(opusSuperWide)
)

func onFullScale(s Scale, rows []opusRow) []point {
	points := make([]point, len(rows))
	for i, row := range rows {
		points[i] = point{x: row.kbps, y: Full.Ideal - (s.Ideal - row.ie)}
	}
	return points
}

func medianRobustness(rows []opusRow) float64 {
	values := make([]float64, len(rows))
	for i, row := range rows {
		values[i] = row.bpl
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// MOS is the estimated mean opinion score, 1..4.5. It never falls with the bit rate or the audio bandwidth, and never
// rises with loss, burst ratio or delay. It is NaN where the action names no codec or the loss was not measured; a
// burst ratio that was not measured counts as 1, and a delay that was not as 0.
func (Fullband) MOS(in model.QualityInput) float64 {
	return Full.MOS(Fullband{}.Rating(in))
}

// Rating is R of G.107.2 behind MOS: 148 at best, below 0 when nothing gets through.
func (Fullband) Rating(in model.QualityInput) float64 {
	lossPercent := 100 * math.Min(math.Max(in.Loss, 0), 1)
	if math.IsNaN(in.Loss) {
		return math.NaN()
	}
	burst := in.BurstRatio
	if !(burst >= 1) {
		burst = 1
	}
	burst *= math.Max(1, float64(in.Action.FrameMillis)/20)
	delay := Full.DelayImpairment(in.OneWayDelay)
	switch in.Action.Codec {
	case model.CodecOpus, model.CodecOpusRED:
		ie := OpusImpairment(SpeechKbps(in.Action), in.Action.Bandwidth)
		return Full.Rating(Full.EffectiveImpairment(ie, opusRobustness, lossPercent, burst), delay)
	case model.CodecPCMU:
		// G.711 has no row on the fullband scale: its narrowband rating, as it is.
		return Narrowband.Rating(Narrowband.EffectiveImpairment(0, G711LossRobustness, lossPercent, burst), delay)
	default:
		return math.NaN()
	}
}

// SpeechKbps is the bit rate at which Opus without in-band FEC sounds like action a: its own, less what libopus 1.3
// spends on low bit-rate redundancy. Measured by equal segmental signal-to-noise ratio over 22 s of speech in
// codec/opus: about 31 % of the rate at an expected loss of 1 %, 34 % at 5 %, 38 % at 10 % and 45 % at 25 %, for 24 to
// 48 kbps. Up to 16 kbps libopus sends no redundancy, whatever it is told, and between 16 and 24 kbps it begins at the
// cost of quality; this function stays level there, so that a higher rate never counts as worse.
func SpeechKbps(a model.Action) float64 {
	const (
		begins = 14 // the level of the stretch where redundancy begins
		least  = 0.30
		most   = 0.45
		slope  = 0.008 // per percent of expected loss
	)
	kbps := float64(a.BitrateKbps)
	if !a.FEC() {
		return kbps
	}
	share := math.Min(least+slope*float64(a.ExpectedLoss), most)
	return math.Min(kbps, math.Max(begins, kbps*(1-share)))
}

// OpusImpairment is the equipment impairment of Opus without loss, on the fullband scale, when it may use up to the
// given audio bandwidth at a bit rate. Mediumband (6 kHz), which was not measured, is halfway between its neighbours;
// an unknown bandwidth is no limit.
func OpusImpairment(kbps float64, limit model.AudioBandwidth) float64 {
	narrow := narrowCurve.at(kbps)
	if limit == model.BandwidthNarrow {
		return narrow
	}
	wide := math.Min(narrow, wideCurve.at(kbps))
	switch limit {
	case model.BandwidthMedium:
		return (narrow + wide) / 2
	case model.BandwidthWide:
		return wide
	default:
		return math.Min(wide, superWideCurve.at(kbps))
	}
}
