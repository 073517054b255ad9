// Package loop assembles the services of Attune on one machine: NATS, ClickHouse, ingest, training, publication and
// rollout, each embedded, managed as a child, or reached where the configuration says.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// Backends are the servers everything stands on, and the connections to them. Close releases what Open acquired, last
// first.
type Backends struct {
	NATSURL   string // for call clients: without credentials
	JetStream jetstream.JetStream
	DSN       string // of ClickHouse; holds a password, so it is never printed
	Warehouse *warehouse.Warehouse

	connect  func(ctx context.Context, name string) (*nats.Conn, error)
	embedded *broker.Server // nil when NATS is a server of its own
	cleanups []func() error
}

// Gate opens the connection on which an edge meets the clients of the embedded NATS, which ends with Close. Nil without one:
// an edge at another server needs credentials of its own.
func (b *Backends) Gate(ctx context.Context, log *slog.Logger) (*nats.Conn, error) {
	if b.embedded == nil {
		return nil, nil
	}
	conn, err := Connect(ctx, b.NATSURL, "attune-edge", true, log, b.embedded.InProcessGate())
	if err == nil {
		b.cleanups = append(b.cleanups, conn.Drain)
	}
	return conn, err
}

// Connect opens one more connection to NATS with the same rights, which ends with Close.
func (b *Backends) Connect(ctx context.Context, name string) (*nats.Conn, error) {
	conn, err := b.connect(ctx, name)
	if err == nil {
		b.cleanups = append(b.cleanups, conn.Drain)
	}
	return conn, err
}

// Close stops what Open started. It may be called more than once.
func (b *Backends) Close() error {
	var faults []error
	for len(b.cleanups) > 0 {
		last := len(b.cleanups) - 1
		faults = append(faults, b.cleanups[last]())
		b.cleanups = b.cleanups[:last]
	}
	return errors.Join(faults...)
}

// Need says which of the servers a verb uses.
type Need int

// What a verb may need.
const (
	NeedNATS       Need = 1 << iota // with the stream of reports
	NeedWarehouse                   // with the tables of this program, whatever they were made for
	NeedConnection                  // to NATS, without setting up the stream: who sends or publishes has no right to
	// Patient waits for external servers that do not answer, as services do; without it that is an error.
	Patient
	// AsItIs takes tables of whatever version, or none.
	AsItIs
	// Sole wants servers of its own where none are named: that another process runs some over the data directory is an
	// error. Without it those are used.
	Sole
	// MakeTables makes and migrates the tables for the configuration: for the verbs that store reports. Everybody else
	// may have a configuration of their own, with another k or retention, which is nobody's but theirs.
	MakeTables
)

// natsName is the directory of the embedded NATS, inside the data directory.
const natsName = "nats"

// policySpace is what an embedded NATS may take on disk besides the stream of reports, for policies and their parts.
const policySpace = 4 << 30

// connectTimeout is how long a verb waits for an external server before it says that there is none.
const connectTimeout = 10 * time.Second

