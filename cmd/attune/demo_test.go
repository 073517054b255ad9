package main_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The main job in small: every step of it really happens, and every report is accounted for. How good the learned
// policy is on so few calls is not the question here.
func TestDemoInSmall(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	command := exec.Command("attune", "demo", "--out", out, "--networks", "ethernet,4g-udp-throttled",
		"--simulated", "300", "--calls", "6", "--duration", "12s", "--parallel", "12")
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("attune demo: %v\n%s", err, stderr.String())
	}
	for _, said := range []string{"policy 1 signed", "300 simulated calls", "gate:", "forecast:", "policy 2 signed", "real calls", "reports:"} {
		if !strings.Contains(stderr.String(), said) {
			t.Errorf("the progress lacks %q:\n%s", said, stderr.String())
		}
	}
	for _, row := range []string{"ethernet", "4g-udp-throttled", "all", "gain", "forecast", "300 simulated calls (600 reports)", "12 real calls"} {
		if !strings.Contains(stdout.String(), row) {
			t.Errorf("the table lacks %q:\n%s", row, stdout.String())
		}
	}
	text, err := os.ReadFile(filepath.Join(out, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var summary struct {
		Reports struct {
			accounted
			Duplicates, Segments uint64
			Simulated, Real      accounted
		}
		History  struct{ Calls, Segments, Explored int }
		Calls    struct{ Changeover, Experiment int }
		Forecast struct{ Calls int }
		Policy   struct{ Legs, Applied int } `json:"policyChange"`
		Verdict  string
		Training struct {
			Run  string
			Rows int
		}
	}
	if err := json.Unmarshal(text, &summary); err != nil {
		t.Fatal(err)
	}
	calls := summary.Calls.Changeover + summary.Calls.Experiment
	if calls != 2+2*6 || summary.History.Calls != 300 || summary.Forecast.Calls == 0 {
		t.Errorf("%d real calls, want 14; %d simulated, want 300; %d in the forecast", calls, summary.History.Calls, summary.Forecast.Calls)
	}
	if h := summary.History; h.Explored == 0 || h.Explored >= h.Segments {
		t.Errorf("%d of %d simulated segments explored", h.Explored, h.Segments)
	}
	r := summary.Reports
	for _, want := range []struct {
		what  string
		got   accounted
		calls int
	}{{"simulated", r.Simulated, 300}, {"real", r.Real, calls}, {"all", r.accounted, 300 + calls}} {
		d := want.got
		if d.Sent != uint64(2*want.calls) || d.Acknowledged != d.Sent || d.Stored+d.Rejected != d.Acknowledged || d.Stored == 0 {
			t.Errorf("%s: reports of %d calls: %+v", want.what, want.calls, d)
		}
	}
	if r.Duplicates != 0 {
		t.Errorf("%d reports are counted twice", r.Duplicates)
	}
	if summary.Policy.Legs == 0 || summary.Policy.Applied != summary.Policy.Legs {
		t.Errorf("%d of %d running legs took up the new policy", summary.Policy.Applied, summary.Policy.Legs)
	}
	switch summary.Verdict {
	case "promote", "hold", "roll back":
	default:
		t.Errorf("verdict %q", summary.Verdict)
	}
	if summary.Training.Rows == 0 {
		t.Error("nothing was learned from")
	}
	for _, file := range []string{"report.html", filepath.Join(summary.Training.Run, "card.html"), filepath.Join(summary.Training.Run, "model.safetensors")} {
		if _, err := os.Stat(filepath.Join(out, file)); err != nil {
			t.Error(err)
		}
	}
	if left := clickhouses(t, out); len(left) != 0 {
		t.Errorf("ClickHouse processes %v are left", left)
	}
}

// accounted is how far reports got.
type accounted struct{ Sent, Acknowledged, Stored, Rejected uint64 }

// Ctrl-C in the middle of simulated or real calls ends them, stops the servers and leaves nothing running.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ act, simulated string }{{"history:", "200000"}, {"changeover:", "300"}} {
		t.Run(test.act, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			command := exec.Command("attune", "demo", "--out", out, "--networks", "ethernet,4g-udp-throttled", "--parallel", "4",
				"--simulated", test.simulated, "--duration", "10s")
			stderr, err := command.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = command.Process.Kill() })
			lines := bufio.NewScanner(stderr)
			for lines.Scan() && !strings.Contains(lines.Text(), test.act) {
			}
			time.Sleep(3 * time.Second)
			if len(clickhouses(t, out)) == 0 {
				t.Fatal("no ClickHouse of this demo is running: the test would see nothing")
			}
			if err := command.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			said := ""
			for lines.Scan() {
				said = lines.Text()
			}
			if err := command.Wait(); command.ProcessState.ExitCode() != 1 {
				t.Errorf("exit: %v, want status 1", err)
			}
			if !strings.Contains(said, "interrupted") {
				t.Errorf("the last word is %q, want it to say that the demo was interrupted", said)
			}
			if left := clickhouses(t, out); len(left) != 0 {
				t.Errorf("ClickHouse processes %v are left", left)
			}
		})
	}
}
