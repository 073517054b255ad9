package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/edge"
	"github.com/attune-calls/attune/telemetry/ingest"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// A child is this program once more: what is measured runs in processes of its own, apart from the generator.
const (
	roleServer = "server" // what "attune up" runs of the telemetry: NATS, edge and ingest in one process, ClickHouse below it
	roleIngest = "ingest" // ingest alone
)

// order is what a child is told, as JSON on standard input.
type order struct {
	Dir     string // of the server
	NATS    string // of ingest: the operator's URL
	DSN     string // of ingest
	Profile string // file for a processor profile; "" = none
}

// place is what a child answers when it is ready, as JSON on standard output.
type place struct {
	Client, Operator, DSN string
	ClickHouse            int // process id
}

// child is a running one.
type child struct {
	*exec.Cmd
	place
	stop func() error
}

// start runs a child until stop.
func start(role string, o order) (_ *child, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{Cmd: exec.Command(self, "-role", role)}
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	c.stop = func() error {
		return errors.Join(in.Close(), c.Wait())
	}
	err = json.NewEncoder(in).Encode(o)
	if err == nil {
		err = json.NewDecoder(bufio.NewReader(out)).Decode(&c.place)
	}
	if err != nil {
		_ = c.Process.Kill()
		return nil, fmt.Errorf("start %s: %w", role, errors.Join(err, c.Wait()))
	}
	return c, nil
}

// runChild is a child's main.
func runChild(role string) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // until the parent closes the pipe, or is gone
		_, _ = in.ReadByte()
		cancel()
	}()
	if o.Profile != "" {
		file, err := os.Create(o.Profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = file.Close()
		}()
	}
	switch role {
	case roleServer:
		return runServer(ctx, o)
	case roleIngest:
		return runIngest(ctx, o, place{})
	default:
		return fmt.Errorf("role %q is not known", role)
	}
}

// warnings is the log of a child: what goes wrong must be seen.
func warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func runServer(ctx context.Context, o order) (err error) {
	server, err := broker.Start(broker.Config{Dir: filepath.Join(o.Dir, "nats"), Logger: warnings()})
	if err != nil {
		return err
	}
	defer func() { err = closing(err, server.Close) }()
	store, err := warehouse.StartManaged(ctx, warehouse.ManagedConfig{Dir: filepath.Join(o.Dir, "clickhouse"), Log: warnings()})
	if err != nil {
		return err
	}
	defer func() { err = closing(err, store.Close) }()
	conn, err := broker.ConnectWithin(ctx, 10*time.Second, server.ClientURL(), "attune-edge", warnings(), server.InProcess())
	if err != nil {
		return err
	}
	defer conn.Close()
	gate, err := broker.ConnectWithin(ctx, 10*time.Second, server.ClientURL(), "attune-edge", warnings(), server.InProcessGate())
	if err != nil {
		return err
	}
	defer gate.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	if _, err := broker.EnsureStream(ctx, js); err != nil {
		return err
	}
	packing, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- edge.Run(packing, edge.Config{Front: gate, Back: conn, Logger: warnings()}) }()
	defer func() {
		stop()
		err = closing(err, func() error { return <-ended })
	}()
	o.NATS, o.DSN = server.OperatorURL(), store.DSN()
	return runIngest(ctx, o, place{Client: server.ClientURL(), Operator: o.NATS, DSN: o.DSN, ClickHouse: store.PID()})
}

// runIngest says that it is ready and moves reports until ctx ends.
func runIngest(ctx context.Context, o order, p place) (err error) {
	conn, err := telemetry.ConnectWithin(ctx, 10*time.Second, o.NATS, "attune-ingest", warnings())
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	store, err := warehouse.Open(ctx, o.DSN)
	if err != nil {
		return err
	}
	defer func() { err = closing(err, store.Close) }()
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	moving, err := ingest.New(ingest.Config{JetStream: js, Warehouse: store, Logger: warnings()})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(p); err != nil {
		return err
	}
	return moving.Run(ctx)
}
