package compare_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/suite"
)

// document is a static policy over small that explores.
func document() policy.Document {
	return policy.Document{
		Format: policy.Format, FeatureSpec: model.FeatureSpec, Version: 7,
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		Catalogue: small, Sites: []policy.Site{lab.Site()}, Price: model.DefaultPrice(), IntervalSeconds: 4,
		Envelope: policy.SafeEnvelope(),
		Arms: []policy.Arm{{
			Name: "a", Weight: policy.WeightScale, Default: map[model.NetworkType]int{model.NetworkUnknown: 0},
			Exploration: policy.Exploration{Share: map[model.NetworkType]float64{model.NetworkUnknown: 0.9}},
		}},
	}
}

func TestPolicyFile(t *testing.T) {
	d := document()
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mine.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Contenders = contenders(t, file, "greedy:"+file)
	if got := c.Contenders[0].Name; got != "mine.json" {
		t.Errorf("a policy file is called %q", got)
	}
	all := mustRun(t, c).Slices[0]
	explored, greedy, base := score(t, all, "mine.json"), score(t, all, "greedy"), score(t, all, "default")
	// Its best action is the default one, so that without exploration it does what the default does.
	if *greedy.Mean.Value != *base.Mean.Value {
		t.Errorf("greedy %v, default %v: without exploration they are the same", *greedy.Mean.Value, *base.Mean.Value)
	}
	if *explored.Mean.Value == *base.Mean.Value {
		t.Error("a policy that explores nine decisions of ten does as the default")
	}
}

func TestNamedFaults(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"", "nobody", "greedy:", "learned:/nowhere/at/all", broken, "greedy:" + broken, t.TempDir()} {
		_, err := compare.Named(spec)
		if err == nil || !strings.Contains(err.Error(), spec) {
			t.Errorf("%q: error %v", spec, err)
		}
	}
}

// TestPolicyNamesASite: the catalogue of a policy may hold actions that differ in the relay site only, and where the sites
// differ so do the calls.
func TestPolicyNamesASite(t *testing.T) {
	c := config(t)
	c.Suite = suite.Builtin()
	c.Suite.Networks = slices.DeleteFunc(c.Suite.Networks, func(n suite.Network) bool { return n.Name != "4g-two-sites" })
	c.Duration, c.Contenders = 30*time.Second, nil
	for _, site := range lab.Sites(2) {
		d := document()
		d.Sites, d.Catalogue, d.Arms[0].Exploration = lab.Sites(2), nil, policy.Exploration{}
		for _, s := range lab.Sites(2) {
			d.Catalogue = append(d.Catalogue, model.Action{
				Codec: model.CodecOpus, BitrateKbps: 48, Bandwidth: model.BandwidthFull, FrameMillis: 20,
				Transport: model.TransportRelayUDP, Site: s.ID,
			})
		}
		d.Arms[0].Default[model.NetworkUnknown] = int(site.ID) - 1
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		contender, err := compare.Policy(site.Name, p)
		if err != nil {
			t.Fatal(err)
		}
		c.Contenders = append(c.Contenders, contender)
	}
	all := mustRun(t, c).Slices[0]
	near, far := score(t, all, "lab"), score(t, all, "lab-2")
	if *far.Mean.Value < *near.Mean.Value+0.5 {
		t.Errorf("by the near, congested site %.2f, by the far one %.2f", *near.Mean.Value, *far.Mean.Value)
	}
}
