package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// usualActions are what a call runs: one most of the time, the others when it explores.
var usualActions = [...]model.Action{
	{Codec: model.CodecOpus, BitrateKbps: 24, Bandwidth: model.BandwidthSuperWide, FrameMillis: 60, ExpectedLoss: 10, Transport: model.TransportDirect},
	{Codec: model.CodecOpus, BitrateKbps: 8, Bandwidth: model.BandwidthNarrow, FrameMillis: 60, Transport: model.TransportDirect},
	{Codec: model.CodecOpus, BitrateKbps: 32, Bandwidth: model.BandwidthFull, FrameMillis: 20, ExpectedLoss: 25, Transport: model.TransportDirect},
	{Codec: model.CodecOpusRED, BitrateKbps: 16, Bandwidth: model.BandwidthWide, FrameMillis: 40, REDDepth: 1, Transport: model.TransportRelayUDP, Site: 2},
	{Codec: model.CodecOpus, BitrateKbps: 16, Bandwidth: model.BandwidthWide, FrameMillis: 60, DTX: true, Transport: model.TransportRelayTCP, Site: 1},
}

// call is a call of n segments of 4 s, as a real client measures it: a day's hours, twenty countries, four networks, one
// policy, a tenth of the decisions exploring.
func call(rng *rand.Rand, n int) (telemetry.Report, []model.Measurement) {
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion,
		Hour: telemetry.HourOf(time.Now()) - uint32(rng.IntN(3)), Origin: telemetry.OriginSimulation,
		Context: model.Context{
			Network: model.Network2G + model.NetworkType(rng.IntN(4)), Metered: model.MeteredYes, Region: model.Region(1 + rng.IntN(20)),
			Device: model.DeviceMid, TimeOfDay: model.TimeAfternoon, Reach: model.ReachUDP,
		},
		Stage: model.StageEnded, Duration: telemetry.ScaleDuration.Bucket(float64(4 * n)),
		Segments: make([]model.Segment, 0, n),
	}
	binary.LittleEndian.PutUint64(r.ID[:], rng.Uint64()|1)
	binary.LittleEndian.PutUint64(r.ID[8:], rng.Uint64()|1)
	measured := make([]model.Measurement, n)
	context, loss := r.Context, 0.02*rng.Float64()
	for i := range n {
		m := &measured[i]
		*m = model.Measurement{
			MOS: 3 + rng.Float64(), LossBefore: loss * (0.5 + rng.Float64()), LossAfter: 0.3 * loss, Concealed: 0.4 * loss,
			BurstRatio: 1 + rng.Float64(), RoundTripTime: time.Duration(60+rng.IntN(120)) * time.Millisecond,
			Jitter: time.Duration(2+rng.IntN(20)) * time.Millisecond, JitterBufferDelay: time.Duration(40+rng.IntN(60)) * time.Millisecond,
			SentKbps: 20 + 12*rng.Float64(), AvailableKbps: 60 + 60*rng.Float64(),
		}
		s := model.Segment{
			Cause: model.CauseInterval, Context: context, Action: usualActions[0], Propensity: 912_345,
			Policy: 12, Experiment: 3, Arm: 1, Seconds: 4, Outcome: m.Outcome(),
		}
		if i == 0 {
			s.Cause = model.CauseStart
		}
		if rng.IntN(10) == 0 {
			s.Action, s.Explored, s.Propensity = usualActions[1+rng.IntN(4)], true, 1_234
		}
		r.Segments = append(r.Segments, s)
		m.Describe(&context)
		context.Previous = s.Action
	}
	return r, measured
}

// calls are n calls of so many segments, the same for the same seed and hour.
func calls(seed uint64, n, least, most int) []telemetry.Report {
	rng := rand.New(rand.NewPCG(seed, 3))
	reports := make([]telemetry.Report, n)
	for i := range reports {
		reports[i], _ = call(rng, least+rng.IntN(most-least+1))
	}
	return reports
}

