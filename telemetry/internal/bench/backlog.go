package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// benchBacklog fills the stream with packs, then has an ingest process work them off, and watches its memory.
func benchBacklog(ctx context.Context, dir string, fleet *fleet, reports uint64, profile string, r *report) (err error) {
	server, err := broker.Start(broker.Config{Dir: filepath.Join(dir, "nats"), MaxStore: 64 << 30, NoSyncAlways: true, Logger: warnings()})
	if err != nil {
		return err
	}
	defer func() { err = closing(err, server.Close) }()
	js, err := fill(ctx, server, fleet, reports)
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	store, err := warehouse.StartManaged(ctx, warehouse.ManagedConfig{Dir: filepath.Join(dir, "clickhouse"), Log: warnings()})
	if err != nil {
		return err
	}
	defer func() { err = closing(err, store.Close) }()

	o := order{NATS: server.OperatorURL(), DSN: store.DSN()}
	if profile != "" {
		o.Profile = filepath.Join(profile, "backlog.pprof")
	}
	began := time.Now()
	worker, err := start(roleIngest, o)
	if err != nil {
		return err
	}
	defer func() { err = closing(err, worker.stop) }()
	meter, err := startMeter(map[string]int{"ingest": worker.Process.Pid, "clickhouse": store.PID()})
	if err != nil {
		return err
	}
	empty := make(chan error, 1)
	go func() { empty <- drained(ctx, server.OperatorURL()) }()
	sum, samples := int64(0), int64(0)
	for waiting := true; waiting; {
		select {
		case err := <-empty:
			if err != nil {
				return err
			}
			waiting = false
		case <-time.After(200 * time.Millisecond):
			now, _, err := memoryOf(worker.Process.Pid)
			if err != nil {
				return err
			}
			sum, samples = sum+now, samples+1
		}
	}
	took := time.Since(began)
	_, peak, err := memoryOf(worker.Process.Pid)
	if err != nil {
		return err
	}
	cpu, _, err := meter.read()
	if err != nil {
		return err
	}
	cpu["NATS and this program"] = cpu["generator"]
	delete(cpu, "generator")
	if err := complete(ctx, store, reports); err != nil {
		return err
	}
	const mib = 1 << 20
	f := most(fmt.Sprintf("memory: ingest with a backlog of %d reports, most", reports), float64(peak)/mib, "MiB", 512)
	f.CPUSeconds = cpu
	f.Note = fmt.Sprintf("VmHWM of its process; mean of the resident memory %.0f MiB; worked off in %.0f s, %.0f reports/s; all stored once",
		float64(sum)/float64(max(samples, 1))/mib, took.Seconds(), float64(reports)/took.Seconds())
	f = f.limitedBy("the peak is %.1f times the mean: batches in hand, and what the collector has not freed yet", float64(peak)/max(float64(sum)/float64(max(samples, 1)), 1))
	r.add(f)
	return nil
}

// fill publishes reports as packs, without forcing the disk for each.
func fill(ctx context.Context, server *broker.Server, fleet *fleet, reports uint64) (jetstream.JetStream, error) {
	conn, err := broker.ConnectWithin(ctx, 10*time.Second, server.ClientURL(), "attune-bench", nil, server.InProcess())
	if err != nil {
		return nil, err
	}
	const window = 256
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(window))
	if err != nil {
		return nil, err
	}
	stream, err := broker.EnsureStreamWith(ctx, js, broker.StreamConfig{MaxBytes: 32 << 30})
	if err != nil {
		return nil, err
	}
	var futures []jetstream.PubAckFuture
	settle := func(most int) error {
		for len(futures) > most {
			select {
			case <-futures[0].Ok():
			case err := <-futures[0].Err():
				return fmt.Errorf("fill the backlog: %w", err)
			case <-time.After(time.Minute):
				return fmt.Errorf("fill the backlog: no acknowledgement")
			}
			futures = futures[1:]
		}
		return nil
	}
	var one []byte
	for n := uint64(0); n < reports; {
		pack := make([]byte, 0, telemetry.MaxPackSize)
		first := n
		for i := 0; i < packReports && n < reports; i++ {
			one = fleet.appendReport(one[:0], n)
			pack = telemetry.AppendToPack(pack, one)
			n++
		}
		future, err := js.PublishMsgAsync(&nats.Msg{
			Subject: telemetry.PackSubject, Data: pack, Header: nats.Header{nats.MsgIdHdr: []string{telemetry.MessageID(idOf(first))}},
		})
		if err != nil {
			return nil, fmt.Errorf("fill the backlog: %w", err)
		}
		futures = append(futures, future)
		if err := settle(window / 2); err != nil {
			return nil, err
		}
	}
	if err := settle(0); err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, err
	}
	if want := (reports + packReports - 1) / packReports; info.State.Msgs != want {
		return nil, fmt.Errorf("the backlog has %d packs, want %d", info.State.Msgs, want)
	}
	return js, nil
}

// complete checks that every report is stored. The ids are a bijection of the numbers, so the count suffices.
func complete(ctx context.Context, store *warehouse.Managed, reports uint64) error {
	conn, err := connect(store.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var distinct uint64
	if err := conn.QueryRow(ctx, "SELECT uniqExact(id) FROM calls").Scan(&distinct); err != nil {
		return err
	}
	if distinct != reports {
		return fmt.Errorf("%d reports in the backlog, %d stored", reports, distinct)
	}
	return nil
}
