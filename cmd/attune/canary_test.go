package main_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/telemetry/warehouse"
)

// TestCanaries plants a thousand things that point at people on every input of the system, runs the whole loop, and
// searches every byte that was kept or said. Then it plants one more in each kind of place, to see that the search would
// have found the others.
func TestCanaries(t *testing.T) {
	began := time.Now()
	scripts, err := filepath.Abs(filepath.Join("testdata", "script"))
	if err != nil {
		t.Fatal(err)
	}
	s := startCanarySite(t)
	root := s.rootFile()
	trusted, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}

	var inputs sync.WaitGroup
	inputs.Go(s.plantCalls)
	inputs.Go(func() { s.plantSignalling(root) })
	inputs.Go(func() {
		s.sendPlain(400)
		s.plantNATS()
		s.plantImport(scripts)
		s.plantMirror(trusted)
		s.plantSpool()
		s.plantClickHouse()
	})
	inputs.Wait()
	s.plantRest()
	s.stopEdge()
	s.settle()
	t.Logf("%v: reports are in: %+v", time.Since(began).Round(time.Second), s.ingest.Stats())

	s.theRestOfTheLoop()
	if err := s.ingest.Stop(); err != nil {
		t.Error(err)
	}
	s.itReallyHappened()
	s.writeMetrics()
	t.Logf("%v: the loop has run", time.Since(began).Round(time.Second))

	var texts []string
	for _, one := range s.canaries.all {
		texts = append(texts, one.text)
	}
	if left := s.canaries.unplanted(); len(left) > 0 {
		t.Errorf("%d of %d canaries were not planted anywhere, such as %s", len(left), len(texts), left[0])
	}
	for _, found := range s.search(newFinder(texts...)) {
		t.Errorf("%s holds %q, as %s", found.where, found.text, found.encoding)
	}
	t.Logf("%v: searched", time.Since(began).Round(time.Second))
	s.controls()
	t.Logf("%v: the controls were found", time.Since(began).Round(time.Second))
}

// theRestOfTheLoop trains, publishes, rolls out and tells, by the verbs people use.
func (s *canarySite) theRestOfTheLoop() {
	t := s.t
	said := s.run("train", "train")
	run := strings.TrimSpace(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:])
	if _, err := os.Stat(filepath.Join(run, "card.html")); err != nil {
		t.Fatalf("train said %q: %v", said, err)
	}
	// These find the operator's password in the data directory.
	s.run("publish", "publish", run, "--nats", s.backends.NATSURL, "--mirror", s.path("mirror", "files"))
	s.run("rollout-start", "rollout", "start", run, "--force", "--nats", s.backends.NATSURL)
	s.run("rollout-look", "rollout", "look", "--json")
	s.run("rollout-back", "rollout", "back", "--reason", "only a trial", "--nats", s.backends.NATSURL)
	s.run("rollout-log", "rollout", "log", "--json")
	s.run("evaluate", "evaluate", run)
	s.run("transparency", "transparency", "--nats", s.backends.NATSURL, "--out", s.path("public", "report"))
	// Who takes up the new policy.
	d := s.device()
	if d.Policy.Current().Version() < 3 {
		t.Errorf("a client holds policy %d", d.Policy.Current().Version())
	}
	s.retire(d)
}

// itReallyHappened checks that there was something to find: reports were stored, some were refused, calls talked.
func (s *canarySite) itReallyHappened() {
	t := s.t
	stats := s.ingest.Stats()
	var refused uint64
	for _, n := range stats.Rejected {
		refused += n
	}
	if stats.Stored < 470 || refused < 25 {
		t.Errorf("ingest stored %d and refused %d reports", stats.Stored, refused)
	}
	counts, err := s.backends.Warehouse.Counts(t.Context())
	if err != nil || counts.Reports < 470 {
		t.Errorf("the warehouse holds %+v: %v", counts, err)
	}
	seconds := uint64(0)
	if err := s.backends.Warehouse.EachSegment(t.Context(), warehouse.Filter{}, func(b *warehouse.SegmentBatch) error {
		for i := range b.Rows {
			if b.Rows[i].Segment.Outcome.Rate > 0 { // measured by a real call
				seconds += uint64(b.Rows[i].Segment.Seconds)
			}
		}
		return nil
	}); err != nil || seconds < 30 {
		t.Errorf("%d s of real calls are stored: %v", seconds, err)
	}
}

