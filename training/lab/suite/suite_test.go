package suite_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

func TestBuiltinNeedsNothingOutside(t *testing.T) {
	s := suite.Builtin()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	profiles := make(map[string]bool)
	for _, n := range s.Networks {
		profiles[n.Profile.Name] = true
	}
	for _, name := range network.Builtin() {
		if !profiles[name] {
			t.Errorf("the committed profile %s is in no network", name)
		}
	}
	if len(s.Train()) == 0 || len(s.Validation()) == 0 || len(s.Train())+len(s.Validation()) != len(s.Networks) {
		t.Errorf("%d to train on, %d held out, %d in all", len(s.Train()), len(s.Validation()), len(s.Networks))
	}
	for _, n := range s.Validation() {
		if n.Profile.Fit == nil || len(n.Profile.Fit.Parts) == 0 {
			t.Errorf("%s does not say how it was fitted", n.Name)
		}
	}
	same, err := suite.Load("builtin")
	if err != nil || len(same.Networks) != len(s.Networks) {
		t.Errorf("loaded by name: %v", err)
	}
}

func TestDrawGoesByWeight(t *testing.T) {
	s := suite.Builtin()
	var total float64
	for _, n := range s.Networks {
		total += n.Weight
	}
	const draws = 100_000
	seen := make(map[string]float64)
	random, twin := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
	for range draws {
		n := s.Draw(random)
		if s.Draw(twin).Name != n.Name {
			t.Fatal("the same generator gives other networks")
		}
		seen[n.Name]++
	}
	for _, n := range s.Networks {
		if got, want := seen[n.Name]/draws, n.Weight/total; math.Abs(got-want) > 0.01 {
			t.Errorf("%s is drawn %.3f of the time, want %.3f", n.Name, got, want)
		}
	}
}

func TestLoadSuiteFile(t *testing.T) {
	s, err := suite.Load("testdata/suite.json")
	if err != nil {
		t.Fatal(err)
	}
	weights := make(map[string]float64)
	for _, n := range s.Networks {
		weights[n.Name] = n.Weight
	}
	want := map[string]float64{"wifi": 0.5, "4g": 0.2, "4g-drive": 0.2, "2g-lost": 0.1}
	for name, w := range want {
		if math.Abs(weights[name]-w) > 1e-9 {
			t.Errorf("%s weighs %v, want %v", name, weights[name], w)
		}
	}
	if len(s.Networks) != len(want) || len(s.Validation()) != 2 {
		t.Errorf("%d networks, %d held out", len(s.Networks), len(s.Validation()))
	}
	drive, lost := s.Networks[2], s.Networks[3]
	if drive.Profile.Up.Capacity.Trace == nil || drive.Profile.Down.Capacity.Trace == nil || drive.Region.String() != "IR" {
		t.Errorf("drive: %+v", drive)
	}
	if lost.Profile.Down.Loss.Mask == nil || lost.Profile.Up.Loss != (network.Loss{}) || lost.Region != model.RegionWithheld {
		t.Errorf("2g-lost: %+v", lost.Profile.Down.Loss)
	}
}

