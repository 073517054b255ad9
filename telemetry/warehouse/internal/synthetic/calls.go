// Package synthetic makes reports of calls that never took place: the same ones in every run of one seed, for the pages
// of examples and for tests. They are shaped like calls (networks, policies, exploration, ratings), but no figure made
// from them says anything about real networks.
package synthetic

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/response"
)

// What the calls are spread over. The first day is a Monday.
const (
	Days        = 21
	CallsPerDay = 2880
	// ChangeDay is the day, counted from 0, on which policy 2 follows policy 1.
	ChangeDay = 11
)

// FirstDay is when the first call begins.
var FirstDay = time.Date(2026, time.October, 5, 0, 0, 0, 0, time.UTC)

// explored is the share of decisions drawn uniformly from the candidates.
const explored = 0.12

// network says how calls on one type of network fare.
type network struct {
	kind      model.NetworkType
	weight    int
	loss      float64 // mean share of packets lost
	kbps      float64 // median of what the path carries
	roundTrip float64 // median, in ms
	metered   model.Metered
	preferred model.Action // by policy 2; policy 1 prefers the default everywhere
}

var (
	narrow   = action(12, model.BandwidthWide, 60, 0)
	thrifty  = action(16, model.BandwidthWide, 60, 0)
	guarded  = action(24, model.BandwidthSuperWide, 20, 25)
	standard = model.DefaultAction()
	rich     = action(48, model.BandwidthFull, 20, 0)
)

// candidates are what a decision chooses from.
var candidates = []model.Action{narrow, thrifty, guarded, standard, rich}

var networks = []network{
	{model.NetworkWiFi, 42, 0.008, 400, 40, model.MeteredNo, standard},
	{model.Network4G, 31, 0.025, 120, 70, model.MeteredYes, guarded},
	{model.Network3G, 19, 0.030, 70, 130, model.MeteredYes, thrifty},
	{model.Network5G, 8, 0.010, 300, 45, model.MeteredYes, standard},
}

var regions = []struct {
	code   string
	weight int
	harder float64 // loss and round trip times are this many times those of the network
}{
	{"DE", 40, 1}, {"BR", 26, 1.3}, {"IN", 20, 1.5}, {"KE", 12, 1.8}, {"IS", 2, 0.8},
}

func action(kbps uint8, band model.AudioBandwidth, frame, fec uint8) model.Action {
	return model.Action{
		Codec: model.CodecOpus, BitrateKbps: kbps, Bandwidth: band, FrameMillis: frame, ExpectedLoss: fec,
		Transport: model.TransportDirect,
	}
}

// Calls makes Days x CallsPerDay valid reports, in the order of time.
func Calls(seed uint64) []telemetry.Report {
	rng := rand.New(rand.NewPCG(seed, 1))
	reports := make([]telemetry.Report, 0, Days*CallsPerDay)
	for day := range Days {
		for i := range CallsPerDay {
			began := FirstDay.AddDate(0, 0, day).Add(time.Duration(i*24/CallsPerDay) * time.Hour)
			reports = append(reports, report(rng, day, began))
		}
	}
	return reports
}

func report(rng *rand.Rand, day int, began time.Time) telemetry.Report {
	net := &networks[pick(rng, len(networks), func(i int) int { return networks[i].weight })]
	place := &regions[pick(rng, len(regions), func(i int) int { return regions[i].weight })]
	region, err := model.ParseRegion(place.code)
	if err != nil {
		panic(err) // a code of the list above is wrong
	}
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion,
		Hour: telemetry.HourOf(began), Origin: telemetry.OriginCall, Stage: model.StageEnded,
		Context: model.Context{
			Network: net.kind, Metered: net.metered, Region: region, Device: model.DeviceClass(1 + rng.IntN(model.DeviceClassCount-1)),
			TimeOfDay: model.TimeOfDay(1 + rng.IntN(model.TimeOfDayCount-1)), Reach: model.ReachUDP,
		},
	}
	binary.BigEndian.PutUint64(r.ID[:8], rng.Uint64())
	binary.BigEndian.PutUint64(r.ID[8:], rng.Uint64())
	c := conditions{
		loss:      math.Min(0.4, net.loss*place.harder*rng.ExpFloat64()),
		kbps:      net.kbps / place.harder * math.Exp(0.5*rng.NormFloat64()),
		roundTrip: net.roundTrip * place.harder * math.Exp(0.3*rng.NormFloat64()),
	}
	quality := c.talk(rng, &r, day, net)
	if rng.Float64() < 0.006+0.25*c.loss {
		r.Dropped = true
		quality = model.WorstMOS
	}
	if rng.Float64() < 0.45 {
		rate(rng, &r, quality, c)
	}
	return r
}