// search looks everywhere, first into ClickHouse while it runs, then at every file it and all others leave.
func (s *canarySite) search(f *finder) []find {
	t := s.t
	inColumns, columns := f.columns(t.Context(), t, s.backends.DSN)
	if err := s.backends.Close(); err != nil {
		t.Error(err)
	}
	inFiles, files := f.files(t, s.root)
	t.Logf("searched %d columns (%d bytes) and %d files (%d bytes)", columns.files, columns.bytes, files.files, files.bytes)
	if columns.files < 20 || columns.bytes < 10_000 || files.files < 100 || files.bytes < 500_000 {
		t.Error("that is too little to mean anything")
	}
	return append(inColumns, inFiles...)
}

// controls plants one more canary in each kind of place, in every encoding where one can choose, and has it found.
func (s *canarySite) controls() {
	t := s.t
	all := newCanaries()
	control := func(kind canaryKind) string { return all.plant(kind, "control") + "control" }
	want := map[string]string{} // part of where it must be found: text
	file := func(path, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		want[path] = text
	}
	glob := func(pattern ...string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(append([]string{s.root}, pattern...)...))
		if err != nil || len(found) == 0 {
			t.Fatalf("no file like %v: %v", pattern, err)
		}
		return found[0]
	}
	again := s.reopen()
	// Places where files are what there is.
	for _, path := range []string{
		glob("out", "process.log"), glob("out", "callee.out"), glob("clients", "device-1", "policy", "*"), glob("clients", "offline", "spool"),
		glob("data", "policy", "timestamp.json"), glob("data", "runs", "*", "card.html"), glob("data", "runs", "*", "policy.json"),
		glob("public", "report", "*.html"), glob("mirror", "files", "timestamp.json"), glob("data", "clickhouse", "server.log"),
		glob("data", "clickhouse", "console.log"), glob("data", "rollout.log"), filepath.Join(s.root, "work", "core"),
	} {
		file(path, control(canaryName))
	}

	// Places that are reached by ways of their own.
	text := control(canaryEmail)
	s.log.Debug("a control", "from", text)
	want["process.log"] = text

	text = control(canaryDevice)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "attune_control", ConstLabels: prometheus.Labels{"who": text}})
	s.metrics.MustRegister(gauge)
	s.writeMetrics()
	want["metrics.txt"] = text

	js := again.backends.JetStream
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "CONTROL", Subjects: []string{"control.>"}}); err != nil {
		t.Fatal(err)
	}
	header, body := control(canaryPhone), control(canaryIPv6)
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "control.x", Header: nats.Header{"From": {header}}, Data: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	want["streams/CONTROL"] = header
	want["CONTROL/msgs"] = body

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	options, err := clickhouse.ParseDSN(again.backends.DSN)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	name, id := control(canaryName), control(canaryUfrag)
	// These are as long as they are: a number has no room for more.
	address, phone := all.plant(canaryIPv4, "control"), all.plant(canaryPhone, "control")
	for _, query := range []string{
		"CREATE TABLE control (s String, f FixedString(64), a Array(String), i UInt32, n Array(UInt64)) ENGINE = MergeTree() ORDER BY s",
		"INSERT INTO control (s, f, a, i, n) SELECT '" + name + "', toFixedString('" + id + "', 64), ['" + id + "', '" + name + "'], " +
			"IPv4StringToNum('" + address + "'), [1, " + strings.TrimPrefix(phone, "+") + "]",
		"SELECT '" + id + "' FROM control",
	} {
		if err := conn.Exec(ctx, query); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close()
	want["ClickHouse default.control.s"] = name
	want["ClickHouse default.control.f"] = id
	want["ClickHouse default.control.a"] = name
	want["ClickHouse default.control.i"] = address
	want["ClickHouse default.control.n"] = phone

	var texts []string
	for _, text := range want {
		texts = append(texts, text)
	}
	found := again.search(newFinder(texts...))
	for place, text := range want {
		hit := false
		for _, f := range found {
			hit = hit || f.text == text && strings.Contains(f.where, place)
		}
		if !hit {
			t.Errorf("%q in %s is not found: the search would miss what is there", text, place)
		}
	}
}
