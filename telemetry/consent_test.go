package telemetry_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// leftovers lists what is in a directory besides the empty lock.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Size() > 0 || !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestConsentWithdrawnWhileItRuns switches reporting off in the middle of everything: nothing is left on the device,
// nothing more is recorded or sent, and a call that began before is not reported when reporting is on again.
func TestConsentWithdrawnWhileItRuns(t *testing.T) {
	s := newSite(t) // down
	dir := t.TempDir()
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: filepath.Join(dir, "spool")})
	for i := range 10 {
		call(r, i, 3)
	}
	await.Eventually(t, "all reports spooled", func() bool { return r.Counts().Spooled == 10 })
	if err := os.WriteFile(filepath.Join(dir, "spool.next"), []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	stop := make(chan struct{})
	for client := range 3 { // calls begin and end all the while
		group.Go(func() {
			for i := 100 * client; ; i++ {
				select {
				case <-stop:
					return
				default:
					call(r, i, 3)
				}
			}
		})
	}
	during := r.Call(model.Context{Network: model.NetworkWiFi}, telemetry.OriginCall)
	during.Record(typicalReport(1, 1).Segments[0])
	if err := r.SetEnabled(false); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left on the device: %v", left)
	}
	before := r.Counts()
	if before.Pending != 0 {
		t.Errorf("counts %+v: something still waits", before)
	}
	checkCounts(t, before)
	time.Sleep(20 * time.Millisecond)
	close(stop)
	group.Wait()
	if after := r.Counts(); after != before {
		t.Errorf("switched off, but counts went from %+v to %+v", before, after)
	}

	s.start()
	if err := r.SetEnabled(true); err != nil {
		t.Fatal(err)
	}
	if err := r.SetEnabled(true); err != nil { // once is enough
		t.Fatal(err)
	}
	during.Record(typicalReport(1, 1).Segments[0])
	during.End(false)
	call(r, 1000, 3)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	reports := s.stored()
	if len(reports) != 1 || number(&reports[0]) != 1000 || reports[0].LostReports != 0 {
		t.Errorf("stored %+v, want the last call alone, with nothing to tell of what was withdrawn", reports)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left on the device: %v", left)
	}
	if r.SetEnabled(true) == nil {
		t.Error("a closed reporter was switched on")
	}
	if err := r.SetEnabled(false); err != nil {
		t.Error(err)
	}
}

func TestConsentGivenLater(t *testing.T) {
	s := newSite(t).start()
	r, err := telemetry.NewReporter(telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: filepath.Join(t.TempDir(), "spool")})
	if err != nil {
		t.Fatal(err)
	}
	call(r, 1, 3)
	if err := r.SetEnabled(true); err != nil {
		t.Fatal(err)
	}
	call(r, 2, 3)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if reports := s.stored(); len(reports) != 1 || number(&reports[0]) != 2 {
		t.Errorf("stored %+v, want the second call", reports)
	}
	off, err := telemetry.NewReporter(telemetry.ReporterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := off.SetEnabled(true); err == nil || !strings.Contains(err.Error(), "Publisher") {
		t.Errorf("switched on without a publisher: %v", err)
	}
}

// Saying no deletes a spool, whatever wrote it, and no other file.
func TestSwitchedOffDeletesOnlyASpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(path, []byte("Dear diary, it was a long day."), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, enabled := range []bool{false, true} {
		_, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: enabled, Publisher: &tray{}, Spool: path})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Enabled %v with a file that is no spool: %v", enabled, err)
		}
		if content, err := os.ReadFile(path); err != nil || string(content) != "Dear diary, it was a long day." {
			t.Errorf("Enabled %v: the file now holds %q: %v", enabled, content, err)
		}
	}
	if err := os.WriteFile(path+".next", []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := telemetry.NewReporter(telemetry.ReporterConfig{Spool: path}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".next"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a spool is left after the user said no: %v", err)
	}
}

// TestCallThatOutlivesItsReporter loses a report, and the next one tells of it.
func TestCallThatOutlivesItsReporter(t *testing.T) {
	s := newSite(t).start()
	spool := filepath.Join(t.TempDir(), "spool")
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	late := r.Call(model.Context{}, telemetry.OriginCall)
	call(r, 1, 3)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	late.End(false)
	if got := r.Counts(); got.Created != 2 || got.Acknowledged != 1 || got.Dropped != 1 || got.Pending != 0 {
		t.Errorf("counts %+v, want one of two calls dropped", got)
	}
	r = reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	call(r, 2, 3)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	reports := s.stored()
	if len(reports) != 2 || reports[1].LostReports != 1 {
		t.Errorf("stored %+v, want the second to tell of the call that was still going on", reports)
	}
}

// spy writes down what is published.
type spy struct {
	jetstream.JetStream
	sent func(data []byte)
}

func (p *spy) PublishMsgAsync(m *nats.Msg, o ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	p.sent(bytes.Clone(m.Data))
	return p.JetStream.PublishMsgAsync(m, o...)
}

// TestPreviewShowsWhatIsSent holds what is shown to what is sent, in order, and before it is in the spool or on its way.
// Whoever looks cannot change it.
func TestPreviewShowsWhatIsSent(t *testing.T) {
	s := newSite(t).start()
	path := filepath.Join(t.TempDir(), "spool")
	var shown, sent [][]byte // both are written by the one goroutine
	r := reporter(t, telemetry.ReporterConfig{
		Publisher: &spy{s.jetstream(), func(data []byte) { sent = append(sent, data) }},
		Spool:     path, Queue: 2,
		Preview: func(report []byte) {
			if spooled, err := telemetry.ReadSpool(path); err == nil {
				for _, stored := range spooled.Reports {
					if bytes.Equal(stored, report) {
						t.Error("a report is shown that is stored already")
					}
				}
			}
			shown = append(shown, bytes.Clone(report))
			clear(report)
		},
	})
	for i := range 200 { // some are dropped from the queue, and others tell of it
		call(r, i, 4)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(shown) == 0 || len(shown) != len(sent) {
		t.Fatalf("%d reports shown, %d sent", len(shown), len(sent))
	}
	for i := range shown {
		if !bytes.Equal(shown[i], sent[i]) {
			t.Errorf("report %d: shown %x, sent %x", i, shown[i], sent[i])
		}
	}
	if got := len(s.stored()); got != len(sent) {
		t.Errorf("%d stored, %d shown", got, len(sent))
	}
}
