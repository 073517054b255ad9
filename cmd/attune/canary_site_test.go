package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry/edge"
	"github.com/attune-calls/attune/training/lab"
)

// canarySite is the whole loop in one data directory, with everything it writes below one root, and its logs at their
// most talkative.
type canarySite struct {
	t        *testing.T
	canaries *canaries
	root     string // everything that is searched
	etc      string // what is not: where the canaries come from
	config   config.Config
	file     string // attune.yaml
	log      *slog.Logger
	metrics  *prometheus.Registry
	backends *loop.Backends
	releases *loop.Releases
	ingest   *loop.Ingesting
	stopEdge func()
	devices  int
	mu       sync.Mutex
}

// path names something below the root and makes its directory.
func (s *canarySite) path(elements ...string) string {
	s.t.Helper()
	path := filepath.Join(append([]string{s.root}, elements...)...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *canarySite) plant(kind canaryKind, where string) string {
	return s.canaries.plant(kind, where)
}

func startCanarySite(t *testing.T) *canarySite {
	t.Helper()
	s := &canarySite{t: t, canaries: newCanaries(), root: t.TempDir(), etc: t.TempDir(), metrics: prometheus.NewRegistry()}
	for _, dir := range []string{"work", "tmp", "home"} {
		if err := os.Mkdir(s.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(s.path("work")) // where a core file would go
	t.Setenv("TMPDIR", s.path("tmp"))
	t.Setenv("HOME", s.path("home"))
	s.plantEnvironment()
	s.configure()
	logFile, err := os.OpenFile(s.path("out", "process.log"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logFile.Close() })
	s.log = slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))

	ctx := t.Context()
	s.backends, err = loop.Open(ctx, s.config, loop.NeedNATS|loop.NeedWarehouse|loop.MakeTables, 0, s.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.backends.Close() })
	if err := loop.EnsureKeys(s.config.KeysDir()); err != nil {
		t.Fatal(err)
	}
	s.releases, err = loop.OpenReleases(ctx, s.config.Data, s.config.KeysDir(), delivery.NewNATSStore(s.backends.JetStream))
	if err != nil {
		t.Fatal(err)
	}
	first, err := loop.First(s.config.Policy, s.config.Training.Price.Model(), s.config.Sites(), time.Now())
	if err == nil {
		err = s.releases.Publish(ctx, first, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s.ingest, err = loop.StartIngest(ctx, s.backends, s.config, s.log, s.metrics); err != nil {
		t.Fatal(err)
	}
	s.startEdge()
	return s
}

func (s *canarySite) plantEnvironment() {
	for _, variable := range []string{"USER", "LOGNAME", "HOSTNAME", "NAME"} {
		s.t.Setenv(variable, s.plant(canaryName, "environment"))
	}
	s.t.Setenv("EMAIL", s.plant(canaryEmail, "environment"))
	s.t.Setenv("SSH_CLIENT", s.plant(canaryIPv4, "environment")+" 50000 22")
	s.t.Setenv("SSH_CONNECTION", s.plant(canaryIPv6, "environment")+" 50000 ::1 22")
	s.t.Setenv("ATTUNE_CALLER", s.plant(canaryPhone, "environment"))
	s.t.Setenv("ATTUNE_TURN_PASSWORD", s.plant(canaryPassword, "environment"))
}

// configure writes attune.yaml with canaries where they may be, in comments and in its name, and reads it.
func (s *canarySite) configure() {
	var text strings.Builder
	for range 4 {
		fmt.Fprintf(&text, "# %s, %s, %s\n# relay password %s for %s\n", s.plant(canaryName, "attune.yaml"), s.plant(canaryPhone, "attune.yaml"),
			s.plant(canaryEmail, "attune.yaml"), s.plant(canaryPassword, "attune.yaml"), s.plant(canaryUser, "attune.yaml"))
	}
	fmt.Fprintf(&text, "data: %s\ningest: {ackWait: 2s, maxWait: 100ms}\ntraining: {minSegments: 100}\n", s.path("data"))
	s.file = filepath.Join(s.etc, "attune of "+s.plant(canaryName, "name of attune.yaml")+".yaml")
	if err := os.WriteFile(s.file, []byte(text.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	var err error
	if s.config, err = config.Load(s.file, os.LookupEnv); err != nil {
		s.t.Fatal(err)
	}
	if err := os.MkdirAll(s.config.Data, 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s *canarySite) startEdge() {
	gate, err := s.backends.Gate(s.t.Context(), s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	e, err := edge.New(edge.Config{Front: gate, Back: s.backends.JetStream.Conn(), Logger: s.log, Metrics: s.metrics})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	s.stopEdge = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(s.stopEdge)
}

// rootFile is the root of trust as clients are given it.
func (s *canarySite) rootFile() string {
	s.t.Helper()
	root, err := s.releases.Root(s.t.Context())
	file := s.path("data", "root.json")
	if err := errors.Join(err, os.WriteFile(file, root, 0o600)); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// device is a call client with a directory of its own.
func (s *canarySite) device() *lab.Device {
	s.t.Helper()
	root, err := s.releases.Root(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.devices++
	dir := s.path("clients", fmt.Sprint("device-", s.devices))
	s.mu.Unlock()
	d, err := lab.NewDevice(s.t.Context(), lab.Servers{NATS: s.backends.NATSURL, Root: root}, dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *canarySite) retire(d *lab.Device) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		s.t.Error(err)
	}
	if counts := d.Reporter.Counts(); counts.Acknowledged != counts.Created {
		s.t.Errorf("a device's reports: %+v", counts)
	}
}

// command is a verb as a process of its own, at its most talkative. What it says goes to a file that is searched.
func (s *canarySite) command(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	command := exec.Command("attune", append(args, "--verbose", "--config", s.file)...)
	out, err := os.Create(s.path("out", name+".out"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = out.Close() })
	command.Stdout, command.Stderr = out, out
	command.Env = append(os.Environ(), "ATTUNE_CLICKHOUSE="+s.backends.DSN)
	return command
}

// run runs a verb to its end and returns what it said.
func (s *canarySite) run(name string, args ...string) string {
	s.t.Helper()
	err := s.command(name, args...).Run()
	said, readErr := os.ReadFile(s.path("out", name+".out"))
	if err != nil || readErr != nil {
		s.t.Fatalf("attune %s: %v, %v\n%s", strings.Join(args, " "), err, readErr, said)
	}
	return string(said)
}

// settle waits until every report is stored or refused.
func (s *canarySite) settle() {
	s.t.Helper()
	ctx := s.t.Context()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		stream, err := s.backends.JetStream.Stream(ctx, "CALLS")
		if err != nil {
			s.t.Fatal(err)
		}
		if state := stream.CachedInfo().State; state.Msgs == 0 {
			return
		} else if time.Now().After(deadline) {
			s.t.Fatalf("%d messages are still in the stream: %+v", state.Msgs, s.ingest.Stats())
		}
	}
}

// writeMetrics keeps what Prometheus would scrape.
func (s *canarySite) writeMetrics() {
	s.t.Helper()
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	if !bytes.Contains(scrape.Body.Bytes(), []byte("attune_")) {
		s.t.Errorf("no metrics: %s", scrape.Body)
	}
	if err := os.WriteFile(s.path("out", "metrics.txt"), scrape.Body.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// reopen starts the servers again over the same directory.
func (s *canarySite) reopen() *canarySite {
	s.t.Helper()
	again := &canarySite{t: s.t, root: s.root, config: s.config, log: s.log, metrics: s.metrics}
	var err error
	if again.backends, err = loop.Open(s.t.Context(), s.config, loop.NeedNATS|loop.NeedWarehouse|loop.MakeTables, 0, s.log); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = again.backends.Close() })
	return again
}
