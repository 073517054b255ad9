package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// deployed is Attune as deploy/ runs it: nats-server with the shipped configuration, "attune edge" and "attune ingest",
// each a process of its own. Everything they write and say is below root.
type deployed struct {
	t        *testing.T
	canaries *canaries
	root     string
	address  string // of NATS
	password string
}

// process is a child whose output goes to a file that is searched.
type process struct {
	*exec.Cmd
	t    *testing.T
	out  string
	over sync.Once
}

func (d *deployed) start(name string, ready *regexp.Regexp, command string, args ...string) *process {
	d.t.Helper()
	p := &process{Cmd: exec.Command(command, args...), t: d.t, out: filepath.Join(d.root, "out-"+name)}
	out, err := os.Create(p.out)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	p.Stdout, p.Stderr, p.Dir = out, out, d.root
	if err := p.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(p.stop)
	if ready != nil {
		d.await(name+" is ready", func() bool { return ready.MatchString(p.said()) })
	}
	return p
}

func (p *process) said() string {
	text, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// stop ends the process as an operator does.
func (p *process) stop() {
	p.over.Do(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		hard := time.AfterFunc(30*time.Second, func() { _ = p.Process.Kill() })
		defer hard.Stop()
		if err := p.Wait(); err != nil {
			p.t.Errorf("%s: %v\n%s", p.Args[0:2], err, p.said())
		}
	})
}

func (d *deployed) await(what string, done func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("after a minute it is not so: %s", what)
		}
	}
}

func (d *deployed) url(user string) string {
	return fmt.Sprintf("nats://%s:%s@%s", user, d.password, d.address)
}