// Open starts or reaches the servers that are needed, makes the stream where it is needed and missing, and the tables
// where that is asked for. Port is where an embedded NATS listens on loopback; 0 takes a free one.
func Open(ctx context.Context, c config.Config, need Need, port int, log *slog.Logger) (*Backends, error) {
	b := &Backends{}
	if need&(NeedNATS|NeedConnection) != 0 {
		if err := b.openNATS(ctx, c, need, port, log); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	if need&NeedWarehouse != 0 {
		if err := b.openWarehouse(ctx, c, need, log); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

func (b *Backends) openNATS(ctx context.Context, c config.Config, need Need, port int, log *slog.Logger) error {
	var options []nats.Option
	server := broker.OperatorURL(c.NATS, filepath.Join(c.Data, natsName)) // that of an "attune up" over the same directory
	b.NATSURL = withoutCredentials(c.NATS)
	if c.NATS == "" && need&(Sole|NeedNATS) == 0 {
		if running := runningNATS(filepath.Join(c.Data, natsName)); running != "" {
			server, b.NATSURL = running, withoutCredentials(running)
		}
	}
	if server == "" {
		embedded, err := broker.Start(broker.Config{
			Dir: filepath.Join(c.Data, natsName), Port: port, MaxStore: c.Stream.MaxBytes + policySpace, Logger: log,
		})
		if err != nil {
			return err
		}
		b.embedded = embedded
		b.cleanups = append(b.cleanups, embedded.Close)
		b.NATSURL, server = embedded.ClientURL(), embedded.ClientURL()
		options = append(options, embedded.InProcess())
	}
	b.connect = func(ctx context.Context, name string) (*nats.Conn, error) {
		return Connect(ctx, server, name, need&Patient != 0, log, options...)
	}
	conn, err := b.Connect(ctx, "attune-server")
	if err != nil {
		return err
	}
	if b.JetStream, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("JetStream at NATS: %w", err)
	}
	if need&NeedNATS != 0 {
		_, err = broker.EnsureStreamWith(ctx, b.JetStream, broker.StreamConfig{
			Replicas: c.Stream.Replicas, MaxBytes: c.Stream.MaxBytes, MaxAge: c.StreamAge(), Logger: log,
		})
	}
	return err
}

// runningNATS is the URL of the server that another process of this user runs in a directory, with its password; empty
// when none answers there.
func runningNATS(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, broker.OperatorFile))
	if err != nil {
		return ""
	}
	server := strings.TrimSpace(string(text))
	conn, err := nats.Connect(server, nats.Timeout(time.Second), nats.NoReconnect())
	if err != nil {
		return ""
	}
	conn.Close()
	return server
}

// Connect opens a connection to NATS. A patient one waits for a server that does not answer and says so; otherwise that
// is an error.
func Connect(ctx context.Context, server, name string, patient bool, log *slog.Logger, options ...nats.Option) (*nats.Conn, error) {
	conn, err := telemetry.ConnectWithin(ctx, connectTimeout, server, name, log, options...)
	for patient && err != nil && ctx.Err() == nil {
		log.Warn("waiting for NATS", "fault", err)
		conn, err = telemetry.ConnectWithin(ctx, connectTimeout, server, name, log, options...)
	}
	return conn, err
}

// withoutCredentials is what call clients use of the servers' URLs, separated by commas: they have no password.
func withoutCredentials(servers string) string {
	urls := strings.Split(servers, ",")
	for i, server := range urls {
		scheme, rest, _ := strings.Cut(server, "://")
		if _, address, found := strings.Cut(rest, "@"); found {
			urls[i] = scheme + "://" + address
		}
	}
	return strings.Join(urls, ",")
}

func (b *Backends) openWarehouse(ctx context.Context, c config.Config, need Need, log *slog.Logger) error {
	b.DSN = c.ClickHouse
	dir := filepath.Join(c.Data, "clickhouse")
	if b.DSN == "" && need&Sole == 0 {
		var err error
		if b.DSN, err = warehouse.Running(ctx, dir); err != nil {
			return err
		}
	}
	if b.DSN == "" {
		managed, err := warehouse.StartManaged(ctx, warehouse.ManagedConfig{Dir: dir, Log: log})
		if err != nil {
			return err
		}
		b.cleanups = append(b.cleanups, managed.Close)
		b.DSN = managed.DSN()
	}
	var err error
	if need&Patient != 0 {
		b.Warehouse, err = warehouse.OpenWhenReady(ctx, b.DSN, log)
	} else {
		b.Warehouse, err = warehouse.Open(ctx, b.DSN)
	}
	if err != nil {
		return err
	}
	b.cleanups = append(b.cleanups, b.Warehouse.Close)
	switch {
	case need&AsItIs != 0:
		return nil
	case need&MakeTables != 0:
		return b.Warehouse.MigrateWith(ctx, WarehouseSettings(c))
	}
	return b.Warehouse.Check(ctx)
}

// WarehouseSettings are what tables and views are made for.
func WarehouseSettings(c config.Config) warehouse.Settings {
	return warehouse.Settings{MinCell: c.Privacy.MinCell, Retention: c.Privacy.Retention}
}
