package telemetry_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// What the test binary is run as by the test of a client that dies. Without it, it is the tests.
const (
	doomedServer = "TELEMETRY_DOOMED_SERVER" // URL
	doomedSpool  = "TELEMETRY_DOOMED_SPOOL"
	doomedWhen   = "TELEMETRY_DOOMED_WHEN" // one of the following
)

const (
	beforeSending = "before the report is sent"
	afterSending  = "after the stream has it, before the client knows"
	offline       = "offline, with more reports than it keeps"
)

const offlineCalls = 200 // of the client that is offline

func TestMain(m *testing.M) {
	if os.Getenv(doomedServer) == "" {
		os.Exit(m.Run())
	}
	if err := doomed(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// doomed is a client that says how far its report has come, and waits to be killed.
func doomed() error {
	conn, err := telemetry.Connect(context.Background(), os.Getenv(doomedServer), "attune-client", nil)
	if err != nil {
		return err
	}
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		return err
	}
	last := &lastWords{JetStream: js, when: os.Getenv(doomedWhen)}
	spool := os.Getenv(doomedSpool)
	r, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: true, Publisher: last, Spool: spool, Queue: 1})
	if err != nil {
		return err
	}
	if last.when != offline {
		call(r, 1, 3)
		select {}
	}
	for i := range offlineCalls {
		call(r, i, 3)
	}
	for written := 0; written < offlineCalls; time.Sleep(5 * time.Millisecond) {
		if spooled, err := telemetry.ReadSpool(spool); err == nil {
			written = len(spooled.Reports) + spooled.Lost
			for _, data := range spooled.Reports {
				var report telemetry.Report
				if err := telemetry.Unmarshal(data, &report); err != nil {
					return err
				}
				written += int(report.LostReports)
			}
		}
	}
	fmt.Println("kill me")
	select {}
}

// lastWords says how far a report has come, and goes no further.
type lastWords struct {
	jetstream.JetStream
	when string
}

func (p *lastWords) PublishMsgAsync(m *nats.Msg, o ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	if p.when == afterSending {
		future, err := p.JetStream.PublishMsgAsync(m, o...)
		if err != nil {
			return nil, err
		}
		<-future.Ok()
	}
	fmt.Println("kill me")
	select {}
}

// kill runs a doomed client until it has come as far as it should, and kills it.
func kill(t *testing.T, server, spool, when string) {
	t.Helper()
	client := exec.Command(os.Args[0])
	client.Env = append(os.Environ(), doomedServer+"="+server, doomedSpool+"="+spool, doomedWhen+"="+when)
	client.Stderr = os.Stderr
	out, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	word, _ := bufio.NewReader(io.LimitReader(out, 1000)).ReadString('\n')
	_ = client.Process.Kill() // SIGKILL: nothing of it runs any more
	_ = client.Wait()
	if word != "kill me\n" {
		t.Fatalf("the client said %q", word)
	}
}

// TestKilledClientLosesNothing kills a client between the end of a call and the acknowledgement of its report. The next
// run delivers the report, once.
func TestKilledClientLosesNothing(t *testing.T) {
	for _, when := range []string{beforeSending, afterSending} {
		t.Run(when, func(t *testing.T) {
			s := newSite(t).start()
			spool := filepath.Join(t.TempDir(), "spool")
			kill(t, s.ClientURL(), spool, when)
			if spooled, err := telemetry.ReadSpool(spool); err != nil || len(spooled.Reports) != 1 {
				t.Fatalf("the spool of the dead client has %d reports: %v", len(spooled.Reports), err)
			}
			r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
			await.Eventually(t, "the report acknowledged", func() bool { return r.Counts().Acknowledged == 1 })
			counts := r.Counts()
			if want := uint64(strings.Count(when, "stream has it")); counts.Recovered != 1 || counts.Duplicates != want {
				t.Errorf("counts %+v, want one recovered and %d duplicates", counts, want)
			}
			if reports := s.stored(); len(reports) != 1 || number(&reports[0]) != 1 {
				t.Errorf("stored %+v, want the report of the one call", reports)
			}
			if err := r.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(spool); !os.IsNotExist(err) {
				t.Errorf("an acknowledged report is still on the device: %v", err)
			}
		})
	}
}

// TestKilledClientKeepsItsCount kills a client that had more reports than it could keep. The next run tells how many.
func TestKilledClientKeepsItsCount(t *testing.T) {
	s := newSite(t) // down
	spool := filepath.Join(t.TempDir(), "spool")
	kill(t, s.ClientURL(), spool, offline)
	spooled, err := telemetry.ReadSpool(spool)
	if err != nil {
		t.Fatal(err)
	}
	kept := len(spooled.Reports)
	s.start()
	r := reporter(t, telemetry.ReporterConfig{Publisher: s.jetstream(), Spool: spool})
	call(r, offlineCalls, 3)
	await.Eventually(t, "all acknowledged", func() bool { return r.Counts().Acknowledged == uint64(kept)+1 })
	told := 0
	reports := s.stored()
	for i := range reports {
		told += int(reports[i].LostReports)
	}
	if told == 0 || told != offlineCalls-kept {
		t.Errorf("%d lost reports are told, %d of %d calls were kept", told, kept, offlineCalls)
	}
}