// Calls of the end-to-end parts: half a minute to three minutes, 25 segments in the mean.
const (
	leastSegments = 5
	mostSegments  = 45
	templates     = 2000
)

// fleet makes reports by number, without encoding each: a template with another id.
type fleet struct {
	reports   []telemetry.Report
	encoded   [][]byte
	high, low []int // where the halves of the id are in the encoding
	meanBytes float64
}

func newFleet(seed uint64) (*fleet, error) {
	f := &fleet{reports: calls(seed, templates, leastSegments, mostSegments)}
	for i := range f.reports {
		r := &f.reports[i]
		data, err := r.AppendMarshal(nil)
		if err != nil {
			return nil, err
		}
		high, low := bytes.Index(data, swapped(r.ID[:8])), bytes.Index(data, swapped(r.ID[8:]))
		if high < 0 || low < 0 {
			return nil, fmt.Errorf("the id of a report is not in its encoding as two fixed numbers: the benchmark must be brought up to date")
		}
		f.encoded, f.high, f.low = append(f.encoded, data), append(f.high, high), append(f.low, low)
		f.meanBytes += float64(len(data)) / templates
	}
	for i := range uint64(templates) {
		size := 0
		for n := i; n < i+packReports; n++ {
			size += telemetry.PackedSize(len(f.encoded[n%templates]))
		}
		if size > telemetry.MaxPackSize {
			return nil, fmt.Errorf("%d reports make a pack of %d bytes, more than %d: the benchmark must make smaller ones", packReports, size, telemetry.MaxPackSize)
		}
	}
	// Better here than in a figure: a changed template must be the report it stands for.
	var r telemetry.Report
	if err := telemetry.Unmarshal(f.appendReport(nil, 12_345), &r); err != nil || r.ID != idOf(12_345) {
		return nil, fmt.Errorf("a template with another id reads as report %v: %w", r.ID, err)
	}
	return f, nil
}

// swapped is half an id in the order of the wire: a big-endian number as a little-endian one.
func swapped(half []byte) []byte {
	return binary.LittleEndian.AppendUint64(nil, binary.BigEndian.Uint64(half))
}

// appendReport appends the encoding of report number n.
func (f *fleet) appendReport(b []byte, n uint64) []byte {
	t := int(n % templates)
	start := len(b)
	b = append(b, f.encoded[t]...)
	id := idOf(n)
	binary.LittleEndian.PutUint64(b[start+f.high[t]:], binary.BigEndian.Uint64(id[:8]))
	binary.LittleEndian.PutUint64(b[start+f.low[t]:], binary.BigEndian.Uint64(id[8:]))
	return b
}

// probe appends the encoding of report number n that carries another number, by which a query finds it.
func (f *fleet) probe(b []byte, n, number uint64) ([]byte, error) {
	r := f.reports[n%templates]
	r.ID, r.LostReports = idOf(n), uint32(min(number, telemetry.MaxLostReports))
	return r.AppendMarshal(b)
}

// idOf is an id that looks random and tells its number to numberOf.
func idOf(n uint64) (id telemetry.ReportID) {
	binary.BigEndian.PutUint64(id[:8], mix(n^0x5851f42d4c957f2d))
	binary.BigEndian.PutUint64(id[8:], mix(n+1))
	return id
}

// numberOf is the number of an id, and false for an id that idOf does not make.
func numberOf(id telemetry.ReportID) (uint64, bool) {
	n := unmix(binary.BigEndian.Uint64(id[8:])) - 1
	return n, idOf(n) == id
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014), a bijection; unmix is its inverse.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func unmix(z uint64) uint64 {
	z = (z ^ z>>31 ^ z>>62) * 0x319642b2d24d8ec3
	z = (z ^ z>>27 ^ z>>54) * 0x96de1b173f119089
	return z ^ z>>30 ^ z>>60
}
