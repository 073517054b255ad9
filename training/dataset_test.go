package training

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

func goodSegment() model.Segment {
	return model.Segment{
		Cause: model.CauseInterval, Action: model.DefaultAction(), Propensity: 500_000, Policy: 1, Seconds: 5,
		Outcome: model.Outcome{MOS: model.ScaleMOS.Bucket(4.02), Rate: model.ScaleRate.Bucket(50)},
	}
}

func TestDatasetRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*model.Segment)
		died   bool
		want   Refused
	}{
		"good":                     {change: func(*model.Segment) {}},
		"no propensity":            {change: func(s *model.Segment) { s.Propensity = 0 }, want: Refused{MissingPropensity: 1}},
		"certain":                  {change: func(s *model.Segment) { s.Propensity = model.PropensityScale }},
		"more than certain":        {change: func(s *model.Segment) { s.Propensity = model.PropensityScale + 1 }, want: Refused{ImpossiblePropensity: 1}},
		"no quality":               {change: func(s *model.Segment) { s.Outcome.MOS = 0 }, want: Refused{NoQuality: 1}},
		"no quality, but died":     {change: func(s *model.Segment) { s.Outcome.MOS = 0 }, died: true},
		"no action":                {change: func(s *model.Segment) { s.Action = model.Action{} }, want: Refused{Invalid: 1}},
		"context off its scale":    {change: func(s *model.Segment) { s.Context.Loss = 99 }, want: Refused{Invalid: 1}},
		"outcome off its scale":    {change: func(s *model.Segment) { s.Outcome.MOS = 200 }, want: Refused{Invalid: 1}},
		"propensity before action": {change: func(s *model.Segment) { s.Propensity, s.Action = 0, model.Action{} }, want: Refused{MissingPropensity: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			segment := goodSegment()
			test.change(&segment)
			var d Dataset
			d.Add(1, 20000, segment, test.died)
			if diff := cmp.Diff(test.want, d.Refused()); diff != "" {
				t.Error(diff)
			}
			if d.Len()+d.Refused().Total() != 1 {
				t.Errorf("%d taken, %d refused of 1", d.Len(), d.Refused().Total())
			}
		})
	}
}

func TestFingerprintSeesEveryColumn(t *testing.T) {
	fingerprint := func(call uint32, day int, s model.Segment, died bool) string {
		var d Dataset
		d.Add(call, day, s, died)
		if d.Len() != 1 {
			t.Fatalf("segment refused: %v", d.Refused())
		}
		return d.Fingerprint()
	}
	seen := map[string]string{fingerprint(1, 20000, goodSegment(), false): "original"}
	note := func(name, f string) {
		if other, ok := seen[f]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[f] = name
	}
	d := Dataset{Origins: []telemetry.Origin{telemetry.OriginCall}}
	d.Add(1, 20000, goodSegment(), false)
	note("origins", d.Fingerprint())
	note("call", fingerprint(2, 20000, goodSegment(), false))
	note("day", fingerprint(1, 20001, goodSegment(), false))
	note("died", fingerprint(1, 20000, goodSegment(), true))
	for name, change := range map[string]func(*model.Segment){
		"propensity": func(s *model.Segment) { s.Propensity-- },
		"policy":     func(s *model.Segment) { s.Policy++ },
		"arm":        func(s *model.Segment) { s.Arm++ },
		"bitrate":    func(s *model.Segment) { s.Action.BitrateKbps++ },
		"dtx":        func(s *model.Segment) { s.Action.DTX = true },
		"previous":   func(s *model.Segment) { s.Context.Previous = model.DefaultAction() },
		"region":     func(s *model.Segment) { s.Context.Region = 249 },
		"region low": func(s *model.Segment) { s.Context.Region = 1 },
		"bandwidth":  func(s *model.Segment) { s.Context.Bandwidth = 1 },
		"burst":      func(s *model.Segment) { s.Context.Burst = 1 },
		"mos":        func(s *model.Segment) { s.Outcome.MOS++ },
		"rate":       func(s *model.Segment) { s.Outcome.Rate++ },
	} {
		segment := goodSegment()
		change(&segment)
		note(name, fingerprint(1, 20000, segment, false))
	}
	if again := fingerprint(1, 20000, goodSegment(), false); seen[again] != "original" {
		t.Error("equal data gave another fingerprint")
	}
}

func TestFoldsKeepCallsWhole(t *testing.T) {
	for name, days := range map[string]int{"by hash": 2, "by day": 7} {
		t.Run(name, func(t *testing.T) {
			var d Dataset
			for i := range 3000 {
				call := i / 3
				d.Add(uint32(call), 20000+call%days, goodSegment(), false)
			}
			folds := d.folds(5)
			ofCall, ofDay, sizes := map[uint32]int{}, map[int]int{}, [foldCount]int{}
			for i, fold := range folds {
				r := d.rows[i]
				sizes[fold]++
				if other, ok := ofCall[r.call]; ok && other != fold {
					t.Fatalf("call %d is in folds %d and %d", r.call, other, fold)
				}
				ofCall[r.call] = fold
				if other, ok := ofDay[r.day]; ok && other != fold && days >= minSplitDays {
					t.Fatalf("day %d is in folds %d and %d", r.day, other, fold)
				}
				ofDay[r.day] = fold
			}
			for fold, size := range sizes {
				if size < 300 {
					t.Errorf("fold %d has %d of 3000 rows", fold, size)
				}
			}
		})
	}
}