func deployAll(t *testing.T) *deployed {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deployed{t: t, canaries: newCanaries(), root: t.TempDir(), address: listener.Addr().String(), password: rand.Text()}
	_ = listener.Close()
	for _, role := range []string{"OPERATOR", "INGEST", "EDGE", "PUBLISHER"} {
		t.Setenv("ATTUNE_NATS_"+role, d.password)
	}
	t.Setenv("ATTUNE_NATS_STORE", filepath.Join(d.root, "store"))
	t.Setenv("ATTUNE_NATS_LISTEN", d.address)
	shipped, err := filepath.Abs("../../deploy/nats/attune.conf")
	if err != nil {
		t.Fatal(err)
	}
	d.start("nats", nil, "nats-server", shipped)
	d.await("nats-server listens", func() bool {
		conn, err := net.Dial("tcp", d.address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return d
}

func (d *deployed) startIngest(name string) *process {
	return d.start(name, regexp.MustCompile("ingest from"), "attune", "ingest", "--verbose", "--nats", d.url("ingest"), "--data", filepath.Join(d.root, "data"), "--every", "1s")
}

// sends has one client, from an address of its own and under a name, report a call with all it can add around a report.
// Every third report is of a newer schema. It returns the bytes of the report.
func (d *deployed) sends(i int, subject string) (report []byte) {
	t, plant := d.t, d.canaries.plant
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(plant(canaryLoopback, "connection"))}, Timeout: 5 * time.Second}
	conn, err := nats.Connect("nats://"+d.address, nats.Dialer(dialer), nats.NoReconnect(), nats.Name(plant(canaryName, "client name")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	report = validReport()
	if i%3 == 0 { // the last value of a field is the one that counts
		report = protowire.AppendVarint(protowire.AppendTag(report, 1, protowire.VarintType), telemetry.SchemaVersion+1)
	}
	m := nats.NewMsg(subject)
	m.Data = report
	for header, kind := range map[string]canaryKind{
		"From": canaryEmail, "X-Forwarded-For": canaryIPv6, "Via": canaryIPv4, "P-Asserted-Identity": canaryPhone,
		"Cookie": canaryUfrag, "Authorization": canaryPassword, "X-User": canaryUser, "X-Sdp": canarySDP, "X-Candidate": canaryCandidate,
		nats.MsgIdHdr: canaryDevice,
	} {
		m.Header.Set(header, plant(kind, "header"))
	}
	answer, err := conn.RequestMsg(m, 20*time.Second)
	if err != nil || !strings.Contains(string(answer.Data), telemetry.Stream) || strings.Contains(string(answer.Data), "error") {
		t.Fatalf("report %d on %s: %v, answered %+v", i, subject, err, answer)
	}
	return report
}

// waiting is how many messages are in the stream.
func (d *deployed) waiting() uint64 {
	d.t.Helper()
	conn, err := nats.Connect(d.url("operator"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		d.t.Fatal(err)
	}
	stream, err := js.Stream(d.t.Context(), telemetry.Stream)
	if err != nil {
		d.t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// nothing fails for each canary below the root.
func (d *deployed) nothing(when string) {
	d.t.Helper()
	found, searched := d.search()
	for _, f := range found {
		d.t.Errorf("%s: %s holds %q, as %s", when, f.where, f.text, f.encoding)
	}
	if searched.files < 5 || searched.bytes < 1000 {
		d.t.Errorf("%s: only %d files with %d bytes were searched", when, searched.files, searched.bytes)
	}
}

func (d *deployed) search() ([]find, searched) {
	d.t.Helper()
	return newFinder(d.texts()...).files(d.t, d.root)
}

func (d *deployed) texts() (texts []string) {
	for _, one := range d.canaries.all {
		texts = append(texts, one.text)
	}
	return texts
}

// holds says whether the store has a report, byte for byte.
func (d *deployed) holds(report []byte) bool {
	d.t.Helper()
	blocks, err := filepath.Glob(filepath.Join(d.root, "store", "jetstream", "ATTUNE", "streams", telemetry.Stream, "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		d.t.Fatalf("the stream has no files: %v", err)
	}
	for _, block := range blocks {
		content, err := os.ReadFile(block)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			d.t.Fatal(err)
		}
		if bytes.Contains(content, report) {
			return true
		}
	}
	return false
}

// TestCanariesOfWaitingReports searches what is at rest while reports wait, which TestCanaries cannot: it waits until the
// stream is empty. Of a client that sends to an edge there is the report, and nothing that it or its connection adds: not
// while ingest is stopped, and not while a report of a newer schema waits for a newer ingest. Clients that publish to the
// stream itself leave their headers there: docs/privacy.md says so, and the last part holds it to that.
func TestCanariesOfWaitingReports(t *testing.T) {
	const clients = 45
	d := deployAll(t)
	d.startIngest("ingest-1").stop() // it has set up the stream
	edge := d.start("edge", regexp.MustCompile("edge between"), "attune", "edge", "--verbose", "--nats", d.url("edge"), "--every", "1s")
	var reports [][]byte
	for i := range clients {
		reports = append(reports, d.sends(i, telemetry.EdgeSubject))
	}
	for i, report := range reports {
		if !d.holds(report) {
			t.Errorf("report %d is acknowledged, and not in the store as it was sent", i)
		}
	}
	d.nothing("while ingest is stopped")

	ingest := d.startIngest("ingest-2")
	d.await("only reports of a newer schema wait", func() bool { return d.waiting() == clients/3 })
	newer := 0
	for i, report := range reports {
		if i%3 == 0 && d.holds(report) {
			newer++
		}
	}
	if newer != clients/3 {
		t.Errorf("%d reports of a newer schema are in the store, want %d", newer, clients/3)
	}
	d.nothing("while reports of a newer schema wait")
	ingest.stop()
	edge.stop()
	d.columns(2 * clients / 3)

	// Straight to the stream: what a client adds to the message is there as long as its report, what its connection says is
	// not.
	for i := range clients {
		d.sends(3*i+1, telemetry.Subject)
	}
	found, _ := d.search()
	added := 0
	for _, f := range found {
		if !strings.Contains(f.where, filepath.Join("streams", telemetry.Stream)) {
			t.Errorf("%s holds %q, as %s", f.where, f.text, f.encoding)
		}
		for _, one := range d.canaries.all {
			if one.text != f.text {
				continue
			}
			if !strings.Contains(strings.Join(one.planted, " "), "header") {
				t.Errorf("%s holds the %s %q of a connection", f.where, one.kind, one.text)
			}
			added++
		}
	}
	if added < clients {
		t.Errorf("%d headers are in the store: does docs/privacy.md say too much?", added)
	}
	last := d.startIngest("ingest-3")
	d.await("they are stored", func() bool { return d.waiting() == clients/3 })
	last.stop()
}

// columns searches ClickHouse's columns, which are compressed on disk, and checks that the reports are there.
func (d *deployed) columns(reports uint64) {
	t := d.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	managed, err := warehouse.StartManaged(ctx, warehouse.ManagedConfig{Dir: filepath.Join(d.root, "data", "clickhouse")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := managed.Close(); err != nil {
			t.Error(err)
		}
	}()
	w, err := warehouse.Open(ctx, managed.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if counts, err := w.Counts(ctx); err != nil || counts.Reports != reports {
		t.Errorf("%+v are stored, want %d reports: %v", counts, reports, err)
	}
	found, _ := newFinder(d.texts()...).columns(ctx, t, managed.DSN())
	for _, f := range found {
		t.Errorf("%s holds %q, as %s", f.where, f.text, f.encoding)
	}
}

// TestCanariesOfUp runs the service as people do, with clients that add what they can, and searches what it leaves.
func TestCanariesOfUp(t *testing.T) {
	d := &deployed{t: t, canaries: newCanaries(), root: t.TempDir()}
	t.Setenv("SSH_CLIENT", d.canaries.plant(canaryIPv4, "environment")+" 50000 22")
	t.Setenv("EMAIL", d.canaries.plant(canaryEmail, "environment"))
	data := filepath.Join(d.root, "data")
	up := d.start("up", readyLine, "attune", "up", "--verbose", "--data", data, "--port", "0")
	d.address = strings.TrimPrefix(readyLine.FindStringSubmatch(up.said())[1], "nats://")
	const clients = 30
	for i := range clients {
		d.sends(3*i+1, []string{telemetry.Subject, telemetry.EdgeSubject}[i%2])
	}
	operator, err := os.ReadFile(filepath.Join(data, "nats", "operator.url"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(strings.TrimSpace(string(operator)), "operator:")
	d.password, _, _ = strings.Cut(rest, "@")
	d.await("all reports are stored", func() bool { return d.waiting() == 0 })
	up.stop()
	d.nothing("after attune up")
	d.columns(clients)
}
