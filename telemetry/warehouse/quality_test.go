package warehouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// closeEnough compares means that were added up in another order; NaN equals NaN.
var closeEnough = cmp.Options{cmpopts.EquateApprox(1e-9, 1e-9), cmpopts.EquateNaNs()}

// legQuality calculates in plain Go what CallQualities calculates in SQL.
func legQuality(r *telemetry.Report, keep func(*model.Segment) bool) (warehouse.CallQuality, bool) {
	type arm struct {
		policy, experiment uint32
		arm                uint8
	}
	var weights []float64
	arms, actions := make(map[arm]float64), make(map[model.Action]float64)
	q := warehouse.CallQuality{
		Hour: r.Hour, Network: r.Context.Network, Metered: r.Context.Metered, Stars: r.Stars,
		Died: r.Dropped || r.Stage == model.StageOffer || r.Stage == model.StageICE || r.Stage == model.StageDTLS,
	}
	for i := range r.Segments {
		s := &r.Segments[i]
		weight := 0.0
		if keep(s) {
			weight = math.Max(float64(s.Seconds), 1)
			q.Seconds += uint32(s.Seconds)
			q.Segments++
		}
		weights = append(weights, weight)
		arms[arm{s.Policy, s.Experiment, s.Arm}] += weight
		actions[s.Action] += weight
	}
	mean := func(scale *model.Scale, bucket func(*model.Outcome) model.Bucket) float64 {
		sum, total := 0.0, 0.0
		for i := range r.Segments {
			if b := bucket(&r.Segments[i].Outcome); b > 0 {
				sum += weights[i] * scale.Value(b)
				total += weights[i]
			}
		}
		return sum / total
	}
	q.MOS = mean(model.ScaleMOS, func(o *model.Outcome) model.Bucket { return o.MOS })
	q.Kbps = mean(model.ScaleRate, func(o *model.Outcome) model.Bucket { return o.Rate })
	q.LossBefore = mean(model.ScaleOutcomeLoss, func(o *model.Outcome) model.Bucket { return o.LossBefore })
	q.LossAfter = mean(model.ScaleOutcomeLoss, func(o *model.Outcome) model.Bucket { return o.LossAfter })
	q.Mixed = len(arms) > 1
	bestArm, bestAction := -1.0, -1.0
	for i := range r.Segments { // in the order of the call: the first of equals wins
		s := &r.Segments[i]
		if w := arms[arm{s.Policy, s.Experiment, s.Arm}]; w > bestArm {
			bestArm, q.Policy, q.Experiment, q.Arm = w, s.Policy, s.Experiment, s.Arm
		}
		if w := actions[s.Action]; w > bestAction {
			bestAction, q.Action = w, s.Action
		}
	}
	return q, q.Segments > 0
}

// calm is a report whose segments share few actions and arms, so that "the longest" is a real choice.
func calm(rng *rand.Rand, segments int) telemetry.Report {
	r := randomReport(rng, segments)
	catalogue := model.DefaultCatalogue()
	for i := range r.Segments {
		s := &r.Segments[i]
		s.Action, s.Policy, s.Experiment, s.Arm = catalogue[rng.IntN(3)], uint32(rng.IntN(2)), uint32(rng.IntN(2)), uint8(rng.IntN(2))
	}
	return r
}

func TestCallQualities(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	rng := rand.New(rand.NewPCG(11, 12))
	var reports []telemetry.Report
	for range 300 {
		reports = append(reports, calm(rng, rng.IntN(8)))
	}
	insert(t, w, reports...)
	insert(t, w, reports[:200]...)
	for _, tc := range []struct {
		name   string
		filter warehouse.Filter
		keep   func(*model.Segment) bool
		empty  bool // legs without a matching segment are seen
	}{
		{"everything", warehouse.Filter{}, func(*model.Segment) bool { return true }, true},
		{"policy", warehouse.Filter{Policy: new(uint32(1))}, func(s *model.Segment) bool { return s.Policy == 1 }, false},
		{"experiment", warehouse.Filter{Experiment: new(uint32(0))}, func(s *model.Segment) bool { return s.Experiment == 0 }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var want []warehouse.CallQuality
			var origins []telemetry.Origin
			for i := range reports {
				if q, any := legQuality(&reports[i], tc.keep); any || tc.empty {
					want, origins = append(want, q), append(origins, reports[i].Origin)
				}
			}
			got, err := w.CallQualities(t.Context(), tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			key := func(q warehouse.CallQuality) string {
				return fmt.Sprint(q.Hour, q.Network, q.Metered, q.Seconds, q.Segments, q.Stars, q.Policy, q.Experiment, q.Arm, q.Action)
			}
			order := cmpopts.SortSlices(func(a, b warehouse.CallQuality) bool { return key(a) < key(b) })
			if diff := cmp.Diff(want, got, closeEnough, order); diff != "" {
				t.Error(diff)
			}
			checkNetworkQuality(t, w, tc.filter, want, origins)
		})
	}
}

