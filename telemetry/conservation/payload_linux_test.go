package conservation

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// serial numbers a report, from 1. Every segment carries it, as policy and experiment.
type serial uint64

func (s serial) policy() uint32     { return uint32(s/1000) + 1 }
func (s serial) experiment() uint32 { return uint32(s % 1000) }

// serialOf is the serial that a segment carries.
func serialOf(policy, experiment uint32) serial {
	if policy == 0 {
		return 0
	}
	return serial(policy-1)*1000 + serial(experiment)
}

// author is who writes a report: what each may say differs.
type author uint8

const (
	byReporter  author = iota // telemetry.Reporter: it draws the id, and says the hour, the duration and the lost reports
	byPublisher               // a plain publisher, every field of the report is the payload's
)

// payload is f: what report s says. Fields that a Reporter fills in by itself are zero when it is the author; for a
// plain publisher the hour counts back from now.
func payload(seed uint64, s serial, by author, now uint32) telemetry.Report {
	rng := rand.New(rand.NewPCG(seed, uint64(s)))
	r := telemetry.Report{Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion}
	binary.BigEndian.PutUint64(r.ID[:8], rng.Uint64())
	binary.BigEndian.PutUint64(r.ID[8:], rng.Uint64())
	r.Context = situation(rng)
	r.Origin = pick[telemetry.Origin](rng, telemetry.OriginCount)
	r.Stage, r.Dropped = model.StageEnded, false
	if rng.IntN(4) == 0 {
		r.Stage, r.Dropped = 1+pick[model.Stage](rng, model.StageCount-2), true
	}
	segments := 1 + rng.IntN(10)
	previous := model.Action{}
	for range segments {
		segment := segmentAfter(rng, previous, r.Context)
		segment.Policy, segment.Experiment = s.policy(), s.experiment()
		r.Segments = append(r.Segments, segment)
		previous = segment.Action
	}
	if by == byReporter {
		r.ID = telemetry.ReportID{}
		return r
	}
	r.Hour = now - rng.Uint32N(72)
	r.Duration = bucket(rng, telemetry.ScaleDuration)
	if rng.IntN(3) == 0 {
		r.Stars, r.Problem = uint8(1+rng.IntN(telemetry.MaxRating)), uint8(1+rng.IntN(16))
	}
	for i := range r.Refusals {
		r.Refusals[i] = uint8(rng.Uint32()) >> rng.IntN(8)
	}
	r.LostSegments = rng.Uint32N(10)
	if rng.IntN(16) == 0 {
		r.Segments = nil
	}
	if rng.IntN(8) == 0 { // a client of version 1, which sends the opinion as it is
		r.Schema, r.Origin = 1, r.Origin%telemetry.OriginImport
		r.Rating, r.Stars, r.Problem = r.Stars, 0, 0
		if r.Rating > 0 {
			r.Problems = uint16(rng.IntN(int(telemetry.ProblemMask) + 1))
		}
	}
	return r
}

// opinion is what the user says of the call of report s, which a Reporter randomizes: every third call is rated.
func opinion(seed uint64, s serial) (rating uint8, problems uint16) {
	rng := rand.New(rand.NewPCG(^seed, uint64(s)))
	if rng.IntN(3) > 0 {
		return 0, 0
	}
	return uint8(1 + rng.IntN(telemetry.MaxRating)), uint16(rng.IntN(int(telemetry.ProblemMask) + 1))
}

// regions are few that many calls share and a tail that hardly any call does, so that some cells of region and network
// stay small.
func region(rng *rand.Rand) model.Region {
	switch rng.IntN(8) {
	case 0:
		return model.RegionWithheld
	case 1:
		return model.Region(rng.IntN(model.RegionCount))
	default:
		return model.Region(40 + rng.IntN(3))
	}
}

func situation(rng *rand.Rand) model.Context {
	return model.Context{
		Network: pick[model.NetworkType](rng, model.NetworkTypeCount), Metered: pick[model.Metered](rng, model.MeteredCount),
		Region: region(rng), Device: pick[model.DeviceClass](rng, model.DeviceClassCount),
		TimeOfDay: pick[model.TimeOfDay](rng, model.TimeOfDayCount), Reach: pick[model.Reach](rng, model.ReachCount),
	}
}

var catalogue = model.DefaultCatalogue()

func segmentAfter(rng *rand.Rand, previous model.Action, context model.Context) model.Segment {
	if rng.IntN(8) == 0 {
		context = situation(rng) // the call has moved
	}
	context.RoundTripTime, context.Jitter = bucket(rng, model.ScaleRoundTripTime), bucket(rng, model.ScaleJitter)
	context.Loss, context.Burst = bucket(rng, model.ScaleLoss), bucket(rng, model.ScaleBurst)
	context.Bandwidth, context.Previous = bucket(rng, model.ScaleBandwidth), previous
	return model.Segment{
		Cause: pick[model.Cause](rng, model.CauseCount), Context: context, Action: catalogue[rng.IntN(len(catalogue))],
		Propensity: 1 + rng.Uint32N(model.PropensityScale), Explored: rng.IntN(2) == 0, Arm: uint8(rng.IntN(4)),
		Seconds: uint8(rng.IntN(model.MaxSegmentSeconds + 1)),
		Outcome: model.Outcome{
			MOS: bucket(rng, model.ScaleMOS), LossBefore: bucket(rng, model.ScaleOutcomeLoss),
			LossAfter: bucket(rng, model.ScaleOutcomeLoss), Concealed: bucket(rng, model.ScaleOutcomeLoss),
			RoundTripTime: bucket(rng, model.ScaleDelay), JitterBufferDelay: bucket(rng, model.ScaleDelay),
			Rate: bucket(rng, model.ScaleRate),
		},
	}
}

func pick[E ~uint8](rng *rand.Rand, n int) E { return E(rng.IntN(n)) }

func bucket(rng *rand.Rand, s *model.Scale) model.Bucket {
	return model.Bucket(rng.IntN(s.Buckets() + 1))
}
