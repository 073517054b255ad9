package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// deployment is a server with a stream of reports that holds one, and with a published file of each kind.
type deployment struct {
	t        *testing.T
	url      string // for clients
	operator jetstream.JetStream
}

func deploy(t *testing.T, url string, operator jetstream.JetStream) *deployment {
	t.Helper()
	d := &deployment{t: t, url: url, operator: operator}
	if _, err := broker.EnsureStream(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	store := delivery.NewNATSStore(operator)
	for name, content := range map[string]string{"timestamp.json": "{}", "targets/0123.model": strings.Repeat("weights ", 50_000)} {
		if err := store.Put(t.Context(), name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	_, client := d.client(nil)
	if _, err := client.Publish(t.Context(), telemetry.Subject, []byte("report"), jetstream.WithMsgID("one")); err != nil {
		t.Fatal(err)
	}
	return d
}

// faults collects what a server refuses.
type faults struct {
	mu   sync.Mutex
	seen []error
}

func (f *faults) add(_ *nats.Conn, _ *nats.Subscription, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, err)
}

// take waits for one, which comes in its own time.
func (f *faults) take() []error {
	for deadline := time.Now().Add(5 * time.Second); len(f.now()) == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.seen
	f.seen = nil
	return taken
}

// now is what there is.
func (f *faults) now() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

func (d *deployment) client(refused *faults) (*nats.Conn, jetstream.JetStream) {
	d.t.Helper()
	var options []nats.Option
	if refused != nil {
		options = append(options, nats.ErrorHandler(refused.add))
	}
	return connect(d.t, d.url, options...)
}

// intact fails when the stream or the policies have lost something, or when a report was added.
func (d *deployment) intact(after string) {
	d.t.Helper()
	stream, err := d.operator.Stream(d.t.Context(), telemetry.Stream)
	if err != nil {
		d.t.Fatalf("after %s: %v", after, err)
	}
	if info, err := stream.Info(d.t.Context()); err != nil || info.State.Msgs != 1 || info.State.FirstSeq != info.Config.FirstSeq {
		d.t.Errorf("after %s the stream of reports has changed: %+v, %v", after, info, err)
	}
	store := delivery.NewNATSStore(d.operator)
	for _, name := range []string{"timestamp.json", "targets/0123.model"} {
		if _, err := store.Get(d.t.Context(), name, 1<<20); err != nil {
			d.t.Errorf("after %s: %v", after, err)
		}
	}
}

func embedded(t *testing.T) *deployment {
	t.Helper()
	server := start(t, broker.Config{})
	_, operator := connect(t, "", server.InProcess())
	return deploy(t, server.ClientURL(), operator)
}

func TestClientsReadAndWatchPolicies(t *testing.T) { embedded(t).readAndWatch() }

func (d *deployment) readAndWatch() {
	t := d.t
	refused := new(faults)
	_, js := d.client(refused)
	store := delivery.NewNATSStore(js)
	target, err := store.Get(t.Context(), "targets/0123.model", 1<<20)
	if err != nil || string(target) != strings.Repeat("weights ", 50_000) {
		t.Errorf("a target of three chunks: %d bytes, %v", len(target), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan struct{}, 10)
	ended := make(chan error, 1)
	go func() { ended <- store.Watch(ctx, "timestamp.json", func() { changes <- struct{}{} }) }()
	wait := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case err := <-ended:
			t.Fatalf("%s: the watch ended: %v", what, err)
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: not heard of", what)
		}
	}
	wait("beginning")
	if err := delivery.NewNATSStore(d.operator).Put(t.Context(), "timestamp.json", []byte(`{"new":true}`)); err != nil {
		t.Fatal(err)
	}
	wait("change")
	if got, err := store.Get(t.Context(), "timestamp.json", 100); err != nil || string(got) != `{"new":true}` {
		t.Errorf("what is heard of cannot be read: %s, %v", got, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := store.Put(ctx, "timestamp.json", []byte("forged")); err == nil {
		t.Error("a client put a policy")
	}
	if seen := refused.take(); len(seen) == 0 {
		t.Error("the server refused nothing: not even a put")
	}
}

func TestClientsHearNothingElse(t *testing.T) { embedded(t).hearNothing() }

func (d *deployment) hearNothing() {
	t := d.t
	refused := new(faults)
	spy, _ := d.client(refused)
	for _, subject := range []string{
		">", "*.>", "calls.>", telemetry.Subject, telemetry.PackSubject, "edge.>", telemetry.EdgeSubject,
		"$JS.>", "$JS.EVENT.>", "$JS.EVENT.ADVISORY.API", "$JS.API.>", "$JS.ACK.>", "$SYS.>", "$KV.>", "$O.>", "_R_.>", "policy.>",
	} {
		subscription, err := spy.SubscribeSync(subject)
		if err == nil {
			err = spy.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		if seen := refused.take(); len(seen) != 1 || !errors.Is(seen[0], nats.ErrPermissionViolation) {
			t.Errorf("listening to %s: refused with %v", subject, seen)
		}
		_ = subscription.Unsubscribe()
	}
}

func TestClientsChangeNothing(t *testing.T) { embedded(t).changeNothing() }

func (d *deployment) changeNothing() {
	t := d.t
	refused := new(faults)
	client, _ := d.client(refused)
	stream, err := d.operator.Stream(t.Context(), telemetry.Stream)
	if err != nil {
		t.Fatal(err)
	}
	number := stream.CachedInfo().State.FirstSeq
	get := fmt.Sprintf(`{"seq":%d}`, number)
	for _, request := range []struct{ subject, payload string }{
		{"$JS.API.INFO", ""},
		{"$JS.API.STREAM.LIST", ""},
		{"$JS.API.STREAM.NAMES", ""},
		{"$JS.API.STREAM.INFO.CALLS", ""},
		{"$JS.API.STREAM.DELETE.CALLS", ""},
		{"$JS.API.STREAM.PURGE.CALLS", ""},
		{"$JS.API.STREAM.PURGE.KV_ATTUNE_POLICY", ""},
		{"$JS.API.STREAM.MSG.GET.CALLS", get},
		{"$JS.API.STREAM.MSG.DELETE.CALLS", get},
		{"$JS.API.DIRECT.GET.CALLS", get},
		{"$JS.API.DIRECT.GET.CALLS.calls.v1.report", ""},
		{"$JS.API.STREAM.CREATE.SPY", `{"name":"SPY","subjects":["$JS.EVENT.>"]}`},
		{"$JS.API.STREAM.CREATE.SPY", `{"name":"SPY","sources":[{"name":"CALLS"}]}`},
		{"$JS.API.STREAM.UPDATE.CALLS", `{"name":"CALLS","subjects":["calls.>"],"max_msgs":1}`},
		{"$JS.API.CONSUMER.CREATE.CALLS", `{"stream_name":"CALLS","config":{"deliver_policy":"all"}}`},
		{"$JS.API.CONSUMER.CREATE.CALLS.spy", `{"stream_name":"CALLS","config":{"name":"spy"}}`},
		{"$JS.API.CONSUMER.CREATE.KV_ATTUNE_POLICY.spy", `{"stream_name":"KV_ATTUNE_POLICY","config":{"deliver_subject":"calls.v1.report"}}`},
		{"$JS.API.CONSUMER.MSG.NEXT.CALLS.ingest", "1"},
		{"$JS.API.CONSUMER.DELETE.CALLS.ingest", ""},
		{fmt.Sprintf("$JS.ACK.CALLS.ingest.1.%d.1.1.0", number), "+TERM"},
		{"$SYS.REQ.SERVER.PING.CONNZ", ""},
		{"$SYS.REQ.ACCOUNT.CLIENTS.CONNZ", ""},
		{"$SYS.REQ.ACCOUNT.ATTUNE.CONNZ", ""},
		{"$SYS.REQ.USER.INFO", ""},
		{"$KV.ATTUNE_POLICY.timestamp.json", "forged"},
		{"$O.ATTUNE_POLICY_TARGETS.C.x", "forged"},
		{telemetry.PackSubject, "forged"},
		{"calls.v1.anything", "forged"},
	} {
		answer, err := client.Request(request.subject, []byte(request.payload), 30*time.Millisecond)
		if err == nil {
			t.Errorf("%s was answered: %s", request.subject, answer.Data)
		}
		if seen := refused.take(); len(seen) != 1 || !errors.Is(seen[0], nats.ErrPermissionViolation) {
			t.Errorf("%s: refused with %v", request.subject, seen)
		}
		d.intact(request.subject)
	}
}

// TestAnswersCannotBeTurnedAgainstTheStreams asks for answers at the addresses of requests. In the account of the
// streams a server's answer to such a request would be taken for one: see TestAnswersAreDangerousInOneAccount.
func TestAnswersCannotBeTurnedAgainstTheStreams(t *testing.T) { embedded(t).answers() }

func (d *deployment) answers() {
	client, _ := d.client(nil)
	d.misuse(client)
	d.intact("answers sent to requests")
}

// misuse has the server send answers of several kinds, empty ones too, where requests go.
func (d *deployment) misuse(conn *nats.Conn) {
	d.t.Helper()
	for _, reply := range []string{
		"$JS.API.STREAM.DELETE.CALLS", "$JS.API.STREAM.PURGE.CALLS", "$JS.API.STREAM.DELETE.KV_ATTUNE_POLICY",
		"$KV.ATTUNE_POLICY.timestamp.json", "calls.v1.pack",
	} {
		for _, request := range []nats.Msg{
			{Subject: "$JS.API.DIRECT.GET.KV_ATTUNE_POLICY.$KV.ATTUNE_POLICY.absent"}, // answered with an empty message
			{Subject: "$JS.API.DIRECT.GET.KV_ATTUNE_POLICY.$KV.ATTUNE_POLICY.timestamp.json"},
			{Subject: telemetry.Subject, Data: []byte("report"), Header: nats.Header{nats.MsgIdHdr: {"one"}}}, // a duplicate
		} {
			request.Reply = reply
			if err := conn.PublishMsg(&request); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	if err := conn.Flush(); err != nil {
		d.t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // JetStream answers in the background
}

// TestAnswersAreDangerousInOneAccount shows what the clients' own account is for.
func TestAnswersAreDangerousInOneAccount(t *testing.T) {
	d := embedded(t)
	d.misuse(d.operator.Conn())
	if _, err := d.operator.Stream(t.Context(), telemetry.Stream); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the stream outlived the misuse (%v): then clients need no account of their own any more", err)
	}
}

func TestOperatorFile(t *testing.T) {
	dir := t.TempDir()
	first := start(t, broker.Config{Dir: dir})
	file := filepath.Join(dir, broker.OperatorFile)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: others may read the password", info.Mode())
	}
	if first.OperatorURL() == first.ClientURL() || strings.Contains(first.ClientURL(), "@") {
		t.Errorf("clients are given %s", first.ClientURL())
	}
	for _, address := range []string{first.ClientURL(), strings.Replace(first.ClientURL(), "127.0.0.1", "localhost", 1)} {
		if got := broker.OperatorURL(address, dir); got != first.OperatorURL() {
			t.Errorf("OperatorURL(%s) finds %d characters, want the operator's URL", address, len(got))
		}
	}
	for _, address := range []string{
		"nats://127.0.0.1:1", "nats://nats.example:4222", "nats://me:secret@127.0.0.1:4222", "", ":", "nats://a:1,nats://b:2",
		strings.Replace(first.ClientURL(), "127.0.0.1", "192.0.2.1", 1),
	} {
		if got := broker.OperatorURL(address, dir); got != address {
			t.Errorf("OperatorURL(%q) gives the password away to another server", address)
		}
	}
	if got := broker.OperatorURL(first.ClientURL(), t.TempDir()); got != first.ClientURL() {
		t.Errorf("OperatorURL without a file: %q", got)
	}
	before := first.OperatorURL()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	passwordOf := func(url string) string {
		_, rest, _ := strings.Cut(url, "://")
		password, _, _ := strings.Cut(rest, "@")
		return password
	}
	if again := start(t, broker.Config{Dir: dir}); passwordOf(again.OperatorURL()) != passwordOf(before) {
		t.Error("the password changed over a restart: programs that are connected would be locked out")
	}
	if other := start(t, broker.Config{}); passwordOf(other.OperatorURL()) == passwordOf(before) {
		t.Error("two servers have one password")
	}
}

func TestWrongPasswordIsRefused(t *testing.T) {
	s := start(t, broker.Config{})
	for _, user := range []string{"operator:wrong", "operator:client", "ingest:ingest", "edge:", "publisher:publisher", "nobody:nothing"} {
		address := strings.Replace(s.ClientURL(), "nats://", "nats://"+user+"@", 1)
		_, err := broker.ConnectWithin(t.Context(), time.Minute, address, "attune-test", nil)
		if err == nil {
			t.Errorf("%s got in", user)
		} else if !errors.Is(err, nats.ErrAuthorization) || strings.Contains(err.Error(), user) {
			t.Errorf("%s: %v", user, err)
		}
	}
}

func TestWithoutCredentialsTheStreamIsNotSetUp(t *testing.T) {
	_, js := connect(t, start(t, broker.Config{}).ClientURL(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	began := time.Now()
	_, err := broker.EnsureStream(t.Context(), js)
	if !errors.Is(err, nats.ErrPermissionViolation) {
		t.Fatal(err)
	}
	for _, want := range []string{"nats://user:password@host", broker.OperatorFile, "--data"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("refused after %v: it waited for an answer that never comes", took)
	}
}

// TestStreamsOfAServerWithoutAccounts finds the reports of a server from before there were accounts.
func TestStreamsOfAServerWithoutAccounts(t *testing.T) {
	dir := t.TempDir()
	first := start(t, broker.Config{Dir: dir})
	_, operator := connect(t, "", first.InProcess())
	deploy(t, first.ClientURL(), operator)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	streams := filepath.Join(dir, "jetstream")
	if err := os.Rename(filepath.Join(streams, "ATTUNE"), filepath.Join(streams, "$G")); err != nil {
		t.Fatal(err)
	}
	second := start(t, broker.Config{Dir: dir})
	_, operator = connect(t, "", second.InProcess())
	(&deployment{t: t, url: second.ClientURL(), operator: operator}).intact("a start on old files")
}