// checkNetworkQuality sums up legs, each of an origin, in plain Go and compares.
func checkNetworkQuality(t *testing.T, w *warehouse.Warehouse, f warehouse.Filter, legs []warehouse.CallQuality, origins []telemetry.Origin) {
	t.Helper()
	type key struct {
		origin             telemetry.Origin
		network            model.NetworkType
		policy, experiment uint32
		arm                uint8
	}
	type sums struct {
		n                warehouse.NetworkQuality
		mos, kbps, loss  float64
		nKbps, nLoss, nP float64
		qualities        []float64 // in steps of 0.005, as the view rounds them
	}
	groups := make(map[key]*sums)
	for i, q := range legs {
		k := key{origins[i], q.Network, q.Policy, q.Experiment, q.Arm}
		g := groups[k]
		if g == nil {
			g = &sums{n: warehouse.NetworkQuality{Origin: k.origin, Network: k.network, Policy: k.policy, Experiment: k.experiment, Arm: k.arm}}
			groups[k] = g
		}
		g.n.Calls++
		quality := q.MOS
		if q.Died {
			quality = model.WorstMOS
			g.n.Died++
		}
		if !math.IsNaN(quality) {
			g.n.Judged++
			g.mos += quality
			g.qualities = append(g.qualities, math.Floor(quality/0.005+0.5)*0.005)
			if quality < warehouse.PoorMOS {
				g.nP++
			}
		}
		if !math.IsNaN(q.Kbps) {
			g.kbps += q.Kbps
			g.nKbps++
		}
		if !math.IsNaN(q.LossAfter) {
			g.loss += q.LossAfter
			g.nLoss++
		}
	}
	var want []warehouse.NetworkQuality
	for _, g := range groups {
		judged := float64(g.n.Judged)
		g.n.MOS, g.n.Poor, g.n.Kbps, g.n.LossAfter = g.mos/judged, g.nP/judged, g.kbps/g.nKbps, g.loss/g.nLoss
		slices.Sort(g.qualities)
		g.n.MedianMOS = math.NaN()
		if n := len(g.qualities); n > 0 {
			g.n.MedianMOS = g.qualities[(n-1)/2] // the least value that half of them do not exceed
		}
		want = append(want, g.n)
	}
	got, err := w.NetworkQuality(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	order := cmpopts.SortSlices(func(a, b warehouse.NetworkQuality) bool {
		place := func(q *warehouse.NetworkQuality) uint32 {
			return uint32(q.Origin)<<24 | uint32(q.Network)<<16 | q.Policy<<12 | q.Experiment<<8 | uint32(q.Arm)
		}
		return place(&a) < place(&b)
	})
	if diff := cmp.Diff(want, got, closeEnough, order); diff != "" {
		t.Error(diff)
	}
}

// The views answer with the same figures as the methods.
func TestQualityViews(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 1)
	rng := rand.New(rand.NewPCG(13, 14))
	var reports []telemetry.Report
	for range 100 {
		reports = append(reports, calm(rng, 4))
	}
	insert(t, w, reports...)
	insert(t, w, reports...)
	died := uint64(0)
	for i := range reports {
		if q, _ := legQuality(&reports[i], func(*model.Segment) bool { return true }); q.Died {
			died++
		}
	}
	for query, want := range map[string]uint64{
		"SELECT sum(calls) FROM calls_daily":                         100,
		"SELECT sum(died_calls) FROM calls_daily":                    died,
		"SELECT sum(calls) FROM network_quality":                     100,
		"SELECT sum(died_calls) FROM network_quality":                died,
		"SELECT count() FROM call_quality":                           100,
		"SELECT count() FROM calls_daily WHERE day < '2026-11-01'":   0,
		"SELECT count() FROM network_quality WHERE mean_quality < 1": 0,
		"SELECT count() FROM calls_daily WHERE poor_share > 1":       0,
		"SELECT count() FROM call_quality WHERE segments != 4":       0,
	} {
		if got := scalar[uint64](t, conn, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	w, conn := migratedFor(t, 1)
	if c, err := w.Counts(t.Context()); err != nil || c.Rows != 0 || c.OldestHour != 0 || c.Segments != 0 {
		t.Errorf("empty: %+v, %v", c, err)
	}
	reports := randomReports(rand.New(rand.NewPCG(15, 16)), 10, 3)
	reports[4].Hour, reports[5].Hour = baseHour-100, baseHour+100
	insert(t, w, reports...)
	insert(t, w, reports[:4]...)
	rejects := []warehouse.Reject{
		{Hour: baseHour, Reason: telemetry.RejectMalformed, Sequence: 7},
		{Hour: baseHour, Reason: telemetry.RejectMalformed, Sequence: 8},
		{Hour: baseHour, Reason: telemetry.RejectOutcome, Sequence: 9},
	}
	for range 2 { // a second delivery counts once
		if err := w.CountRejects(t.Context(), rejects); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := warehouse.Counts{
		Rows: got.Rows, Reports: 10, Duplicates: got.Rows - 10, Segments: 30, OldestHour: baseHour - 100, NewestHour: baseHour + 100,
		Rejected: map[telemetry.RejectReason]uint64{telemetry.RejectMalformed: 2, telemetry.RejectOutcome: 1},
		Origins:  map[telemetry.Origin]uint64{}, SegmentsOf: map[telemetry.Origin]uint64{},
	}
	for i := range reports {
		want.Origins[reports[i].Origin]++
		want.SegmentsOf[reports[i].Origin] += uint64(len(reports[i].Segments))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Rows != 14 && got.Rows != 10 { // a merge may have been quick
		t.Errorf("%d rows", got.Rows)
	}
	if n := scalar[uint64](t, conn, "SELECT sum(reports) FROM rejects_hourly WHERE reason = 'malformed'"); n != 2 {
		t.Errorf("rejects_hourly tells %d, want 2", n)
	}
	if err := w.Insert(t.Context(), nil); err != nil {
		t.Errorf("no reports: %v", err)
	}
	if err := w.CountRejects(t.Context(), nil); err != nil {
		t.Errorf("no rejects: %v", err)
	}
}
