package registry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry/internal/registry"
)

// spoiled is the real registry with one mistake: the first occurrence of old, after a line with anchor, becomes new.
func spoiled(t *testing.T, anchor, old, new string) *registry.Registry {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(schema, "registry.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(text), anchor)
	if at < 0 {
		t.Fatalf("there is no %q in the registry", anchor)
	}
	before, after := string(text[:at]), string(text[at:])
	if !strings.Contains(after, old) {
		t.Fatalf("there is no %q after %q in the registry", old, anchor)
	}
	r, err := registry.Parse([]byte(before + strings.Replace(after, old, new, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mistakes are what somebody may do to the registry, with what they are told.
var mistakes = map[string]struct{ anchor, old, new, told string }{
	"free text":          {"- name: site", "type: counter", "type: string", "Action.site: type \"string\" could hold free text"},
	"raw bytes":          {"- name: site", "type: counter", "type: bytes", "Action.site: type \"bytes\" could hold raw bytes"},
	"a float":            {"- name: site", "type: counter", "type: double", "is a fraction"},
	"another float":      {"- name: site", "type: counter", "type: float", "is a fraction"},
	"a wide number":      {"- name: site", "type: counter", "type: uint64", "wide enough to name somebody"},
	"a timestamp":        {"- name: site", "type: counter", "type: timestamp", "more precisely than the hour"},
	"an unheard type":    {"- name: site", "type: counter", "type: blob", "is not one of the registry's types"},
	"an id":              {"- name: site", "type: counter", "type: id", "the only one is the random id"},
	"an id by name":      {"- name: site", "name: site", "name: device_id", "is named like an id"},
	"an address by name": {"- name: site", "name: site", "name: ip_prefix", "points at a person"},
	"a counter like an id": {
		"- name: policy", "max: 1048575", "max: 4294967295", "Decider.policy: can have 4294967296 values, more than 2^20",
	},
	"a bare counter":       {"- name: site", "max: 255", "max: 0", "a counter has a range"},
	"no reason":            {"- name: site", "wide: \"numbers in", "not_stored: \"numbers in", "Action.site: can have 256 values, more than 128"},
	"a reason of a word":   {"- name: site", "wide: \"numbers in the public list of relay sites, the same for everybody\"", "wide: needed", "is no reason to be wide"},
	"a reason for nothing": {"- name: red_depth", "unit: frames", "unit: frames\n        wide: it is not wide at all", "has a reason to be wide (wide:) and only 5 values"},
	"another unit":         {"- name: red_depth", "unit: frames", "unit: children", "\"children\", which is not one of the units of Action"},
	"a unit elsewhere":     {"- name: red_depth", "unit: frames", "unit: millionths", "\"millionths\", which is not one of the units of Action"},
	"a unit stretched":     {"- name: red_depth", "max: 4", "max: 100", "Action.red_depth: can have 101 values; \"frames\" takes 5 at most"},
	"a moment":             {"- name: red_depth", "unit: frames", "unit: s", "tells no time finer than the hour"},
	"no unit":              {"- name: site", "unit: number of a site", "unit: \"\"", "a counter has a unit"},
	"no purpose":           {"- name: stage", "purpose: calls that never", "not_stored: calls that never", "Report.stage: has no purpose"},
	"a purpose of a word":  {"- name: dropped", "purpose: a policy that drops calls must be found and taken back within a minute", "purpose: statistics", "has no purpose"},
	"the purpose repeated": {"- name: dropped", "purpose: a policy that drops calls must be found and taken back within a minute", "purpose: it ended although nobody hung up", "has no purpose"},
	"says nothing":         {"- name: dropped", "says: it ended although nobody hung up", "says: \"\"", "does not say what it holds"},
	"no dates":             {"- name: stage", "review: 2027-11-30\n", "\n", "Report.stage: has no review date"},
	"expires first":        {"- name: stage", "expires: 2028-05-31", "expires: 2027-05-31", "before its review"},
	"no expiry":            {"- name: stage", "expires: 2028-05-31", "", "before its review"},
	"a century ahead":      {"- name: stage", "expires: 2028-05-31", "expires: 2128-05-31", "never"},
	"an answer as given":   {"- name: stars\n", "epsilon: 2", "epsilon: 0", "Report.stars: is the answer of a user: randomize it"},
	"weak noise":           {"- name: stars\n", "epsilon: 2", "epsilon: 9", "epsilon 9 is outside"},
	"a number twice":       {"- name: hour", "number: 4", "number: 5", "a number is never used again"},
	"a retired number":     {"- name: stars\n", "number: 19", "number: 10", "a number is never used again"},
	"a name twice":         {"- name: hour", "name: hour", "name: stage", "comes twice"},
	"no such list":         {"- name: stage", "list: Stage", "list: Steps", "there is no list"},
	"no such scale":        {"- name: duration\n        number", "scale: duration", "scale: length", "there is no scale"},
	"no such message":      {"- name: actions", "of: Action", "of: Deed", "there is no message"},
	"since the future":     {"- name: stage", "since: 1", "since: 3", "since version 3"},
	"retired too early":    {"- name: rating", "retired: 2", "retired: 1", "retired in version 1"},
	"scale out of order":   {"- name: jitter", "[2, 5, 10,", "[2, 50, 10,", "do not ascend"},
	"a scale of place":     {"- name: jitter", "unit: ms", "unit: degrees", "scale jitter: measures \"degrees\""},
	"scale two ways":       {"- name: jitter", "upper: 200", "upper: 200\n    linear: 5", "in one way"},
	"stored from nothing":  {"{name: stage, from:", "[Report.stage]", "[Report.phase]", "which is no field"},
	"stored when retired":  {"{name: stage, from:", "[Report.stage]", "[Report.rating]", "which is retired"},
	"sent, not stored":     {"{name: stage, from:", "[Report.stage]", "[Report.origin]", "Report.stage: is sent and never stored"},
	"a table cell broken":  {"- name: stage", "says: how far the call got", "says: how far | the call got", "one line of plain text"},
	"column not repeated":  {"- name: mos\n", "repeated: true", "repeated: false", "must be repeated"},
	"history forgotten":    {"version: 2", "version: 2", "version: 3", "with a history of 2 versions"},
}

// changes are what somebody may do to what was released, with what they are told.
var changes = map[string]struct{ anchor, old, new, told string }{
	"a type":             {"- name: dropped", "type: flag", "type: enum\n        list: Metered", "Report.dropped of version 1: changed its type from flag to enum Metered"},
	"a list":             {"- name: metered", "list: Metered", "list: Reach", "changed its type from enum Metered to enum Reach"},
	"a scale of a field": {"- name: concealed", "scale: outcomeLoss", "scale: fractionLost", "changed its type"},
	"a shape":            {"- name: seconds", "repeated: true", "repeated: false", "changed its type"},
	"a number":           {"- name: hour", "number: 4", "number: 40", "Report.hour of version 1: changed its number from 4 to 40"},
	"a field taken away": {"- name: dropped", "name: dropped", "name: broken", "Report.dropped of version 1: was released and is gone"},
	"a number reused":    {"- name: dropped", "name: dropped", "name: broken", "has number 8, which broken now uses"},
	"a unit":             {"- name: seconds", "unit: s", "unit: min", "changed its meaning"},
	"a wider counter":    {"- name: seconds", "max: 120", "max: 240", "changed its bounds"},
	"a narrower counter": {"- name: seconds", "max: 120", "max: 60", "changed its bounds from 0..120 to 0..60 after release"},
	"a frame less":       {"- name: frame_millis", "[20, 40, 60, 120]", "[20, 40, 60]", "changed its bounds"},
	"never sent":         {"- name: stack", "- name: stack", "- name: mode\n        number: 21\n        type: flag\n        since: 1\n        retired: 2\n      - name: stack", "Report.mode: is said to have been sent in version 1"},
	"another frame":      {"- name: frame_millis", "[20, 40, 60, 120]", "[10, 20, 40, 60, 120]", "changed its bounds"},
	"any frame":          {"- name: frame_millis", "[20, 40, 60, 120]", "[]\n        max: 200", "changed its bounds"},
	"epsilon":            {"- name: stars\n", "epsilon: 2", "epsilon: 1", "changed its epsilon"},
	"a member renamed":   {"- name: Stage", "- ice:", "- paths:", "never removed, renamed or moved"},
	"a member removed":   {"- name: Stage", "      - ended: somebody hung up\n", "", "never removed"},
	"members moved":      {"- name: Metered", "- \"no\": they do not\n      - \"yes\":", "- \"yes\": they do not\n      - \"no\":", "never removed, renamed or moved"},
	"a member, unreleased": {
		"- name: Stage", "- ended: somebody hung up", "- ended: somebody hung up\n      - resumed: it went on", "raise the version",
	},
	"a scale":           {"- name: jitter", "[2, 5, 10,", "[2, 6, 10,", "scale jitter of version 1: changed"},
	"a scale's top":     {"- name: delay", "upper: 5000", "upper: 6000", "scale delay of version 1: changed"},
	"retired in secret": {"- name: stack", "since: 1", "since: 1\n        retired: 2", "Report.stack of version 2: is said to be retired in version 2"},
	"older than it is":  {"- name: stack", "since: 1", "since: 2", "is said to exist since version 2"},
	"new, not released": {
		"- name: stack", "- name: stack", "- name: mode\n        number: 21\n        type: flag\n      - name: stack", "Report.mode: is new in version 2 and not released",
	},
}

func TestMistakesAreFound(t *testing.T) {
	for name, m := range mistakes {
		t.Run(name, func(t *testing.T) {
			err := spoiled(t, m.anchor, m.old, m.new).Check(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
			if err == nil || !strings.Contains(err.Error(), m.told) {
				t.Errorf("told %v, want %q", err, m.told)
			}
		})
	}
}

func TestChangesAfterReleaseAreFound(t *testing.T) {
	releases, err := registry.LoadReleases(schema)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range changes {
		t.Run(name, func(t *testing.T) {
			err := spoiled(t, m.anchor, m.old, m.new).CheckReleases(releases)
			if err == nil || !strings.Contains(err.Error(), m.told) {
				t.Errorf("told %v, want %q", err, m.told)
			}
		})
	}
	if err := load(t).CheckReleases(releases[:1]); err == nil {
		t.Error("a version that was not released is taken")
	}
}
