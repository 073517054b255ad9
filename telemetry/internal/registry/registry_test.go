package registry_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry/internal/registry"
)

const (
	root   = "../../.."
	schema = "../../schema"
)

func load(t testing.TB) *registry.Registry {
	t.Helper()
	r, err := registry.Load(schema)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRegistryKeepsTheRules holds the real registry to the real clock: it fails when a field is due for review, and says
// what to do.
func TestRegistryKeepsTheRules(t *testing.T) {
	if err := load(t).Check(time.Now()); err != nil {
		t.Error(err)
	}
}

func TestRegistryKeepsWhatWasReleased(t *testing.T) {
	releases, err := registry.LoadReleases(schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := load(t).CheckReleases(releases); err != nil {
		t.Error(err)
	}
	for _, release := range releases {
		text, err := release.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join(schema, "released", string('0'+rune(release.Version))+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(committed), string(text)); diff != "" {
			t.Errorf("version %d is not as the generator writes it:\n%s", release.Version, diff)
		}
	}
}

// TestGeneratedFilesAreCurrent fails when somebody changed the registry without "make gen", or a generated file by hand.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := load(t).Generate()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 5 {
		t.Errorf("%d files are generated", len(files))
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the registry makes of it; run \"make gen\" (-generated +committed):\n%s", path, diff)
		}
	}
}

func TestPageTellsOfEveryField(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "what-we-collect.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := load(t)
	for i := range r.Messages {
		m := &r.Messages[i]
		if m.Name == "Pack" {
			continue
		}
		for j := range m.Fields {
			f := &m.Fields[j]
			for _, text := range []string{f.Name, f.Says, f.Purpose, f.Expires.String()} {
				if f.Retired == 0 && !bytes.Contains(page, []byte(text)) {
					t.Errorf("the page does not say %q of %s.%s", text, m.Name, f.Name)
				}
			}
		}
	}
}

// TestDates moves the clock over the review and the expiry of a field.
func TestDates(t *testing.T) {
	r := load(t)
	f := r.Lookup("Report.stage")
	for _, c := range []struct {
		day  time.Time
		told string
	}{
		{f.Review.Add(23 * time.Hour), ""},
		{f.Review.AddDate(0, 0, 1), "was due for review on " + f.Review.String()},
		{f.Expires.Time, "move review: and expires:"},
		{f.Expires.AddDate(0, 0, 1), "expired on " + f.Expires.String()},
	} {
		err := r.Check(c.day)
		if c.told == "" && err != nil || c.told != "" && (err == nil || !strings.Contains(err.Error(), "Report.stage: "+c.told) && !strings.Contains(err.Error(), c.told)) {
			t.Errorf("on %s: told %v, want %q", c.day.Format(time.DateOnly), err, c.told)
		}
	}
}

// TestReleasing follows a change from a new field to its release, in a directory of its own.
func TestReleasing(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(schema)); err != nil {
		t.Fatal(err)
	}
	const field = "- name: mode\n        number: 21\n        type: flag\n        says: a new thing\n        purpose: to see something new\n" +
		"        since: 2\n        review: 2027-11-30\n        expires: 2028-05-31\n      - name: stack"
	r := spoiled(t, "- name: stack", "- name: stack", field)
	if err := r.WriteRelease(dir); err != nil {
		t.Fatalf("release a new field: %v", err)
	}
	releases, err := registry.LoadReleases(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CheckReleases(releases); err != nil {
		t.Errorf("after the release: %v", err)
	}
	if err := load(t).CheckReleases(releases); err == nil {
		t.Error("a released field may be forgotten")
	}
	changed := spoiled(t, "- name: dropped", "number: 8", "number: 80")
	if err := changed.WriteRelease(dir); err == nil {
		t.Error("a changed number can be released")
	}

	// A new version keeps what all older ones promise, before anything is written.
	for name, spoil := range map[string][3]string{
		"a changed number": {"- name: dropped", "number: 8", "number: 80"},
		"a narrower bound": {"- name: seconds", "max: 120", "max: 60"},
	} {
		broken := spoiled(t, spoil[0], spoil[1], spoil[2])
		broken.Version, broken.History = 3, append(broken.History, "something new")
		if err := broken.WriteRelease(dir); err == nil {
			t.Errorf("%s can be released in a new version", name)
		}
		if _, err := os.Stat(filepath.Join(dir, "released", "3.yaml")); err == nil {
			t.Fatalf("%s is written", name)
		}
	}
	far := load(t)
	far.Version = 9
	if err := far.WriteRelease(dir); err == nil {
		t.Error("versions can be left out")
	}
	third := spoiled(t, "- name: stack", "- name: stack", field)
	third.Version = 3
	if err := third.WriteRelease(dir); err != nil {
		t.Errorf("a new version: %v", err)
	}
}

func TestParseIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":      "version: 1\ncolour: blue\n",
		"unknown in field": "messages:\n  - name: A\n    fields:\n      - {name: a, length: 3}\n",
		"not a day":        "messages:\n  - name: A\n    fields:\n      - {name: a, review: soon}\n",
		"two documents":    "version: 1\n---\nversion: 2\n",
		"a member's list":  "lists:\n  - name: A\n    members: [[1, 2]]\n",
		"no document":      "",
		"too long":         "# " + strings.Repeat("x", registry.MaxSize),
	} {
		if _, err := registry.Parse([]byte(text)); err == nil {
			t.Errorf("%s: parsed", name)
		}
		if _, err := registry.ParseRelease([]byte(text)); err == nil {
			t.Errorf("%s: parsed as a release", name)
		}
	}
}

func FuzzRegistry(f *testing.F) {
	text, err := os.ReadFile(filepath.Join(schema, "registry.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("version: 1\nhistory: [a]\nmessages:\n  - name: Report\n    fields:\n      - {name: a, number: 1, type: bucket, scale: s}\n" +
		"scales:\n  - {name: s, first: 1, upper: 2, geometric: 1000000000}\n"))
	f.Add([]byte("tables:\n  - name: calls\n    columns:\n      - {name: a, from: [Report.a]}\n"))
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := registry.Parse(text)
		if err != nil {
			return
		}
		if r.Check(now) != nil {
			return
		}
		// What is accepted can be generated from and released.
		if _, err := r.Generate(); err != nil {
			t.Fatal(err)
		}
		release, err := r.Release().Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := registry.ParseRelease(release); err != nil {
			t.Fatal(err)
		}
	})
}
