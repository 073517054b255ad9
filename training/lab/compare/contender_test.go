package compare_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/compare"
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
