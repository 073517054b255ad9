package history_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/history"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

var frames = func() *sim.Frames {
	random := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, 6*48000)
	for i := range pcm {
		envelope := math.Max(0, math.Sin(2*math.Pi*0.7*float64(i)/48000))
		pcm[i] = int16(3000 * envelope * random.NormFloat64())
	}
	f, err := sim.NewFrames(pcm)
	if err != nil {
		panic(err)
	}
	return f
}()

// explorer is a static policy that explores a fifth of its decisions uniformly over the default catalogue.
func explorer(t testing.TB) compare.Contender {
	t.Helper()
	catalogue := model.DefaultCatalogue()
	d := policy.Document{
		Format: policy.Format, FeatureSpec: model.FeatureSpec, Version: 3,
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		Catalogue: catalogue, Sites: []policy.Site{lab.Site()}, Price: model.DefaultPrice(), IntervalSeconds: 4,
		Envelope: policy.SafeEnvelope(),
		Arms: []policy.Arm{{
			Name: "a", Weight: policy.WeightScale,
			Default:     map[model.NetworkType]int{model.NetworkUnknown: catalogue.Index(model.DefaultAction())},
			Exploration: policy.Exploration{Share: map[model.NetworkType]float64{model.NetworkUnknown: 0.2}},
		}},
	}
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := compare.Policy("explorer", p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var now = time.Date(2026, 11, 20, 15, 30, 0, 0, time.UTC)

func config(t testing.TB) history.Config {
	return history.Config{
		Suite: suite.Builtin(), Contender: explorer(t), Frames: frames, Calls: 60, Seed: 1, Duration: 20 * time.Second,
		Began: now, Over: 48 * time.Hour,
	}
}

func TestReportsAreWhatClientsSend(t *testing.T) {
	seen := map[telemetry.ReportID]bool{}
	hours := map[uint32]bool{}
	networks := map[model.NetworkType]bool{}
	explored, segments := 0, 0
	summary, err := history.Make(t.Context(), config(t), func(id telemetry.ReportID, data []byte) error {
		var r telemetry.Report
		if err := telemetry.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		if err := r.Validate(); err != nil {
			t.Errorf("report %v: %v", id, err)
		}
		if r.ID != id || seen[id] {
			t.Errorf("report %v has id %v, or one that was used before", id, r.ID)
		}
		seen[id] = true
		if r.Origin != telemetry.OriginSimulation || r.Schema != telemetry.SchemaVersion {
			t.Errorf("origin %v, schema %d", r.Origin, r.Schema)
		}
		hours[r.Hour], networks[r.Context.Network] = true, true
		if r.Hour > telemetry.HourOf(now) || r.Hour < telemetry.HourOf(now)-48 {
			t.Errorf("hour %d is not within two days of %d", r.Hour, telemetry.HourOf(now))
		}
		if r.Context.Device == 0 || r.Context.TimeOfDay == 0 {
			t.Errorf("context %+v", r.Context)
		}
		for i, s := range r.Segments {
			if s.Policy != 3 {
				t.Errorf("segment decided by policy %d", s.Policy)
			}
			if s.Explored {
				explored++
				// A draw may fall on the default action, which then has the share that does not explore as well.
				if s.Propensity == 0 || s.Propensity > 200_000 && s.Propensity < 800_000 {
					t.Errorf("an explored decision has propensity %d", s.Propensity)
				}
			}
			if i == 0 && s.Cause != model.CauseStart {
				t.Errorf("the first segment is due to %v", s.Cause)
			}
			segments++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if summary.Calls != 60 || summary.Reports != 120 || len(seen) != 120 || summary.Segments != segments || summary.Explored != explored {
		t.Errorf("summary %+v; seen %d reports, %d segments, %d explored", summary, len(seen), segments, explored)
	}
	if share := float64(explored) / float64(segments); share < 0.1 || share > 0.3 {
		t.Errorf("a share of %.2f was explored, want about 0.2", share)
	}
	if len(hours) < 20 || len(networks) < 4 {
		t.Errorf("%d hours and %d network types", len(hours), len(networks))
	}
}

func reports(t testing.TB, c history.Config) []byte {
	t.Helper()
	var all []byte
	if _, err := history.Make(t.Context(), c, func(_ telemetry.ReportID, data []byte) error {
		all = append(all, data...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSameConfigSameReports(t *testing.T) {
	c := config(t)
	c.Workers = 1
	want := reports(t, c)
	c.Workers = 3
	if !bytes.Equal(want, reports(t, c)) {
		t.Error("the number of workers changes the reports")
	}
	c.Seed = 2
	if bytes.Equal(want, reports(t, c)) {
		t.Error("another seed gives the same reports")
	}
}

// TestOtherContentOtherReports: suites of folders are all called the same, and reports with the same ids count once.
func TestOtherContentOtherReports(t *testing.T) {
	ids := func(trace string, change func(c *history.Config)) map[telemetry.ReportID]bool {
		c := config(t)
		c.Calls = 5
		parsed, err := network.ParseTrace(strings.NewReader(trace), "same.up")
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Suite.Networks {
			c.Suite.Networks[i].Profile = c.Suite.Networks[i].Profile.WithTrace(parsed, parsed)
		}
		change(&c)
		all := map[telemetry.ReportID]bool{}
		if _, err := history.Make(t.Context(), c, func(id telemetry.ReportID, _ []byte) error {
			all[id] = true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := ids("5\n9\n17\n", func(*history.Config) {})
	for name, other := range map[string]map[telemetry.ReportID]bool{
		"recording": ids("5\n9\n18\n", func(*history.Config) {}),
		"calls":     ids("5\n9\n17\n", func(c *history.Config) { c.Calls = 6 }),
	} {
		for id := range other {
			if first[id] {
				t.Fatalf("another %s gives the same id %v", name, id)
			}
		}
	}
}

// TestCallsThatFail: a call that is never set up is reported with its first decision, from which training learns that
// the decision was the worst.
func TestCallsThatFail(t *testing.T) {
	c := config(t)
	p := *c.Suite.Networks[0].Profile
	p.Up.Policing.UDP.Blocked, p.Up.Policing.UDP.Source = true, "test"
	c.Suite.Networks = c.Suite.Networks[:1]
	c.Suite.Networks[0].Profile = &p
	c.Contender, _ = compare.Named("default")
	c.Calls = 2
	summary, err := history.Make(t.Context(), c, func(_ telemetry.ReportID, data []byte) error {
		var r telemetry.Report
		if err := telemetry.Unmarshal(data, &r); err != nil {
			return err
		}
		if r.Stage != model.StageICE || !r.Dropped || r.Duration != 0 || len(r.Segments) != 1 || r.Segments[0].Outcome != (model.Outcome{}) {
			t.Errorf("report %+v", r)
		}
		return r.Validate()
	})
	if err != nil || summary.SetupFailed != 2 || summary.Dropped != 0 {
		t.Errorf("summary %+v, error %v", summary, err)
	}
}

func TestFaults(t *testing.T) {
	for name, change := range map[string]func(c *history.Config){
		"no suite":  func(c *history.Config) { c.Suite = nil },
		"no frames": func(c *history.Config) { c.Frames = nil },
		"oracle":    func(c *history.Config) { c.Contender, _ = compare.Named("oracle") },
		"no calls":  func(c *history.Config) { c.Calls = 0 },
		"too long":  func(c *history.Config) { c.Duration = time.Hour },
		"in future": func(c *history.Config) { c.Over = -time.Hour },
	} {
		c := config(t)
		change(&c)
		if _, err := history.Make(t.Context(), c, func(telemetry.ReportID, []byte) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	full := errors.New("full")
	if _, err := history.Make(t.Context(), config(t), func(telemetry.ReportID, []byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := history.Make(ctx, config(t), func(telemetry.ReportID, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
