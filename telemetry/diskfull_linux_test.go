package telemetry_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// TestDiskFull writes the spool to a device that is always full.
func TestDiskFull(t *testing.T) {
	var log await.Log
	s := newSite(t)
	spool := filepath.Join(t.TempDir(), "spool")
	r := reporter(t, telemetry.ReporterConfig{
		Publisher: s.jetstream(), Spool: spool,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err := os.Symlink("/dev/full", spool+".next"); err != nil {
		t.Fatal(err)
	}
	call(r, 1, 3)
	await.Eventually(t, "the fault told", func() bool { return strings.Contains(log.String(), "no space left on device") })
	call(r, 2, 3) // the first attempt removed the link: there is room now
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.start()
	r = reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	await.Eventually(t, "both acknowledged", func() bool { return r.Counts().Acknowledged == 2 })
}
