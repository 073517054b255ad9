package main_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/training/lab"
)

// service is an "attune up" as a process.
type service struct {
	*exec.Cmd
	nats, root string
	output     *strings.Builder
	drained    chan struct{}
}

var readyLine = regexp.MustCompile(`clients connect to (\S+) and trust (\S+)`)

func startUp(t *testing.T, data string) *service {
	t.Helper()
	// A batch that a killed process had in hand goes to the next one after ackWait.
	file := filepath.Join(t.TempDir(), "attune.yaml")
	if err := os.WriteFile(file, []byte("ingest: {ackWait: 2s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &service{Cmd: exec.Command("attune", "up", "--config", file, "--data", data, "--port", "0"), output: new(strings.Builder), drained: make(chan struct{})}
	s.Stderr = os.Stderr
	stdout, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Process.Kill()
		_ = s.Wait()
	})
	ready := make(chan []string, 1)
	go func() {
		defer close(s.drained)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			fmt.Fprintln(s.output, lines.Text())
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m
			}
		}
	}()
	select {
	case m := <-ready:
		s.nats, s.root = m[1], m[2]
	case <-s.drained:
		t.Fatalf("attune up ended before it was ready:\n%s", s.output)
	case <-time.After(2 * time.Minute):
		t.Fatal("attune up is not ready after two minutes")
	}
	return s
}

// clickhouses lists the processes whose command line names a directory.
func clickhouses(t *testing.T, dir string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file) // gone meanwhile: not running
		if err == nil && strings.Contains(string(text), "clickhouse") && strings.Contains(string(text), dir) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// A service that is killed loses nothing it has acknowledged, and leaves no ClickHouse behind for the next start.
func TestUpSurvivesSIGKILL(t *testing.T) {
	data := t.TempDir()
	first := startUp(t, data)
	if len(clickhouses(t, data)) == 0 {
		t.Fatal("no ClickHouse of this data directory is running: the test would see nothing")
	}
	const reports = 300
	sendReports(t, first, reports/2, false)
	sendReports(t, first, reports/2, true)
	if err := first.Process.Signal(syscall.SIGKILL); err != nil { // some reports are stored, some are still in the stream
		t.Fatal(err)
	}
	_ = first.Wait()

	second := startUp(t, data)
	if pids := clickhouses(t, data); len(pids) != 1 {
		t.Errorf("%d ClickHouse processes use the directory after the next start, want its own only", len(pids))
	}
	// Ingest takes what the stream held, and what the first process had in hand, in its own time: on a slow machine the
	// service may need more than one run for it.
	var counts warehouse.Counts
	for run := 1; run <= 5 && counts.Reports < reports; run++ {
		if run > 1 {
			second = startUp(t, data)
		}
		time.Sleep(5 * time.Second)
		if err := second.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-second.drained
		if err := second.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v\n%s", err, second.output)
		}
		if pids := clickhouses(t, data); len(pids) != 0 {
			t.Errorf("ClickHouse processes %v are left after a clean stop", pids)
		}
		counts = stored(t, data)
	}
	if counts.Reports != reports || counts.Segments != 2*reports {
		t.Errorf("stored %d reports with %d segments, want %d with %d", counts.Reports, counts.Segments, reports, 2*reports)
	}
}

// stored counts what is in the ClickHouse of a data directory that no service uses.
func stored(t *testing.T, data string) warehouse.Counts {
	t.Helper()
	ctx := context.Background()
	managed, err := warehouse.StartManaged(ctx, warehouse.ManagedConfig{Dir: filepath.Join(data, "clickhouse")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = managed.Close() }()
	w, err := warehouse.Open(ctx, managed.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	counts, err := w.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// sendReports has a client report calls, to the stream or through the edge, and waits until every one is acknowledged.
func sendReports(t *testing.T, s *service, n int, edge bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	root, err := os.ReadFile(s.root)
	if err != nil {
		t.Fatal(err)
	}
	device, err := lab.NewDevice(ctx, lab.Servers{NATS: s.nats, Root: root, Edge: edge}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if v := device.Policy.Current().Version(); v != 1 {
		t.Errorf("the client holds policy %d, want 1", v)
	}
	for i := range n {
		call := device.Reporter.Call(model.Context{Network: model.Network4G}, telemetry.OriginCall)
		for range 2 {
			call.Record(model.Segment{
				Cause: model.CauseInterval, Action: model.DefaultAction(), Propensity: model.PropensityScale, Policy: 1,
				Seconds: 4, Outcome: model.Outcome{MOS: model.Bucket(1 + i%60)},
			})
		}
		call.Stage(model.StageEnded)
		call.End(false)
	}
	if err := device.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if counts := device.Reporter.Counts(); counts.Acknowledged != uint64(n) {
		t.Fatalf("%d of %d reports acknowledged", counts.Acknowledged, n)
	}
}
