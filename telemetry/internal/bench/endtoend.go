package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// outcome is what one load came to.
type outcome struct {
	reports   uint64
	seconds   float64 // from the first report sent to the last one visible
	answered  float64 // of these, until the last one was acknowledged
	cpu       map[string]float64
	latencies []time.Duration // of the probes, sorted
	resent    int
}

// busy says how much of the machine each process took, the one that took most first.
func (o *outcome) busy() string {
	names := slices.SortedFunc(maps.Keys(o.cpu), func(a, b string) int { return cmp.Compare(o.cpu[b], o.cpu[a]) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %.2f", name, o.cpu[name]/o.seconds)
	}
	return fmt.Sprintf("of %d processors these took %s", runtime.NumCPU(), strings.Join(names, ", "))
}

// against says how much of the rate the steps before the stream cost.
func (o *outcome) against(through *outcome) string {
	return fmt.Sprintf("ready packs reach %.0f reports/s, so %.0f %% goes into taking reports one by one", o.rate(), 100*(1-through.rate()/o.rate()))
}

// rate is the reports that were visible per second.
func (o *outcome) rate() float64 { return float64(o.reports) / o.seconds }

// steps tells which part of the way was the slower one.
func (o *outcome) steps() string {
	return fmt.Sprintf("%d reports acknowledged in %.1f s (%.0f/s), visible after %.1f s",
		o.reports, o.answered, float64(o.reports)/o.answered, o.seconds)
}

func (o *outcome) latency(share float64) float64 {
	if len(o.latencies) == 0 {
		return 0
	}
	return o.latencies[int(share*float64(len(o.latencies)-1))].Seconds()
}

// endToEnd measures reports from the client to a query that sees them.
type endToEnd struct {
	dir     string
	fleet   *fleet
	lasting time.Duration
	profile string
	runs    int
}

// benchEndToEnd runs four loads, each on fresh servers: singles through the edge, the same at half that rate, packs that
// the generator makes, and singles straight to the stream.
func benchEndToEnd(ctx context.Context, b *endToEnd, r *report) error {
	through, err := b.run(ctx, way{subject: telemetry.EdgeSubject})
	if err != nil {
		return err
	}
	half, err := b.run(ctx, way{subject: telemetry.EdgeSubject, rate: through.rate() / 2})
	if err != nil {
		return err
	}
	packed, err := b.run(ctx, way{subject: telemetry.PackSubject, packed: true})
	if err != nil {
		return err
	}
	straight, err := b.run(ctx, way{subject: telemetry.Subject})
	if err != nil {
		return err
	}

	f := least("end to end: single reports through an edge, fsync on, until visible", through.rate(), "reports/s", 50_000)
	f.CPUSeconds = through.cpu
	f.Note = fmt.Sprintf("%s; the ids stored are those acknowledged; mean %.0f bytes, %d..%d segments, mean %d; %d sent again",
		through.steps(), b.fleet.meanBytes, leastSegments, mostSegments, (leastSegments+mostSegments)/2, through.resent)
	f = f.limitedBy("%s; %s", through.busy(), packed.against(through))
	r.add(f)
	f = most("end to end: due to visible at half that rate, p95", half.latency(0.95), "s", 1)
	f.CPUSeconds = half.cpu
	f.Note = fmt.Sprintf("at %.0f reports/s: p50 %.2f s, p95 %.2f s, p99 %.2f s, of %d reports timed; up to %v of it is the query's turn",
		half.rate(), half.latency(0.5), half.latency(0.95), half.latency(0.99), len(half.latencies), pollEvery)
	f = f.limitedBy("%s; a batch waits for its insert, and the query for its turn", half.busy())
	r.add(f)
	r.add(
		figure{
			Name: "end to end: packs the generator makes, without an edge", Value: packed.rate(), Unit: "reports/s", CPUSeconds: packed.cpu,
			Note: packed.steps() + "; what stream, ingest and ClickHouse do alone",
		},
		figure{Name: "end to end: through an edge against ready packs", Value: through.rate() / packed.rate(), Unit: "of its reports/s"},
		figure{
			Name: "end to end: single reports straight to the stream", Value: straight.rate(), Unit: "reports/s", CPUSeconds: straight.cpu,
			Note: straight.steps() + "; the disk is forced for each report",
		},
		figure{Name: "end to end: through an edge against straight to the stream", Value: through.rate() / straight.rate(), Unit: "times its reports/s"},
	)
	return nil
}

func (b *endToEnd) run(ctx context.Context, w way) (_ *outcome, err error) {
	b.runs++
	dir := filepath.Join(b.dir, fmt.Sprintf("run%d", b.runs))
	o := order{Dir: dir}
	if b.profile != "" {
		o.Profile = filepath.Join(b.profile, fmt.Sprintf("server%d.pprof", b.runs))
	}
	server, err := start(roleServer, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = closing(err, server.stop, func() error { return os.RemoveAll(dir) }) }()
	conn, err := connect(server.DSN)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if w.url = server.Client; w.packed {
		w.url = server.Operator // clients may not publish packs
	}
	g := &generator{fleet: b.fleet, way: w}
	meter, err := startMeter(map[string]int{"server": server.Process.Pid, "clickhouse": server.ClickHouse})
	if err != nil {
		return nil, err
	}
	over := make(chan struct{})
	watched := make(chan error, 1)
	watch := w.rate > 0 // at saturation the queries would compete with what they measure
	if watch {
		go func() { watched <- g.watch(ctx, conn, over) }()
	}
	if err := g.run(ctx, b.lasting); err != nil {
		return nil, err
	}
	_, answered, err := meter.read()
	if err != nil {
		return nil, err
	}
	if err := drained(ctx, server.Operator); err != nil {
		return nil, err
	}
	out := &outcome{reports: g.acknowledged(), resent: g.resent, answered: answered}
	if out.cpu, out.seconds, err = meter.read(); err != nil {
		return nil, err
	}
	if watch {
		close(over) // one more query: by now it must see everything
		if err := <-watched; err != nil {
			return nil, err
		}
		if out.latencies, err = g.latencies(); err != nil {
			return nil, err
		}
	}
	return out, g.check(ctx, conn)
}

// drained waits until the stream holds nothing: ingest acknowledges a message when its reports are stored.
func drained(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	conn, err := broker.ConnectWithin(ctx, 10*time.Second, url, "attune-bench", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	for {
		stream, err := js.Stream(ctx, telemetry.Stream)
		if err != nil {
			return fmt.Errorf("wait until the stream is empty: %w", err)
		}
		if stream.CachedInfo().State.Msgs == 0 {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// pollEvery is the pause between two queries for probes.
const pollEvery = 20 * time.Millisecond

// watch queries for probes, once more after over, and notes when each is seen first.
func (g *generator) watch(ctx context.Context, conn driver.Conn, over <-chan struct{}) error {
	seen := uint64(0) // every probe up to here
	for last := false; ; {
		rows, err := conn.Query(ctx, fmt.Sprintf("SELECT lost_reports FROM calls WHERE lost_reports > %d", seen))
		if err != nil {
			return err
		}
		var numbers []uint32
		for rows.Next() {
			var number uint32
			if err := rows.Scan(&number); err != nil {
				return closing(err, rows.Close)
			}
			numbers = append(numbers, number)
		}
		if err := closing(rows.Err(), rows.Close); err != nil {
			return err
		}
		now := time.Now()
		g.mu.Lock()
		for _, number := range numbers {
			if p := &g.probes[number-1]; p.seen.IsZero() {
				p.seen = now
			}
		}
		for seen < uint64(len(g.probes)) && !g.probes[seen].seen.IsZero() {
			seen++
		}
		g.mu.Unlock()
		if last {
			return nil
		}
		select {
		case <-time.After(pollEvery):
		case <-over:
			last = true
		}
	}
}

// latencies are those of the probes, from when they were due, sorted. The warm-up of the first second is left out. A probe that was sent and never
// seen is an error.
func (g *generator) latencies() ([]time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []time.Duration
	unseen := 0
	for _, p := range g.probes {
		switch {
		case p.due.IsZero() || p.due.Before(g.probes[0].due.Add(time.Second)):
		case p.seen.IsZero():
			unseen++
		default:
			list = append(list, p.seen.Sub(p.due))
		}
	}
	slices.Sort(list)
	if unseen > 0 {
		return nil, fmt.Errorf("%d reports were sent, are stored and were never seen by a query", unseen)
	}
	return list, nil
}

// check compares the warehouse with what was acknowledged: the same set of ids.
func (g *generator) check(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.Query(ctx, "SELECT DISTINCT id FROM calls")
	if err != nil {
		return err
	}
	var stored bits
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return closing(err, rows.Close)
		}
		n, ok := numberOf(telemetry.ReportID(id))
		if !ok || !g.acked.has(n) {
			return closing(fmt.Errorf("report %v is stored and was not acknowledged", id), rows.Close)
		}
		stored.add(n)
	}
	if err := closing(rows.Err(), rows.Close); err != nil {
		return err
	}
	if stored.n != g.acked.n {
		return fmt.Errorf("%d reports acknowledged, %d stored", g.acked.n, stored.n)
	}
	return nil
}
