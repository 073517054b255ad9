package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		"wrong kind":        {"ingest: {batch: many}\n", "line 1: cannot unmarshal"},
		"not YAML":          {"data: [\n", "line"},
		"out of range":      {"policy: {interval: 1s}\n", "policy.interval: 1s, want 2s..1m"},
		"two out of range":  {"ingest: {batch: -1, maxWait: 2h}\n", "ingest.maxWait: 2h0m0s"},
		"no replica":        {"stream: {replicas: 0}\n", "stream.replicas: 0, want 1..5"},
		"short-lived":       {"stream: {maxAge: 1m}\n", "stream.maxAge: 1m0s"},
		"negative price":    {"training: {price: {mosPerKbps: -1}}\n", "training.price"},
		"unsorted ramp":     {"rollout: {ramp: [50, 5]}\n", "rollout.ramp"},
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
