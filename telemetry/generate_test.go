package telemetry_test

import (
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/response"
)

var began = time.Date(2026, 11, 22, 13, 37, 11, 0, time.UTC)

// favourites are the actions of a typical call: one most of the time, the others when it explores.
var favourites = [...]model.Action{
	{Codec: model.CodecOpus, BitrateKbps: 24, Bandwidth: model.BandwidthSuperWide, FrameMillis: 60, ExpectedLoss: 10, Transport: model.TransportDirect},
	{Codec: model.CodecOpus, BitrateKbps: 8, Bandwidth: model.BandwidthNarrow, FrameMillis: 60, Transport: model.TransportDirect},
	{Codec: model.CodecOpus, BitrateKbps: 32, Bandwidth: model.BandwidthFull, FrameMillis: 20, ExpectedLoss: 25, Transport: model.TransportDirect},
	{Codec: model.CodecOpusRED, BitrateKbps: 16, Bandwidth: model.BandwidthWide, FrameMillis: 40, REDDepth: 1, Transport: model.TransportRelayUDP, Site: 2},
	{Codec: model.CodecOpus, BitrateKbps: 16, Bandwidth: model.BandwidthWide, FrameMillis: 60, DTX: true, Transport: model.TransportRelayTCP, Site: 1},
}

// typicalReport is a call of n segments of 4 s on 4G, as a real client reports it: a few actions, one policy, buckets
// in the middle of their scales.
func typicalReport(seed uint64, n int) telemetry.Report {
	rng := rand.New(rand.NewPCG(seed, 1))
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion,
		Hour: telemetry.HourOf(began), Origin: telemetry.OriginCall,
		Context: model.Context{
			Network: model.Network4G, Metered: model.MeteredYes, Region: 77, Device: model.DeviceMid,
			TimeOfDay: model.TimeAfternoon, Reach: model.ReachUDP,
		},
		Stage: model.StageEnded, Duration: telemetry.ScaleDuration.Bucket(float64(4 * n)),
	}
	if seed%3 == 0 { // some users rate
		r.Stars, r.Problem = 4, response.ProblemAnswer(6, true)
	}
	for i := range r.ID {
		r.ID[i] = byte(rng.Uint32())
	}
	context := r.Context
	bucket := func(low, high int) model.Bucket { return model.Bucket(low + rng.IntN(high-low+1)) }
	for i := range n {
		s := model.Segment{
			Cause: model.CauseInterval, Context: context, Action: favourites[0], Propensity: 912_345,
			Policy: 12, Experiment: 3, Arm: 1, Seconds: 4,
			Outcome: model.Outcome{
				MOS: bucket(50, 70), LossBefore: bucket(1, 20), LossAfter: bucket(1, 10), Concealed: bucket(1, 10),
				RoundTripTime: bucket(15, 25), JitterBufferDelay: bucket(10, 20), Rate: bucket(40, 45),
			},
		}
		if i == 0 {
			s.Cause = model.CauseStart
		}
		if rng.IntN(10) == 0 {
			s.Action, s.Explored, s.Propensity = favourites[1+rng.IntN(4)], true, 1_234
		}
		r.Segments = append(r.Segments, s)
		context.Previous = s.Action
		context.RoundTripTime, context.Jitter = bucket(2, 5), bucket(1, 4)
		context.Loss, context.Burst, context.Bandwidth = bucket(1, 5), bucket(1, 2), bucket(4, 8)
	}
	return r
}

// anyReport is a report with every field drawn from all its type can hold that the encoding must carry, valid or not.
func anyReport(rng *rand.Rand) telemetry.Report {
	u8 := func() uint8 { return uint8(rng.Uint32()) >> rng.IntN(8) }
	u32 := func() uint32 { return rng.Uint32() >> rng.IntN(32) }
	action := func() model.Action {
		return model.Action{
			Codec: model.Codec(u8()), BitrateKbps: u8(), Bandwidth: model.AudioBandwidth(u8()), FrameMillis: u8(),
			ExpectedLoss: u8(), REDDepth: u8(), DTX: rng.IntN(2) == 0, Transport: model.Transport(u8()), Site: model.Site(u8()),
		}
	}
	static := func() model.Context {
		return model.Context{
			Network: model.NetworkType(u8()), Metered: model.Metered(u8()), Region: model.Region(u32()),
			Device: model.DeviceClass(u8()), TimeOfDay: model.TimeOfDay(u8()), Reach: model.Reach(u8()),
		}
	}
	bucket := func() model.Bucket { return model.Bucket(u8()) }
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: u8(), Hour: u32(), Origin: telemetry.Origin(u8()), Context: static(),
		Stage: model.Stage(u8()), Dropped: rng.IntN(2) == 0, Duration: bucket(), Rating: u8(),
		Problems: uint16(rng.Uint32()), Stars: u8(), Problem: u8(), LostReports: u32(), LostSegments: u32(),
	}
	for i := range r.ID {
		r.ID[i] = u8()
	}
	if rng.IntN(2) == 0 {
		for i := range r.Refusals {
			r.Refusals[i] = u8()
		}
	}
	var previous model.Action
	chained := rng.IntN(2) == 0
	for range rng.IntN(telemetry.MaxSegments+1) >> rng.IntN(8) {
		s := model.Segment{
			Cause: model.Cause(u8()), Context: static(), Action: action(), Propensity: u32(), Explored: rng.IntN(2) == 0,
			Policy: u32(), Experiment: u32(), Arm: u8(), Seconds: u8(),
			Outcome: model.Outcome{
				MOS: bucket(), LossBefore: bucket(), LossAfter: bucket(), Concealed: bucket(),
				RoundTripTime: bucket(), JitterBufferDelay: bucket(), Rate: bucket(),
			},
		}
		s.Context.RoundTripTime, s.Context.Jitter, s.Context.Loss = bucket(), bucket(), bucket()
		s.Context.Burst, s.Context.Bandwidth = bucket(), bucket()
		switch {
		case chained:
			s.Context.Previous = previous
		case rng.IntN(3) > 0:
			s.Context.Previous = action()
		}
		if rng.IntN(8) == 0 {
			s.Action = model.Action{}
		}
		previous = s.Action
		r.Segments = append(r.Segments, s)
	}
	return r
}