func TestLoadRefuses(t *testing.T) {
	data, err := os.ReadFile("testdata/suite.json")
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	absolute, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	good = strings.ReplaceAll(good, `"folder/`, `"`+absolute+`/folder/`)
	load := func(text string) error {
		path := filepath.Join(t.TempDir(), "spoiled.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := suite.Load(path)
		return err
	}
	if err := load(good); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, want string }{
		{`"source": "profile wifi"`, `"sauce": "profile wifi"`, `line 5: unknown key "sauce" in networks[0]`},
		{`"weight": 2`, `"weight": 2, "weight": 3`, `line 5: key "weight" appears twice`},
		{`"weight": 2`, `"weight": 0`, "network wifi: weight 0"},
		{`"weight": 2`, `"weight": "two"`, "line 5: field networks"},
		{`"region": "DE"`, `"region": "XX"`, `XX`},
		{`"split": "validation", "up"`, `"split": "half", "up"`, `split "half" is not one of train, validation`},
		{`"source": "profile wifi"`, `"source": ""`, "network wifi: no source"},
		{`"source": "drive"`, `"source": "profile 4g"`, "source profile 4g is in both train and validation"},
		{`"profile": "wifi"`, `"profile": "wify"`, `there is no such profile`},
		{`masks/mask.txt`, `masks/none.txt`, "none.txt"},
		{`"name": "4g-drive"`, `"name": "4g"`, `name "4g" is empty or taken`},
		{`{"type": "2g", "weight": 0.1}`, `{"type": "3g", "weight": 0.1}`, "network 2g-lost (2g, ZZ) has no entry in weights"},
		{`{"type": "2g", "weight": 0.1}`, `{"type": "2g", "weight": 0.1}, {"type": "3g", "weight": 1}`, "weights[3] (3g): no network"},
		{`{"type": "2g", "weight": 0.1}`, `{"type": "2g", "weight": 0.1}, {"type": "4g", "weight": 1}`, "belongs to weights[1] and to weights[3]"},
		{`"weight": 0.5`, `"weight": -1`, "weights[0] (wifi): weight -1"},
		{`"name": "example"`, `"name": ""`, "name is empty"},
	} {
		spoiled := strings.Replace(good, test.old, test.new, 1)
		if spoiled == good {
			t.Fatalf("%s is not in the file", test.old)
		}
		if err := load(spoiled); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "spoiled.json") {
			t.Errorf("%s: error %v, want one with %q", test.new, err, test.want)
		}
	}
	for path, want := range map[string]string{
		"testdata": "is a folder", "testdata/none.json": "no such file", "nonsense": `want "builtin" or the path`,
	} {
		if _, err := suite.Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

func TestSuiteFileDeclaresSites(t *testing.T) {
	const site = `{"name": "%s", "up": {"propagation": {"millis": 9, "source": "s"}}, "down": {"propagation": {"millis": 9, "source": "s"}}}`
	one, two := fmt.Sprintf(site, "a"), fmt.Sprintf(site, "b")
	path := filepath.Join(t.TempDir(), "suite.json")
	load := func(text string) (*suite.Suite, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return suite.Load(path)
	}
	s, err := load(`{"name": "x", "paths": {"sites": [` + one + `]}, "networks": [
		{"profile": "wifi", "source": "1"}, {"profile": "4g", "source": "2", "paths": {"sites": [` + one + `, ` + two + `]}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if own, given := s.Networks[1].Profile.Paths.Sites, s.Networks[0].Profile.Paths.Sites; len(own) != 2 || len(given) != 1 || s.SiteCount() != 2 {
		t.Errorf("sites %+v and %+v", own, given)
	}
	for text, want := range map[string]string{
		`{"name": "x", "paths": {"sites": [` + one + `, ` + one + `]}, "networks": [{"profile": "wifi", "source": "1"}]}`:          `paths.sites[1].name "a"`,
		`{"name": "x", "networks": [{"profile": "wifi", "source": "1", "paths": {"site": []}}]}`:                                   `unknown key "site" in networks[0].paths`,
		`{"name": "x", "networks": [{"profile": "wifi", "source": "1", "paths": {"direct": {"capacity": {"trace": "none.up"}}}}]}`: "none.up",
		`{"name": "x", "paths": {"direct": {"loss": {"mask": "none.mask"}}}, "networks": [{"profile": "wifi", "source": "1"}]}`:    "none.mask",
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	data, err := os.ReadFile("testdata/suite.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"name": "x", "networks": [{"profile": "wifi", "source": "s", "region": "DE", "split": "validation"}], "weights": [{"type": "wifi", "weight": 2}]}`))
	f.Add([]byte(`{"name": "x", "networks": [{"profile": "wifi", "source": "s"}]}`))
	f.Add([]byte(`{"name": "x", "paths": {"direct": {"propagation": {"millis": 9, "source": "s"}}}, "networks": [{"profile": "wifi", "source": "s", "paths": {"sites": []}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.ContainsAny(data, `/.\\`) {
			return // only names of committed profiles, no files of this machine
		}
		path := filepath.Join(t.TempDir(), "suite.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := suite.Load(path)
		if (s == nil) == (err == nil) {
			t.Fatalf("suite %v with error %v", s, err)
		}
		if s != nil && s.Draw(rand.New(rand.NewPCG(1, 2))).Profile == nil {
			t.Fatal("drew a network without a profile")
		}
	})
}

func ExampleBuiltin() {
	s := suite.Builtin()
	n := s.Draw(rand.New(rand.NewPCG(1, 2)))
	fmt.Println(n.Name, n.Region, n.Split)
	// Output: wifi US train
}

func ExampleFromFolders() {
	s, skipped, err := suite.FromFolders([]string{"testdata/folder"}, suite.FolderOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range s.Networks {
		fmt.Println(n.Name, n.Type)
	}
	fmt.Println(filepath.Base(skipped[0].Path), skipped[0].Document)
	// Output:
	// lte/drive 4g
	// lte/lone 4g
	// lte/outage 4g
	// lte/steps 4g
	// lte/walk_part1 4g
	// lte/walk_part2 4g
	// masks/mask wifi
	// pings/pings wifi
	// README true
}
