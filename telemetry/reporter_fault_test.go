package telemetry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// deaf loses the acknowledgement of every first try, as a connection that breaks in between does.
type deaf struct {
	jetstream.JetStream
	tries map[string]int
}

type silence struct{ jetstream.PubAckFuture }

func (silence) Ok() <-chan *jetstream.PubAck { return nil }
func (silence) Err() <-chan error            { return nil }

func (d *deaf) PublishMsgAsync(m *nats.Msg, o ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	id := m.Header.Get(nats.MsgIdHdr)
	d.tries[id]++
	future, err := d.JetStream.PublishMsgAsync(m, o...)
	if d.tries[id] == 1 && err == nil {
		<-d.PublishAsyncComplete()
		return silence{future}, nil
	}
	return future, err
}

func TestLostAcknowledgementIsADuplicate(t *testing.T) {
	s := newSite(t).start()
	r := reporter(t, telemetry.ReporterConfig{
		Publisher:  &deaf{s.jetstream(), map[string]int{}},
		Spool:      filepath.Join(t.TempDir(), "spool"),
		AckTimeout: 50 * time.Millisecond,
	})
	const calls = 10
	for i := range calls {
		call(r, i, 3)
	}
	await.Eventually(t, "all acknowledged", func() bool { return r.Counts().Acknowledged == calls })
	if got := r.Counts(); got.Duplicates != calls || got.Sent < 2*calls {
		t.Errorf("counts %+v, want %d duplicates", got, calls)
	}
	if got := len(s.stored()); got != calls {
		t.Errorf("%d stored, want %d", got, calls)
	}
}

func TestStreamThatIsMissingOrFull(t *testing.T) {
	s := newSite(t)
	s.Stream = broker.StreamConfig{MaxBytes: 64 << 10}
	s.start()
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: filepath.Join(t.TempDir(), "spool")})
	const calls = 200
	for i := range calls {
		call(r, i, 40)
	}
	await.Eventually(t, "the stream full and the rest spooled", func() bool {
		c := r.Counts()
		return c.Acknowledged > 10 && c.Acknowledged < calls && c.Failed > 0
	})
	js := s.operator()
	s.Enlarge(4 << 30)
	await.Eventually(t, "all acknowledged", func() bool { return r.Counts().Acknowledged == calls })
	if got := len(s.stored()); got != calls {
		t.Errorf("%d stored, want %d", got, calls)
	}

	failed := r.Counts().Failed
	if err := js.DeleteStream(t.Context(), telemetry.Stream); err != nil {
		t.Fatal(err)
	}
	call(r, calls, 3)
	await.Eventually(t, "spooled for want of a stream", func() bool { return r.Counts().Pending == 1 && r.Counts().Failed > failed })
	if _, err := broker.EnsureStream(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, "acknowledged", func() bool { return r.Counts().Acknowledged == calls+1 })
}

func TestReportTheServerNeverTakes(t *testing.T) {
	s := newSite(t).start()
	js := s.operator()
	stream, err := js.Stream(t.Context(), telemetry.Stream)
	if err != nil {
		t.Fatal(err)
	}
	narrow := stream.CachedInfo().Config
	narrow.MaxMsgSize = 500
	if _, err := js.UpdateStream(t.Context(), narrow); err != nil {
		t.Fatal(err)
	}
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: filepath.Join(t.TempDir(), "spool")})
	call(r, 1, 100)
	await.Eventually(t, "the large one given up", func() bool { return r.Counts().Dropped == 1 })
	call(r, 2, 2)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	reports := s.stored()
	if len(reports) != 1 || number(&reports[0]) != 2 || reports[0].LostReports != 1 {
		t.Errorf("stored %+v, want the second call, telling of one lost report", reports)
	}
	checkCounts(t, r.Counts())
}

// stuck blocks in the middle of a write.
type stuck struct {
	jetstream.JetStream
	gate chan struct{}
}

func (p *stuck) PublishMsgAsync(m *nats.Msg, o ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	<-p.gate
	return p.JetStream.PublishMsgAsync(m, o...)
}

func TestFullQueueNeverBlocksTheCall(t *testing.T) {
	s := newSite(t).start()
	gate := make(chan struct{})
	r := reporter(t, telemetry.ReporterConfig{Publisher: &stuck{s.jetstream(), gate}, Queue: 8, Spool: filepath.Join(t.TempDir(), "spool")})
	const calls = 100
	for i := range calls {
		call(r, i, 3)
	}
	counts := r.Counts()
	if counts.Pending < 8 || counts.Pending > 16 || counts.Dropped < calls-16 { // 8 queued, up to 8 taken before it got stuck
		t.Errorf("counts %+v, want 8 to 16 pending", counts)
	}
	close(gate)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	told, dropped := 0, int(r.Counts().Dropped)
	reports := s.stored()
	for i := range reports {
		told += int(reports[i].LostReports)
	}
	if told != dropped || len(reports)+dropped != calls {
		t.Errorf("%d stored tell of %d lost, %d dropped of %d", len(reports), told, dropped, calls)
	}
}

func TestReporterFaultsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	s := newSite(t)
	spool := filepath.Join(dir, "spool")
	reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cfg  telemetry.ReporterConfig
		want []string
	}{
		{"spool in use", telemetry.ReporterConfig{Enabled: true, Publisher: s.jetstream(), Spool: spool}, []string{spool, "a spool of its own"}},
		{"spool below a file", telemetry.ReporterConfig{Enabled: true, Publisher: s.jetstream(), Spool: filepath.Join(file, "spool")}, []string{file}},
		{
			"nothing right",
			telemetry.ReporterConfig{Enabled: true, SpoolLimit: 1, Queue: -1, Window: 1000, AckTimeout: -1, RetryMin: 2, RetryMax: 1},
			[]string{"Publisher", "SpoolLimit 1", "Queue -1", "Window 1000", "AckTimeout", "RetryMin"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := telemetry.NewReporter(c.cfg)
			if err == nil {
				_ = r.Close(t.Context())
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not mention %q", err, want)
				}
			}
		})
	}
}
