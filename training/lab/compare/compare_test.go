package compare_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

// frames is speech-like: bursts of noise with pauses.
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

// small is a catalogue that is quick to try.
var small = model.Catalogue{
	model.DefaultAction(),
	{Codec: model.CodecOpus, BitrateKbps: 12, Bandwidth: model.BandwidthWide, FrameMillis: 60, Transport: model.TransportDirect},
	{Codec: model.CodecOpus, BitrateKbps: 48, Bandwidth: model.BandwidthFull, FrameMillis: 20, Transport: model.TransportDirect},
	{Codec: model.CodecOpus, BitrateKbps: 24, Bandwidth: model.BandwidthSuperWide, FrameMillis: 60, Transport: model.TransportRelayTCP, Site: 1},
}

func contenders(t testing.TB, names ...string) []compare.Contender {
	t.Helper()
	var all []compare.Contender
	for _, name := range names {
		c, err := compare.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func config(t testing.TB) compare.Config {
	s := suite.Builtin()
	s.Networks = slices.DeleteFunc(s.Networks, func(n suite.Network) bool {
		return n.Name != "3g" && n.Name != "wifi" && n.Name != "4g-udp-throttled"
	})
	for i := range s.Networks {
		if s.Networks[i].Name != "wifi" { // so that one type is not in the training split
			s.Networks[i].Split = suite.Validation
		}
	}
	return compare.Config{
		Suite: s, Contenders: contenders(t, "telegram", "ana", "tgcalls", "best-static", "oracle", "oracle-segment"),
		Frames: frames, Speech: "noise", Calls: 12, Seeds: 2, Duration: 10 * time.Second, Catalogue: small,
	}
}

// hostile is config with names that a page must not take for its own words.
func hostile(t testing.TB) compare.Config {
	c := config(t)
	c.Suite.Name, c.Speech = "<b>suite</b>", "<script>speech</script>"
	c.Contenders[0].Name = `tele"gram<i>`
	c.Workers = 1
	return c
}

// standard is the result of hostile, for all tests that look at one and change nothing: it takes a while.
func standard(t testing.TB) *compare.Result {
	t.Helper()
	standardOnce.Do(func() { standardResult = mustRun(t, hostile(t)) })
	if standardResult == nil {
		t.Fatal("there is no result: see the test before")
	}
	return standardResult
}

var (
	standardOnce   sync.Once
	standardResult *compare.Result
)

func mustRun(t testing.TB, c compare.Config) *compare.Result {
	t.Helper()
	r, err := compare.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func encoded(t testing.TB, r *compare.Result) string {
	t.Helper()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func score(t testing.TB, s compare.Slice, name string) compare.Score {
	t.Helper()
	for _, score := range s.Scores {
		if score.Name == name {
			return score
		}
	}
	t.Fatalf("no score of %s in %s", name, s.Name)
	return compare.Score{}
}

func TestWorkersChangeNothing(t *testing.T) {
	c, want := hostile(t), encoded(t, standard(t)) // by one
	for _, workers := range []int{2, 5} {
		c.Workers = workers
		if diff := cmp.Diff(want, encoded(t, mustRun(t, c))); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
	}
}

// TestInterruptedAndContinued interrupts a comparison in every round of the search for each network type, which are the
// only places where it differs from the calls after it, and now and then from there on.
func TestInterruptedAndContinued(t *testing.T) {
	c := config(t)
	c.Workers, c.Calls = 2, 6
	c.Contenders = contenders(t, "telegram", "best-static", "oracle-segment")
	for i := range c.Suite.Networks { // two types, and all together
		if c.Suite.Networks[i].Name == "3g" {
			c.Suite.Networks[i].Split = suite.Train
		}
	}
	var of int64
	c.Progress = func(d compare.Done) { of = d.Of }
	want := encoded(t, mustRun(t, c))
	var stops []int64 // numbers of calls; at the first call of each round the rounds before are complete
	made := int64(0)
	for range 3 {
		for _, round := range []int64{16 * 4, 32 * 4, 80 * 4, 128 * 4} {
			stops = append(stops, made+1)
			made += round
		}
	}
	perCall := (of - made) / int64(c.Calls*c.Seeds)
	for i := range int64(c.Calls * c.Seeds) {
		stops = append(stops, made+(1+i)*perCall)
	}
	stops = stops[:len(stops)-1] // the end is none
	c.Journal, c.Resume = filepath.Join(t.TempDir(), "lab.journal"), true
	for i, stop := range stops {
		ctx, cancel := context.WithCancel(t.Context())
		c.Progress = func(d compare.Done) {
			if i > 0 && d.Since < stops[i-1]-1 {
				t.Fatalf("it goes on from call %d, and was interrupted at %d", d.Since, stops[i-1])
			}
			if d.Calls >= stop {
				cancel()
			}
		}
		_, err := compare.Run(ctx, c)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted at call %d of %d: %v", stop, of, err)
		}
		if _, err := os.Stat(c.Journal); err != nil {
			t.Fatalf("no journal after an interruption: %v", err)
		}
	}
	for _, times := range []string{"once", "again, from the journal of all"} {
		c.Progress = nil
		if diff := cmp.Diff(want, encoded(t, mustRun(t, c))); diff != "" {
			t.Errorf("after %d interruptions, %s: %s", len(stops), times, diff)
		}
		c.Progress = func(d compare.Done) { t.Errorf("it makes calls again: %+v", d) }
	}
	if err := compare.Discard(c.Journal); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.Journal); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is left behind: %v", err)
	}
}

func TestJournalOfAnotherComparisonIsRefused(t *testing.T) {
	recorded := func(trace string) *suite.Suite {
		s := *suite.Builtin()
		parsed, err := network.ParseTrace(strings.NewReader(trace), "same.up")
		if err != nil {
			t.Fatal(err)
		}
		s.Networks = slices.Clone(s.Networks)
		s.Networks[1].Profile = s.Networks[1].Profile.WithTrace(parsed, parsed)
		return &s
	}
	c := config(t)
	c.Suite = recorded("5\n9\n17\n")
	c.Contenders = contenders(t, "telegram")
	c.Journal, c.Resume = filepath.Join(t.TempDir(), "lab.journal"), true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Progress = func(compare.Done) { cancel() }
	if _, err := compare.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c.Progress = nil
	for name, change := range map[string]func(c *compare.Config){
		"seed":     func(c *compare.Config) { c.Seed = 2 },
		"calls":    func(c *compare.Config) { c.Calls = 13 },
		"policies": func(c *compare.Config) { c.Contenders = contenders(t, "tgcalls") },
		"networks": func(c *compare.Config) {
			s := *c.Suite
			s.Networks = s.Networks[1:]
			c.Suite = &s
		},
		"content of a recording": func(c *compare.Config) { c.Suite = recorded("5\n9\n18\n") },
		"speech": func(c *compare.Config) {
			f, err := sim.NewFrames(make([]int16, frames.Duration().Milliseconds()*48))
			if err != nil {
				t.Fatal(err)
			}
			c.Frames = f
		},
	} {
		other := c
		change(&other)
		if _, err := compare.Run(t.Context(), other); err == nil {
			t.Errorf("another %s: the journal was taken", name)
		}
	}
	mustRun(t, c)
}

func TestOracleIsNeverBelowAStaticAction(t *testing.T) {
	r := standard(t)
	for _, s := range r.Slices {
		oracle, static, base := score(t, s, "oracle"), score(t, s, "best-static"), score(t, s, "default")
		if s.Calls == 0 {
			continue
		}
		if *oracle.Mean.Value < *static.Mean.Value || *oracle.Mean.Value < *base.Mean.Value {
			t.Errorf("%s: oracle %.3f, best static %.3f, default %.3f", s.Name, *oracle.Mean.Value, *static.Mean.Value, *base.Mean.Value)
		}
		if *base.Gain.Value != 0 {
			t.Errorf("%s: the default gains %v over itself", s.Name, *base.Gain.Value)
		}
		if oracle.GapShare.Value != nil && math.Abs(*oracle.GapShare.Value-1) > 1e-9 {
			t.Errorf("%s: the oracle closes %v of its own gap", s.Name, *oracle.GapShare.Value)
		}
		total := 0.0
		for _, c := range s.Choices {
			total += c.Share
		}
		if math.Abs(total-1) > 1e-9 {
			t.Errorf("%s: the oracle's choices sum to %v", s.Name, total)
		}
	}
	if len(r.ByNetwork) != 3 || r.ByNetwork[0].Calls == 0 || len(r.ByNetwork[0].Scores) != len(r.Contenders) {
		t.Errorf("by network: %+v", r.ByNetwork)
	}
	if all := r.Slices[0]; all.Name != "all" || all.Calls != 24 {
		t.Errorf("first slice %q with %d calls, want all with 24", all.Name, all.Calls)
	}
}

// TestBlockedUDP: where UDP does not pass, direct calls are never set up, and count as the worst.
func TestBlockedUDP(t *testing.T) {
	c := config(t)
	var blocked []suite.Network
	for _, n := range c.Suite.Networks {
		if n.Name == "wifi" {
			p := *n.Profile
			p.Up.Policing.UDP.Blocked, p.Up.Policing.UDP.Source = true, "test"
			n.Profile, n.Split = &p, suite.Train
			blocked = append(blocked, n)
		}
	}
	c.Suite = &suite.Suite{Name: "blocked", Networks: blocked}
	c.Contenders = contenders(t, "best-static", "oracle")
	c.Calls, c.Seeds = 3, 2
	all := mustRun(t, c).Slices[0]
	base, static := score(t, all, "default"), score(t, all, "best-static")
	if *base.SetupFailures.Value != 1 || *base.Mean.Value != model.WorstMOS || *base.Poor.Value != 1 || *base.PoorVIA.Value != 1 || base.Kbps.Value != nil {
		t.Errorf("default: %+v", base)
	}
	if *static.SetupFailures.Value != 0 || *static.Mean.Value < 3 || *static.GapShare.Value != 1 {
		t.Errorf("best static: set-up failures %v, mean %v, share %v", *static.SetupFailures.Value, *static.Mean.Value, *static.GapShare.Value)
	}
}

func TestCatalogue(t *testing.T) {
	c := compare.Catalogue()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	envelope := policy.SafeEnvelope()
	seen := map[model.Transport]int{}
	for _, a := range c {
		if err := envelope.Check(a); err != nil {
			t.Errorf("%v: %v", a, err)
		}
		seen[a.Transport]++
	}
	if c.Index(model.DefaultAction()) < 0 {
		t.Error("the default action is missing")
	}
	if len(c) != 234 || len(seen) != 4 {
		t.Errorf("%d actions on %d transports, want 234 on 4: %v", len(c), len(seen), seen)
	}
}

// TestSiteCatalogue: several sites have the same actions each, and share the room of one.
func TestSiteCatalogue(t *testing.T) {
	for sites := 2; sites <= network.MaxSites; sites++ {
		c := compare.SiteCatalogue(sites)
		if err := c.Validate(); err != nil {
			t.Errorf("%d sites: %v", sites, err)
		}
		each := map[model.Site]int{}
		for _, a := range c {
			if a.Codec != model.CodecPCMU {
				each[a.Site]++
			}
		}
		for site := range sites {
			if n := each[model.Site(site+1)]; n < 15 || n != each[1] {
				t.Errorf("%d sites: %d actions at site %d, %d at site 1", sites, n, site+1, each[1])
			}
		}
		if len(each) != sites+1 || len(c) < 220 {
			t.Errorf("%d sites: %d actions at %v", sites, len(c), each)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	for name, change := range map[string]func(c *compare.Config){
		"no suite":   func(c *compare.Config) { c.Suite = nil },
		"no frames":  func(c *compare.Config) { c.Frames = nil },
		"nobody":     func(c *compare.Config) { c.Contenders = nil },
		"twice":      func(c *compare.Config) { c.Contenders = contenders(t, "ana", "ana") },
		"no calls":   func(c *compare.Config) { c.Calls = 0 },
		"no seeds":   func(c *compare.Config) { c.Seeds = 0 },
		"too short":  func(c *compare.Config) { c.Duration = time.Second },
		"no actions": func(c *compare.Config) { c.Catalogue = model.Catalogue{} },
		"no training split": func(c *compare.Config) {
			s := suite.Builtin()
			for i := range s.Networks {
				s.Networks[i].Split = suite.Validation
			}
			c.Suite = s
		},
	} {
		c := config(t)
		change(&c)
		if _, err := compare.Run(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
