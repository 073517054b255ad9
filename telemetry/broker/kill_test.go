package broker_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// childDir, when set, makes the test binary a server over that directory that runs until it is killed.
const childDir = "BROKER_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		s, err := broker.Start(broker.Config{Dir: dir})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.OperatorURL())
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent is gone
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestAcknowledgedMessagesSurviveAKill kills a server process without warning while messages arrive.
func TestAcknowledgedMessagesSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "nats://") {
		t.Fatalf("child says %q: %v", line, err)
	}

	conn, js := connect(t, strings.TrimSpace(line), nats.NoReconnect())
	if _, err := broker.EnsureStream(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	var fault error // the last one
	const killAt = 200
	var sent atomic.Int64
	futures := make(chan jetstream.PubAckFuture, 64)
	go func() {
		defer close(futures)
		for i := 0; ; i++ {
			future, err := js.PublishAsync(telemetry.Subject, make([]byte, 500), jetstream.WithMsgID(strconv.Itoa(i)))
			if err != nil {
				return
			}
			sent.Add(1)
			futures <- future
		}
	}()
	for future := range futures {
		select {
		case <-future.Ok():
			acknowledged = append(acknowledged, future.Msg().Header.Get(nats.MsgIdHdr))
		case err := <-future.Err():
			fault = err
		}
		if len(acknowledged) == killAt {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait()
	conn.Close()
	if len(acknowledged) < killAt {
		t.Fatalf("only %d acknowledged", len(acknowledged))
	}

	_, js = connect(t, start(t, broker.Config{Dir: dir}).OperatorURL())
	stream, err := js.Stream(t.Context(), telemetry.Stream)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]bool{}
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		m, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		stored[m.Header.Get(nats.MsgIdHdr)] = true
	}
	for _, id := range acknowledged {
		if !stored[id] {
			t.Errorf("message %s was acknowledged and is gone", id)
		}
	}
	t.Logf("%d sent, %d acknowledged, %d stored; last fault: %v", sent.Load(), len(acknowledged), len(stored), fault)
}
