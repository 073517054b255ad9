package getstats_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
)

func openLedger(t *testing.T, dir string, oldest uint32) *getstats.Ledger {
	t.Helper()
	l, err := getstats.OpenLedger(dir, oldest)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A report counts under one network type and hour, in this process and the next, until it is too old to count at all.
func TestLedgerRemembers(t *testing.T) {
	dir := t.TempDir()
	report := func(network model.NetworkType, hour uint32) *telemetry.Report {
		return &telemetry.Report{ID: telemetry.ReportID{1}, Hour: hour, Context: model.Context{Network: network}}
	}
	enter := func(l *getstats.Ledger, r *telemetry.Report, want bool) {
		t.Helper()
		if ok, err := l.Enter(r); err != nil || ok != want {
			t.Errorf("entered: %v, want %v: %v", ok, want, err)
		}
	}
	first := openLedger(t, dir, 0)
	enter(first, report(model.NetworkWiFi, 500_000), true)
	enter(first, report(model.NetworkWiFi, 500_000), true)
	enter(first, report(model.Network4G, 500_000), false)
	if _, err := getstats.OpenLedger(dir, 0); err == nil {
		t.Error("a second process has the ledger")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "import.known"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.WriteString("half an")
	_ = file.Close()

	second := openLedger(t, dir, 500_000)
	if diff := cmp.Diff(first.Key(), second.Key()); diff != "" {
		t.Error("another key")
	}
	enter(second, report(model.Network4G, 500_000), false)
	enter(second, report(model.NetworkWiFi, 500_001), false)
	enter(second, report(model.NetworkWiFi, 500_000), true)
	enter(second, &telemetry.Report{ID: telemetry.ReportID{2}, Hour: 600_000}, true)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}

	third := openLedger(t, dir, 500_001)
	enter(third, report(model.Network4G, 500_000), true)
	enter(third, &telemetry.Report{ID: telemetry.ReportID{2}, Hour: 600_001}, false)
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "import.known"))
	if err != nil || info.Size() != 2*21 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want two entries that others cannot read", info, err)
	}
}

func TestLedgerKeyThatIsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "import.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := getstats.OpenLedger(dir, 0); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
}
