package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/edge"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// childServer, when set, makes the test binary an edge of that server that runs until it is killed.
const childServer = "EDGE_TEST_CHILD_SERVER"

func TestMain(m *testing.M) {
	if url := os.Getenv(childServer); url != "" {
		back, err := telemetry.ConnectWithin(context.Background(), 10*time.Second, url, "attune-edge", nil)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		front, err := telemetry.ConnectWithin(context.Background(), 10*time.Second, broker.GateURL(url), "attune-edge", nil)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent is gone
			os.Exit(0)
		}()
		fmt.Println("running")
		if err := edge.Run(context.Background(), edge.Config{Front: front, Back: back}); err != nil {
			fmt.Println(err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// startChild runs an edge as a process and returns what kills it without warning.
func startChild(t *testing.T, url string) (kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childServer+"="+url)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = child.Process.Kill()
		_ = child.Wait()
		_ = in.Close()
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		t.Fatalf("child says %q: %v", line, err)
	}
	return kill
}

// An edge that is killed with reports in hand loses none: their clients were not answered.
func TestEdgeKilledAtAnyMoment(t *testing.T) {
	s := newSite(t).start()
	rng := rand.New(rand.NewPCG(20261123, 1))
	const clients, kills, calls = 3, 6, 150
	var reporters []*telemetry.Reporter
	for range clients {
		reporters = append(reporters, reporter(t, s, telemetry.ReporterConfig{AckTimeout: 300 * time.Millisecond}))
	}
	sent := 0
	for range kills {
		kill := startChild(t, s.OperatorURL())
		moment := time.After(time.Duration(rng.IntN(80)) * time.Millisecond)
		for range calls {
			for _, r := range reporters {
				call(r, 1+rng.IntN(30))
				sent++
			}
			time.Sleep(100 * time.Microsecond)
		}
		<-moment
		kill()
	}
	startChild(t, s.OperatorURL())
	acknowledged(t, sent, reporters...)
	got := s.stored()
	twice, resent := 0, uint64(0)
	for _, n := range got.copies {
		twice += n - 1
	}
	for _, r := range reporters {
		resent += r.Counts().Sent
	}
	resent -= uint64(sent)
	if len(got.copies) != sent {
		t.Errorf("%d reports stored, %d acknowledged", len(got.copies), sent)
	}
	if resent == 0 {
		t.Error("no kill met a report on its way: the test proves nothing")
	}
	t.Logf("%d reports, sent again %d times, stored again %d times", sent, resent, twice)
}

func TestJetStreamIsDown(t *testing.T) {
	front, back := bare(t), newSite(t)
	e, _, log := run(t, edge.Config{Front: front.gate(), Back: back.connection()})
	r := reporter(t, front, telemetry.ReporterConfig{})
	const calls, outages = 200, 3
	for i := range outages {
		for range calls {
			call(r, 3)
		}
		failed := e.Stats().Failed
		await.Eventually(t, "clients are told to send again", func() bool { return e.Stats().Failed > failed && r.Counts().Failed > 0 })
		if n := r.Counts().Acknowledged; n != uint64(i*calls) {
			t.Errorf("%d acknowledged without a stream, want the %d of before", n, i*calls)
		}
		back.start()
		acknowledged(t, (i+1)*calls, r)
		if i < outages-1 {
			back.Stop()
		}
	}
	if got := back.stored(); len(got.copies) != outages*calls {
		t.Errorf("%d reports stored, want %d", len(got.copies), outages*calls)
	}
	if text := log.String(); !strings.Contains(text, "not acknowledged") || strings.Contains(text, "127.0.0.1") || strings.Contains(text, "INBOX") {
		t.Errorf("the log tells too little or too much:\n%s", text)
	}
}

func TestStreamIsFullOrMissing(t *testing.T) {
	s := newSite(t)
	s.Stream = broker.StreamConfig{MaxBytes: 64 << 10}
	s.start()
	run(t, edge.Config{Front: s.gate(), Back: s.connection(), MaxReports: 10})
	r := reporter(t, s, telemetry.ReporterConfig{})
	const calls = 400
	for range calls {
		call(r, 30)
	}
	await.Eventually(t, "the stream full and the rest spooled", func() bool {
		c := r.Counts()
		return c.Acknowledged > 10 && c.Acknowledged < calls && c.Failed > 0
	})
	js := s.jetstream()
	before := r.Counts().Acknowledged // the Reporter goes on trying, so more may be stored by the time it is looked
	if got := s.stored(); uint64(len(got.copies)) < before {
		t.Errorf("%d acknowledged, %d stored", before, len(got.copies))
	}
	s.Enlarge(4 << 30)
	acknowledged(t, calls, r)
	if got := s.stored(); len(got.copies) != calls {
		t.Errorf("%d reports stored, want %d", len(got.copies), calls)
	}
	if err := js.DeleteStream(t.Context(), telemetry.Stream); err != nil {
		t.Fatal(err)
	}
	call(r, 3)
	await.Eventually(t, "spooled for want of a stream", func() bool { return r.Counts().Pending == 1 })
	if _, err := broker.EnsureStream(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	acknowledged(t, calls+1, r)
}

// silent is a server that takes packs and never answers.
func silent(t *testing.T) *site {
	t.Helper()
	s := bare(t)
	conn := s.connection()
	if _, err := conn.Subscribe(telemetry.PackSubject, func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, "subscribed", func() bool { return conn.Flush() == nil && conn.IsConnected() })
	return s
}

func TestFullWindowTakesNoMore(t *testing.T) {
	front, back := bare(t), silent(t)
	e, stop, _ := run(t, edge.Config{
		Front: front.gate(), Back: back.connection(), Window: 1, MaxReports: 1,
		MaxPending: telemetry.MaxPackSize, AckTimeout: 300 * time.Millisecond, StopWait: 300 * time.Millisecond,
	})
	conn := front.client()
	await.Eventually(t, "connected", conn.IsConnected)
	const sent = 1000
	data := make([]byte, 1000)
	for range sent {
		if err := conn.PublishRequest(telemetry.EdgeSubject, "_INBOX.none", data); err != nil {
			t.Fatal(err)
		}
	}
	await.Eventually(t, "reports not taken", func() bool { return e.Stats().NotTaken > sent/2 })
	await.Eventually(t, "a pack given up", func() bool { return e.Stats().Failed > 0 })
	if stats := e.Stats(); stats.Acknowledged > 0 {
		t.Errorf("%+v: nothing was acknowledged", stats)
	}
	began := time.Now()
	if err := stop(); err == nil || !strings.Contains(err.Error(), "send them again") {
		t.Errorf("stopped with reports waiting: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if n := e.Stats().NotTaken; n <= sent/2 {
		t.Errorf("%d not taken: the count of an edge that has stopped is lost", n)
	}
}

// A stop sends the pack that fills at once, and answers its clients.
func TestStopAnswersWhatItHas(t *testing.T) {
	s := newSite(t).start()
	e, stop, _ := run(t, edge.Config{Front: s.gate(), Back: s.connection(), MaxWait: time.Second})
	r := reporter(t, s, telemetry.ReporterConfig{})
	before := e.Stats().Received
	const calls = 30
	for range calls {
		call(r, 3)
	}
	await.Eventually(t, "received", func() bool { return e.Stats().Received == before+calls })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if stats := e.Stats(); stats.Acknowledged != calls || stats.Packs != 1 || stats.Pending() != 0 {
		t.Errorf("%+v, want %d reports in one pack", stats, calls)
	}
	await.Eventually(t, "answered", func() bool { return r.Counts().Acknowledged == calls })
	if err := e.Run(t.Context()); err == nil {
		t.Error("a second Run gives no error")
	}
}

// A stop does not wait for a stream that does not answer.
func TestStopKeepsToItsTime(t *testing.T) {
	front, back := bare(t), silent(t)
	e, stop, _ := run(t, edge.Config{Front: front.gate(), Back: back.connection(), AckTimeout: time.Minute, StopWait: 200 * time.Millisecond})
	r := reporter(t, front, telemetry.ReporterConfig{})
	call(r, 3)
	await.Eventually(t, "on its way", func() bool { return e.Stats().Pending() == 1 })
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if stats := e.Stats(); stats.Failed != 1 || stats.Pending() != 0 {
		t.Errorf("%+v, want the one report given back", stats)
	}
	await.Eventually(t, "the client keeps its report", func() bool { c := r.Counts(); return c.Pending == 1 && c.Failed > 0 })
}

// The connection may be closed under a running edge.
func TestClosedConnection(t *testing.T) {
	s := newSite(t).start()
	conn := s.gate()
	_, stop, _ := run(t, edge.Config{Front: conn, Back: s.connection(), StopWait: 200 * time.Millisecond})
	conn.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := edge.Run(t.Context(), edge.Config{Front: conn}); err == nil {
		t.Error("an edge runs on a closed connection")
	}
}

// What the edge remembers of a stream it must not say of its successor: the report went with the old one.
func TestReportOfADeletedStreamIsNotConfirmed(t *testing.T) {
	for name, byHand := range map[string]bool{"made by attune": false, "made by hand": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t).start()
			run(t, edge.Config{Front: s.gate(), Back: s.connection()})
			client, js := s.Publisher(s.ClientURL()), s.jetstream()
			id, data := encoded(t, 1)
			if _, err := publish(t, client, id, data); err != nil {
				t.Fatal(err)
			}
			stream, err := js.Stream(t.Context(), telemetry.Stream)
			if err != nil {
				t.Fatal(err)
			}
			cfg := stream.CachedInfo().Config
			if err := js.DeleteStream(t.Context(), telemetry.Stream); err != nil {
				t.Fatal(err)
			}
			if byHand {
				cfg.FirstSeq = 1
				_, err = js.CreateStream(t.Context(), cfg)
			} else {
				_, err = broker.EnsureStream(t.Context(), js)
			}
			if err != nil {
				t.Fatal(err)
			}
			other, more := encoded(t, 2)
			if _, err := publish(t, client, other, more); err != nil {
				t.Fatal(err)
			}
			again, err := publish(t, client, id, data)
			if err != nil || again.Duplicate {
				t.Errorf("sent again, it is answered %+v, %v: nothing has it", again, err)
			}
			if got := s.stored(); got.messages != 2 {
				t.Errorf("%d messages stored, want 2", got.messages)
			}
		})
	}
}
