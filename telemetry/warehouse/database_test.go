package warehouse_test

import (
	"math/rand/v2"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/response"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

// migrated is a warehouse with empty tables, and a plain connection to look at them.
func migrated(t testing.TB) (*warehouse.Warehouse, driver.Conn) {
	t.Helper()
	w, dsn := warehousetest.Migrated(t)
	return w, warehousetest.Raw(t, dsn)
}

func insert(t testing.TB, w *warehouse.Warehouse, reports ...telemetry.Report) {
	t.Helper()
	if err := w.Insert(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
}

func scalar[T any](t testing.TB, conn driver.Conn, query string) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// baseHour is 2026-11-02 00:00 UTC.
const baseHour = 498_216

// randomReport is a valid report with every field drawn.
func randomReport(rng *rand.Rand, segments int) telemetry.Report {
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Hour: baseHour + rng.Uint32N(72),
		Origin: draw[telemetry.Origin](rng, int(telemetry.OriginImport)), Context: staticContext(rng),
		Stage: draw[model.Stage](rng, model.StageCount), Dropped: rng.IntN(4) == 0,
		Duration:     drawBucket(rng, telemetry.ScaleDuration),
		LostSegments: rng.Uint32N(telemetry.MaxLostSegments), LostReports: rng.Uint32N(telemetry.MaxLostReports),
	}
	if rng.IntN(2) == 0 {
		r.Stars, r.Problem = uint8(1+rng.IntN(response.Stars)), uint8(1+rng.IntN(response.MaxProblem))
	}
	for i := range r.ID {
		r.ID[i] = uint8(rng.Uint32())
	}
	for i := range r.Refusals {
		r.Refusals[i] = uint8(rng.Uint32())
	}
	for range segments {
		r.Segments = append(r.Segments, randomSegment(rng))
	}
	return r
}

func randomReports(rng *rand.Rand, n, segments int) []telemetry.Report {
	list := make([]telemetry.Report, n)
	for i := range list {
		list[i] = randomReport(rng, segments)
	}
	return list
}

func staticContext(rng *rand.Rand) model.Context {
	return model.Context{
		Network: draw[model.NetworkType](rng, model.NetworkTypeCount), Metered: draw[model.Metered](rng, model.MeteredCount),
		Region: model.Region(rng.IntN(model.RegionCount)), Device: draw[model.DeviceClass](rng, model.DeviceClassCount),
		TimeOfDay: draw[model.TimeOfDay](rng, model.TimeOfDayCount), Reach: draw[model.Reach](rng, model.ReachCount),
	}
}

func randomSegment(rng *rand.Rand) model.Segment {
	c := staticContext(rng)
	c.RoundTripTime, c.Jitter = drawBucket(rng, model.ScaleRoundTripTime), drawBucket(rng, model.ScaleJitter)
	c.Loss, c.Burst = drawBucket(rng, model.ScaleLoss), drawBucket(rng, model.ScaleBurst)
	c.Bandwidth = drawBucket(rng, model.ScaleBandwidth)
	if rng.IntN(3) > 0 {
		c.Previous = randomAction(rng)
	}
	return model.Segment{
		Cause: draw[model.Cause](rng, model.CauseCount), Context: c, Action: randomAction(rng),
		Propensity: 1 + rng.Uint32N(model.PropensityScale), Explored: rng.IntN(2) == 0,
		Policy: rng.Uint32N(model.MaxPolicyVersion), Experiment: rng.Uint32N(model.MaxExperiment), Arm: uint8(rng.Uint32()), Seconds: uint8(rng.IntN(model.MaxSegmentSeconds + 1)),
		Outcome: model.Outcome{
			MOS: drawBucket(rng, model.ScaleMOS), LossBefore: drawBucket(rng, model.ScaleOutcomeLoss),
			LossAfter: drawBucket(rng, model.ScaleOutcomeLoss), Concealed: drawBucket(rng, model.ScaleOutcomeLoss),
			RoundTripTime: drawBucket(rng, model.ScaleDelay), JitterBufferDelay: drawBucket(rng, model.ScaleDelay),
			Rate: drawBucket(rng, model.ScaleRate),
		},
	}
}

func randomAction(rng *rand.Rand) model.Action {
	a := model.Action{
		Codec: 1 + draw[model.Codec](rng, model.CodecCount-1), BitrateKbps: uint8(model.MinBitrateKbps + rng.IntN(model.MaxBitrateKbps-model.MinBitrateKbps+1)),
		Bandwidth: 1 + draw[model.AudioBandwidth](rng, model.AudioBandwidthCount-1), FrameMillis: []uint8{20, 40, 60, 120}[rng.IntN(4)],
		ExpectedLoss: uint8(rng.IntN(model.MaxExpectedLoss + 1)), DTX: rng.IntN(2) == 0,
		Transport: 1 + draw[model.Transport](rng, model.TransportCount-1), Site: model.Site(rng.Uint32()),
	}
	if a.Codec == model.CodecOpusRED {
		a.REDDepth = uint8(1 + rng.IntN(model.MaxREDDepth))
	}
	if a.Transport == model.TransportDirect {
		a.Site = 0
	}
	return a
}

func draw[E ~uint8](rng *rand.Rand, n int) E { return E(rng.IntN(n)) }

func drawBucket(rng *rand.Rand, s *model.Scale) model.Bucket {
	return model.Bucket(rng.IntN(s.Buckets() + 1))
}