func TestDivideKeepsCallsWhole(t *testing.T) {
	var d Dataset
	for i := range 3000 {
		d.Add(uint32(i/3), 20000, goodSegment(), false)
	}
	fit, stop := divide(d.examples(model.DefaultPrice(), 10, 1), 9)
	if len(fit)+len(stop) != 3000 || len(stop) < 450 || len(stop) > 750 {
		t.Errorf("%d to fit, %d to stop on, of 3000", len(fit), len(stop))
	}
	held := map[uint32]bool{}
	for _, e := range stop {
		held[e.call] = true
	}
	for _, e := range fit {
		if held[e.call] {
			t.Fatalf("call %d is on both sides", e.call)
		}
	}
}

func TestExamplesAreWeightedAndPriced(t *testing.T) {
	var d Dataset
	for i, propensity := range []uint32{1_000_000, 500_000, 10_000, 1} {
		segment := goodSegment()
		segment.Propensity = propensity
		segment.Context.Metered = model.MeteredYes
		d.Add(uint32(i), 20000, segment, i == 3)
	}
	price := model.Price{MOSPerKbps: 0.01, MeteredFactor: 3}
	examples := d.examples(price, 10, 1)
	var total float64
	for i, want := range []float64{1, 2, 10, 10} {
		e := examples[i]
		total += float64(e.weight)
		if ratio := float64(e.weight / examples[0].weight); math.Abs(ratio-want) > 1e-5 {
			t.Errorf("row %d weighs %v times the first, want %v", i, ratio, want)
		}
	}
	if math.Abs(total-4) > 1e-5 {
		t.Errorf("weights sum to %v, want one each", total)
	}
	kbps := model.ScaleRate.Value(model.ScaleRate.Bucket(50))
	for i, mos := range map[int]float64{0: 4.025, 3: model.WorstMOS} {
		if want := mos - 0.03*kbps; math.Abs(float64(examples[i].reward)-want) > 1e-5 {
			t.Errorf("row %d has reward %v, want %v", i, examples[i].reward, want)
		}
	}
}

// A decision answers for the time up to the horizon: for part of a segment, not for another leg or action, and for all of
// it when the call died.
func TestRewardLooksAhead(t *testing.T) {
	var d Dataset
	leg := func(call uint32, died bool, seconds []uint8, mos ...float64) {
		for i, m := range mos {
			s := goodSegment()
			s.Seconds, s.Outcome.MOS = seconds[i], model.ScaleMOS.Bucket(m)
			s.Context.Previous = s.Action
			if i == 0 {
				s.Context.Previous = model.Action{}
			}
			d.Add(call, 20000, s, died && i == len(mos)-1)
		}
	}
	leg(1, false, []uint8{4, 4, 4, 4}, 4, 3, 2, 1)
	leg(1, false, []uint8{2}, 4) // the other leg of the call
	leg(2, true, []uint8{4, 1}, 4, 3)
	leg(3, false, []uint8{0, 4}, 4, 3)
	d.rows[len(d.rows)-1].action.BitrateKbps = 16
	q := func(mos float64) float64 { return model.ScaleMOS.Value(model.ScaleMOS.Bucket(mos)) }
	for horizon, want := range map[int][]float64{
		1: {q(4), q(3), q(2), q(1), q(4), q(4), model.WorstMOS, q(4), q(3)},
		10: {
			(4*q(4) + 4*q(3) + 2*q(2)) / 10, (4*q(3) + 4*q(2) + 2*q(1)) / 10, (4*q(2) + 4*q(1)) / 8, q(1), q(4),
			(4*q(4) + 6*model.WorstMOS) / 10, model.WorstMOS, q(4), q(3),
		},
	} {
		for i, e := range d.examples(model.Price{MeteredFactor: 1}, 1, horizon) {
			if math.Abs(float64(e.reward)-want[i]) > 1e-5 {
				t.Errorf("horizon %d s: row %d has reward %v, want %v", horizon, i, e.reward, want[i])
			}
		}
	}
}

func TestBootstrapIsPoissonByCall(t *testing.T) {
	const calls = 20000
	rows := make([]example, 2*calls)
	for i := range rows {
		rows[i].row = &row{call: uint32(i / 2)}
	}
	counts := bootstrap(rows, 5, 3)
	var histogram [9]float64
	for i := 0; i < len(counts); i += 2 {
		if counts[i] != counts[i+1] {
			t.Fatalf("two segments of call %d count %v and %v", i/2, counts[i], counts[i+1])
		}
		for _, n := range counts[i] {
			histogram[n] += 1.0 / (5 * calls)
		}
	}
	want := math.Exp(-1)
	for n := range 6 {
		if math.Abs(histogram[n]-want) > 0.01 {
			t.Errorf("count %d has share %v, want %v", n, histogram[n], want)
		}
		want /= float64(n + 1)
	}
}
