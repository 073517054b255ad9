package telemetry_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

func TestAcknowledgedMeansStored(t *testing.T) {
	s := newSite(t).start()
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: filepath.Join(t.TempDir(), "spool")})
	const clients, calls = 4, 100
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for i := range calls {
				call(r, client*calls+i, 5)
				checkCounts(t, r.Counts())
			}
		})
	}
	group.Wait()
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := telemetry.Counts{Created: clients * calls, Spooled: clients * calls, Sent: clients * calls, Acknowledged: clients * calls}
	if got := r.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if got := len(s.stored()); got != clients*calls {
		t.Errorf("%d reports stored, %d acknowledged", got, clients*calls)
	}
}

func TestOfflineThenOnline(t *testing.T) {
	s := newSite(t)
	spool := filepath.Join(t.TempDir(), "deep", "spool")
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	const calls = 20
	for i := range calls {
		call(r, i, 3)
	}
	await.Eventually(t, "all reports spooled", func() bool { return r.Counts().Spooled >= calls })
	if info, err := os.Stat(spool); err != nil || info.Size() == 0 {
		t.Fatalf("no spool file: %v", err)
	}
	s.start()
	await.Eventually(t, "all reports acknowledged", func() bool { return r.Counts().Acknowledged == calls })
	if got := len(s.stored()); got != calls {
		t.Errorf("%d reports stored, want %d", got, calls)
	}
	await.Eventually(t, "the empty spool has no file", func() bool { _, err := os.Stat(spool); return errors.Is(err, fs.ErrNotExist) })
	checkCounts(t, r.Counts())
}

func TestSpoolSurvivesTheClient(t *testing.T) {
	s := newSite(t)
	spool := filepath.Join(t.TempDir(), "spool")
	const calls = 10
	for i := range 2 { // two runs without a connection, each with half of the calls
		r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
		for j := range calls / 2 {
			call(r, i*calls/2+j, 3)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		counts := r.Counts()
		if want := uint64(calls / 2 * (i + 1)); counts.Pending != want || counts.Dropped > 0 {
			t.Errorf("run %d left %+v, want %d pending", i, counts, want)
		}
		checkCounts(t, counts)
	}
	s.start()
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	await.Eventually(t, "all reports acknowledged", func() bool { return r.Counts().Acknowledged == calls })
	if got := r.Counts(); got.Recovered != calls || got.Created != 0 {
		t.Errorf("counts %+v, want %d recovered", got, calls)
	}
	if got := len(s.stored()); got != calls {
		t.Errorf("%d reports stored, want %d", got, calls)
	}
}

func TestOldestAreDroppedAndTold(t *testing.T) {
	s := newSite(t)
	spool := filepath.Join(t.TempDir(), "spool")
	cfg := telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool, SpoolLimit: 256 << 10, Queue: 4096}
	r := reporter(t, cfg)
	const calls = 600 // of about 900 bytes: twice what fits
	for i := range calls {
		call(r, i, 40)
		if i%50 == 0 {
			time.Sleep(time.Millisecond) // so that it is written in several steps
		}
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	dropped := r.Counts().Dropped
	if dropped < calls/4 || dropped > 3*calls/4 {
		t.Fatalf("%d of %d dropped, want about half", dropped, calls)
	}

	s.start()
	r = reporter(t, cfg)
	kept := calls - int(dropped)
	await.Eventually(t, "the rest acknowledged", func() bool { return r.Counts().Acknowledged == uint64(kept) })
	call(r, calls, 3) // tells: those of the spool may have been sent by the earlier process
	await.Eventually(t, "the new one acknowledged", func() bool { return r.Counts().Acknowledged == uint64(kept)+1 })
	reports := s.stored()
	if len(reports) != kept+1 {
		t.Fatalf("%d stored, want %d", len(reports), kept+1)
	}
	told := 0
	for i := range reports {
		told += int(reports[i].LostReports)
		if number(&reports[i]) < int(dropped) {
			t.Errorf("report %d was kept although it is one of the %d oldest", number(&reports[i]), dropped)
		}
	}
	if told != int(dropped) {
		t.Errorf("reports tell of %d lost ones, want %d", told, dropped)
	}
}

func TestServerRestartsUnderLoad(t *testing.T) {
	s := newSite(t).start()
	r := reporter(t, telemetry.ReporterConfig{
		Publisher: s.jetstream(), Spool: filepath.Join(t.TempDir(), "spool"), AckTimeout: 2 * time.Second,
	})
	const restarts, calls = 5, 60
	for i := range restarts {
		for j := range calls {
			call(r, i*calls+j, 4)
			if j == calls/2 {
				s.Stop()
			}
		}
		s.start()
	}
	await.Eventually(t, "all acknowledged", func() bool { return r.Counts().Acknowledged == restarts*calls })
	counts := r.Counts()
	checkCounts(t, counts)
	if counts.Dropped > 0 {
		t.Errorf("%+v: no report may be dropped", counts)
	}
	stored := map[int]bool{}
	reports := s.stored()
	for i := range reports {
		stored[number(&reports[i])] = true
	}
	if len(reports) != restarts*calls || len(stored) != restarts*calls {
		t.Errorf("%d stored, %d distinct, want %d acknowledged ones", len(reports), len(stored), restarts*calls)
	}
	t.Logf("%+v", counts)
}

func TestSwitchedOff(t *testing.T) {
	dir := t.TempDir()
	spool := filepath.Join(dir, "spool")
	s := newSite(t)
	on := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	call(on, 1, 3)
	if err := on.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(spool); err != nil {
		t.Fatal(err)
	}

	off, err := telemetry.NewReporter(telemetry.ReporterConfig{Spool: spool})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(spool); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reports that waited are still there after the user said no: %v", err)
	}
	call(off, 1, 3)
	if got := off.Counts(); got != (telemetry.Counts{}) {
		t.Errorf("switched off, but counts %+v", got)
	}
	if err := off.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(spool); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("switched off, but a spool was written: %v", err)
	}
}

func TestCloseKeepsToItsTime(t *testing.T) {
	s := newSite(t)
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream()}) // no connection, no spool
	call(r, 1, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := r.Close(ctx)
	if err == nil || !strings.Contains(err.Error(), "1 reports lost") || !strings.Contains(err.Error(), "Spool") {
		t.Errorf("Close without connection and spool: %v, want to hear of the loss", err)
	}
	if again := r.Close(t.Context()); !errors.Is(again, err) {
		t.Errorf("second Close: %v", again)
	}
	call(r, 2, 3) // too late to be reported, but not a crash
	if got := r.Counts(); got.Created != 1 || got.Dropped != 1 || got.Pending != 0 {
		t.Errorf("counts %+v, want the one call dropped", got)
	}
}

func TestRefusalsAreReported(t *testing.T) {
	s := newSite(t).start()
	refusals := [telemetry.RefusalReasons]uint8{0, 3, 0, 1}
	r := reporter(t, telemetry.ReporterConfig{
		Publisher: s.jetstream(),
		Refusals:  func() [telemetry.RefusalReasons]uint8 { return refusals },
	})
	c := r.Call(model.Context{Network: model.Network3G, Loss: 4}, telemetry.OriginCall)
	c.End(true)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	reports := s.stored()
	if len(reports) != 1 || reports[0].Refusals != refusals || !reports[0].Dropped || reports[0].Context != (model.Context{Network: model.Network3G}) {
		t.Errorf("stored %+v", reports)
	}
}
