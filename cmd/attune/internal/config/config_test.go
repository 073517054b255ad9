package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
)

const documented = "../../../../deploy/attune.yaml"

func noEnvironment(string) (string, bool) { return "", false }

func load(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "attune.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, noEnvironment)
}

// The file that documents every key says what is really the default.
func TestDocumentedDefaults(t *testing.T) {
	got, err := config.Load(documented, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("deploy/attune.yaml differs from the defaults (-default +file):\n%s", diff)
	}
	// And it leaves no key out: a written configuration has every key on a line of its own.
	file := filepath.Join(t.TempDir(), "written.yaml")
	if err := config.Default().Write(file); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(written)) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.HasPrefix(key, "-") && !strings.Contains(string(text), key+":") {
			t.Errorf("deploy/attune.yaml does not mention %q", key)
		}
	}
}

func TestFaultsNameFileLineAndKey(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":       {"data: x\nrollout:\n  alhpa: 0.1\n", `attune.yaml:3: unknown key "alhpa"`},
		"wrong kind":        {"data: x\ningest: {batch: many}\n", "attune.yaml:2: ingest.batch: want a whole number"},
		"wrong duration":    {"ingest:\n  maxWait: soon\n", "attune.yaml:2: ingest.maxWait: want a duration, such as"},
		"wrong list":        {"rollout:\n\n  ramp: [a]\n", "attune.yaml:3: rollout.ramp: want a list of whole numbers"},
		"wrong item":        {"policy:\n  relays:\n  - id: 1\n    port: 3\n", `attune.yaml:4: unknown key "port"`},
		"item too large":    {"policy:\n  relays:\n  - id: 300\n", "attune.yaml:3: policy.relays[0].id: want a whole number, 0..255"},
		"no section":        {"ingest: 7\n", "attune.yaml:1: ingest: want keys"},
		"no value":          {"ingest:\n  batch:\n", "attune.yaml:2: ingest.batch: nothing is given"},
		"given twice":       {"ingest:\n  batch: 7\n  batch: 8\n", "attune.yaml:3: ingest.batch: given twice"},
		"not YAML":          {"data: [\n", "line"},
		"out of range":      {"\npolicy: {interval: 1s}\n", "attune.yaml:2: policy.interval: 1s, want 2s..1m"},
		"two out of range":  {"ingest: {batch: -1, maxWait: 2h}\n", "attune.yaml:1: ingest.maxWait: 2h0m0s"},
		"no worker":         {"ingest: {workers: 0}\n", "ingest.workers: 0, want 1..64"},
		"no port":           {"metrics: localhost\n", "metrics: localhost, want an address"},
		"no replica":        {"stream: {replicas: 0}\n", "stream.replicas: 0, want 1..5"},
		"short-lived":       {"stream: {maxAge: 1m}\n", "stream.maxAge: 1m0s"},
		"an origin":         {"training: {origins: [call, rumour]}\n", "attune.yaml:1: training.origins: want a list of call, simulation or import"},
		"no origin":         {"training: {origins: []}\n", "training.origins"},
		"floor above cap":   {"privacy: {cellCap: 1000, cellFloor: 2000}\n", "privacy.cellFloor"},
		"negative price":    {"training: {price: {mosPerKbps: -1}}\n", "training.price"},
		"unsorted ramp":     {"rollout: {ramp: [50, 5]}\n", "rollout.ramp"},
		"ramp of one share": {"rollout: {ramp: [5, 5]}\n", "rollout.ramp"},
		"ramp out of range": {"rollout: {ramp: [-5, 5, 500]}\n", "rollout.ramp"},
		"ramp from the end": {"rollout: {ramp: [100]}\n", "rollout.ramp"},
		"a second document": {"data: x\n---\ndata: y\n", "more than one document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to contain %q", err, test.want)
			}
		})
	}
}

// The public page promises what is in force where nobody sets anything else.
func TestPublicPageSaysTheDefaults(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/what-we-collect.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), " ")
	c := config.Default().Privacy
	for _, want := range []string{
		fmt.Sprintf("fewer than %d calls of a day", c.MinCell), fmt.Sprintf("more than %d days after it", c.Retention/(24*time.Hour)),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/what-we-collect.md does not say %q", want)
		}
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "attune.yaml")
	if err := os.WriteFile(file, []byte("data: from-file\nnats: nats://file:4222\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, func(name string) (string, bool) {
		value, set := map[string]string{"ATTUNE_DATA": "from-environment"}[name]
		return value, set
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "from-environment" || c.NATS != "nats://file:4222" {
		t.Errorf("data %q, nats %q", c.Data, c.NATS)
	}
	if c.KeysDir() != filepath.Join("from-environment", "keys") {
		t.Errorf("keys in %q", c.KeysDir())
	}
}

// Every key has a variable, and says so when it does not understand it.
func TestEveryKeyHasAVariable(t *testing.T) {
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	names := config.Variables()
	if len(names) < 25 || !slices.Contains(names, "ATTUNE_TRAINING_PRICE_MOS_PER_KBPS") || !slices.Contains(names, "ATTUNE_INGEST_MAX_WAIT") {
		t.Errorf("variables: %v", names)
	}
	if !strings.Contains(string(text), "ATTUNE_INGEST_MAX_WAIT") {
		t.Error("deploy/attune.yaml does not say how variables are named")
	}
	from := func(variables map[string]string) (config.Config, error) {
		return config.Load(documented, func(name string) (string, bool) { v, set := variables[name]; return v, set })
	}
	c, err := from(map[string]string{
		"ATTUNE_INGEST_MAX_WAIT": "2s", "ATTUNE_ROLLOUT_RAMP": "[2, 20]", "ATTUNE_TRAINING_PRICE_MOS_PER_KBPS": "0.5", "ATTUNE_CLICKHOUSE": "clickhouse://a: b",
	})
	if err != nil || c.Ingest.MaxWait != 2*time.Second || !slices.Equal(c.Rollout.Ramp, []int{2, 20}) || c.Training.Price.MOSPerKbps != 0.5 || c.ClickHouse != "clickhouse://a: b" {
		t.Errorf("%+v, %v", c, err)
	}
	for name, want := range map[string]string{"many": "ATTUNE_INGEST_BATCH: want a whole number", "": "ATTUNE_INGEST_BATCH: want", "0": "ATTUNE_INGEST_BATCH: ingest.batch: 0, want 1..100000"} {
		if _, err := from(map[string]string{"ATTUNE_INGEST_BATCH": name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	unknown := config.UnknownVariables([]string{"HOME=/", "ATTUNE_DATA=x", "ATTUNE_INGEST_BATCHES=3", "ATTUNE_NATS_EDGE=secret"})
	if !slices.Equal(unknown, []string{"ATTUNE_INGEST_BATCHES"}) {
		t.Errorf("unknown: %v", unknown)
	}
}

// A written configuration reads back the same, without the address that may hold a password.
func TestWriteLeavesThePasswordOut(t *testing.T) {
	c := config.Default()
	c.ClickHouse = "clickhouse://writer:hunter2@db:9000/attune"
	file := filepath.Join(t.TempDir(), "attune.yaml")
	if err := c.Write(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Error("the password is in the file")
	}
	got, err := config.Load(file, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	c.ClickHouse = ""
	if diff := cmp.Diff(c, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