// conditions are what one call meets.
type conditions struct{ loss, kbps, roundTrip float64 }

// talk adds the segments of a call and returns its mean quality.
func (c conditions) talk(rng *rand.Rand, r *telemetry.Report, day int, net *network) float64 {
	version, preferred := uint32(1), standard
	if day >= ChangeDay {
		version, preferred = 2, net.preferred
	}
	var sum, seconds float64
	context := r.Context
	for i := range 1 + rng.IntN(4) {
		chosen, cause := preferred, model.CauseInterval
		if rng.Float64() < explored {
			chosen = candidates[rng.IntN(len(candidates))]
		}
		if i == 0 {
			cause = model.CauseStart
		}
		propensity := explored / float64(len(candidates))
		if chosen == preferred {
			propensity += 1 - explored
		}
		length := 8 + rng.IntN(52)
		mos := c.mos(rng, chosen)
		r.Segments = append(r.Segments, model.Segment{
			Cause: cause, Context: context, Action: chosen, Propensity: uint32(math.Round(propensity * model.PropensityScale)),
			Explored: chosen != preferred, Policy: version, Seconds: uint8(length),
			Outcome: model.Outcome{
				MOS: model.ScaleMOS.Bucket(mos), LossBefore: model.ScaleOutcomeLoss.Bucket(c.loss),
				LossAfter:     model.ScaleOutcomeLoss.Bucket(c.loss * repaired(chosen)),
				RoundTripTime: model.ScaleDelay.Bucket(c.roundTrip), Rate: model.ScaleRate.Bucket(chosen.WireKbps()),
			},
		})
		context.Previous = chosen
		context.Loss, context.RoundTripTime = model.ScaleLoss.Bucket(c.loss), model.ScaleRoundTripTime.Bucket(c.roundTrip)
		context.Bandwidth = model.ScaleBandwidth.Bucket(c.kbps)
		sum += mos * float64(length)
		seconds += float64(length)
	}
	r.Duration = telemetry.ScaleDuration.Bucket(seconds)
	return sum / seconds
}

// repaired is the share of the loss that is left after error correction.
func repaired(a model.Action) float64 {
	if a.FEC() {
		return 0.9 - 0.02*float64(a.ExpectedLoss)
	}
	return 1
}

// mos is what an action comes to: its coding quality, less what loss, delay and a full link cost. The figures are made up.
func (c conditions) mos(rng *rand.Rand, a model.Action) float64 {
	q := 4.55 - 6/float64(a.BitrateKbps)
	q -= 14 * c.loss * repaired(a)
	q -= 0.0015 * (c.roundTrip + float64(a.FrameMillis))
	if over := a.WireKbps() / c.kbps; over > 0.8 {
		q -= 1.6 * (over - 0.8)
	}
	return math.Max(model.WorstMOS, math.Min(4.5, q+0.15*rng.NormFloat64()))
}

// pick draws an index with a chance in proportion to its weight.
func pick(rng *rand.Rand, n int, weight func(int) int) int {
	total := 0
	for i := range n {
		total += weight(i)
	}
	draw := rng.IntN(total)
	for i := range n {
		if draw -= weight(i); draw < 0 {
			return i
		}
	}
	panic("unreachable: the draw is below the total")
}

// rate adds a randomized opinion. Package response draws from the system's generator, whose draws cannot be repeated;
// the chances here are the same.
func rate(rng *rand.Rand, r *telemetry.Report, quality float64, c conditions) {
	stars := uint8(math.Max(1, math.Min(response.Stars, math.Round(quality+0.6*rng.NormFloat64()))))
	truth := math.Exp(response.EpsilonStars) / (math.Exp(response.EpsilonStars) + response.Stars - 1)
	if rng.Float64() >= truth {
		stars = 1 + (stars-1+uint8(1+rng.IntN(response.Stars-1)))%response.Stars
	}
	r.Stars = stars

	flag := uint8(rng.IntN(response.Flags))
	yes := rng.Float64() < c.trouble(1<<flag)
	truth = math.Exp(response.EpsilonProblem) / (math.Exp(response.EpsilonProblem) + 1)
	r.Problem = response.ProblemAnswer(flag, yes == (rng.Float64() < truth))
}

// trouble is the chance that a user would complain of a problem.
func (c conditions) trouble(problem uint16) float64 {
	switch problem {
	case telemetry.ProblemCuts:
		return math.Min(0.9, 8*c.loss)
	case telemetry.ProblemDistorted:
		return math.Min(0.5, 3*c.loss)
	case telemetry.ProblemDelay:
		return math.Min(0.8, c.roundTrip/800)
	case telemetry.ProblemEcho, telemetry.ProblemNoise:
		return 0.06
	default:
		return 0.02
	}
}
