package conservation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// duplicatesWindow is how long the stream of this test remembers message ids.
const duplicatesWindow = 2 * time.Second

// system is everything between a client and the warehouse, and the clients.
type system struct {
	dir      string
	mutation mutation
	oracle   *oracle
	log      *slog.Logger

	brokerDisk, warehouseDisk, spoolDisk *disk

	port     int // of NATS
	operator *url.URL
	broker   *process
	edge     *process
	admin    jetstream.JetStream // past the proxies
	server   *warehouse.Managed
	store    *warehouse.Warehouse // past the proxies

	toBroker, toStore, toEdge, toSpooler, fromClients *link // named by their ends that are not NATS, and toStore by the other
	workers                                           [2]*worker

	callers    []*caller
	spooler    *caller // of callers: its spool is on the small disk
	publishers []*publisher

	happened coverage
	calm     sync.RWMutex // held for reading while a connection is poisoned
	fatal    chan error
}

// worker is an ingest process, or the place where one should be.
type worker struct {
	name    string
	process *process
	struck  chan string   // blows that have fallen
	ahead   time.Duration // how far the clock of the next process is wrong
}

// coverage counts what really happened.
type coverage struct {
	redeliveries, reconnects, retries, selfKills, serverKills, doubts atomic.Int64
	orphans                                                           atomic.Int64 // see drained
	resent                                                            atomic.Int64 // reports that the stream took again, its window being over
}

// newSystem starts everything but the clients. It ends with the test.
func newSystem(t *testing.T, seed uint64, m mutation) *system {
	t.Helper()
	s := &system{dir: t.TempDir(), mutation: m, oracle: newOracle(seed), fatal: make(chan error, 16)}
	t.Cleanup(func() {
		if t.Failed() {
			tails(t, s.dir)
		}
	})
	log, err := os.Create(filepath.Join(s.dir, "clients.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s.log = slog.New(slog.NewTextHandler(log, nil))
	for name, d := range map[string]**disk{"nats": &s.brokerDisk, "clickhouse": &s.warehouseDisk, "spool": &s.spoolDisk} {
		if *d, err = newDisk(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := (*d).unmount(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, start := range []func(*testing.T) error{s.startBroker, s.startWarehouse, s.startLinks, s.startWorkers, s.startEdge} {
		if err := start(t); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *system) startBroker(t *testing.T) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return err
	}
	if err := s.runBroker(t.Context()); err != nil {
		return err
	}
	t.Cleanup(func() { s.broker.stop(10 * time.Second) })
	conn, err := telemetry.ConnectWithin(t.Context(), 10*time.Second, s.operator.String(), "attune-admin", nil, quickly()...)
	if err != nil {
		return err
	}
	t.Cleanup(conn.Close)
	if s.admin, err = jetstream.New(conn); err != nil {
		return err
	}
	return s.makeStream(t.Context())
}

// runBroker starts the NATS process on its directory.
func (s *system) runBroker(ctx context.Context) (err error) {
	cfg := brokerConfig{Dir: filepath.Join(s.brokerDisk.dir, "store"), Port: s.port}
	operator := make(chan string, 1)
	s.broker, err = startProcess(ctx, roleBroker, cfg, filepath.Join(s.dir, "nats.log"), func(e event) {
		if e.URL != "" {
			operator <- e.URL
		}
	})
	if err != nil || s.operator != nil { // the password stays the same
		return err
	}
	s.operator, err = url.Parse(<-operator)
	return err
}

// makeStream makes the stream of reports, with a window so short that it runs out all the time.
func (s *system) makeStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := broker.EnsureStreamWith(ctx, s.admin, broker.StreamConfig{MaxBytes: 512 << 20})
	if err != nil {
		return err
	}
	cfg := stream.CachedInfo().Config
	cfg.Duplicates = duplicatesWindow
	_, err = s.admin.UpdateStream(ctx, cfg)
	return err
}

func (s *system) startWarehouse(t *testing.T) (err error) {
	// ClickHouse keeps the parts that a merge has replaced for eight minutes, which would take gigabytes here.
	settings := filepath.Join(s.warehouseDisk.dir, "config.d")
	if err := os.Mkdir(settings, 0o700); err != nil {
		return err
	}
	text := "<yandex><merge_tree><old_parts_lifetime>5</old_parts_lifetime></merge_tree></yandex>"
	if err := os.WriteFile(filepath.Join(settings, "parts.xml"), []byte(text), 0o600); err != nil {
		return err
	}
	s.server, err = warehouse.StartManaged(t.Context(), warehouse.ManagedConfig{Dir: s.warehouseDisk.dir})
	if err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := s.server.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.store, err = warehouse.Open(t.Context(), s.server.DSN()); err != nil {
		return err
	}
	t.Cleanup(func() { _ = s.store.Close() })
	return s.store.MigrateWith(t.Context(), warehouse.Settings{MinCell: minCell})
}

func (s *system) startLinks(t *testing.T) error {
	dsn, err := url.Parse(s.server.DSN())
	if err != nil {
		return err
	}
	nats := "127.0.0.1:" + strconv.Itoa(s.port)
	for _, l := range []struct {
		name, upstream string
		link           **link
	}{
		{"client", nats, &s.fromClients},
		{"spooler", nats, &s.toSpooler},
		{"ingest", nats, &s.toBroker},
		{"warehouse", dsn.Host, &s.toStore},
		{"edge", nats, &s.toEdge},
	} {
		if *l.link, err = newLink(l.name, l.upstream); err != nil {
			return err
		}
		t.Cleanup((*l.link).close)
	}
	return nil
}

func (s *system) startWorkers(t *testing.T) error {
	for i := range s.workers {
		s.workers[i] = &worker{name: fmt.Sprintf("ingest%d", i+1), struck: make(chan string, 4)}
		if err := s.runWorker(t.Context(), s.workers[i]); err != nil {
			return err
		}
		t.Cleanup(func() { s.workers[i].process.stop(10 * time.Second) })
	}
	return nil
}

// runWorker starts an ingest process behind the proxies.
func (s *system) runWorker(ctx context.Context, w *worker) error {
	dsn, err := url.Parse(s.server.DSN())
	if err != nil {
		return err
	}
	dsn.Host = s.toStore.address()
	cfg := ingestConfig{NATS: s.operatorThrough(s.toBroker), DSN: dsn.String(), Mutation: s.mutation, Ahead: w.ahead}
	w.process, err = startProcess(ctx, roleIngest, cfg, filepath.Join(s.dir, w.name+".log"), func(e event) { s.hear(w, e) })
	return err
}

// operatorThrough is the URL of NATS for operators, by way of a proxy.
func (s *system) operatorThrough(l *link) string {
	through := *s.operator
	through.Host = l.address()
	return through.String()
}

func (s *system) startEdge(t *testing.T) error {
	if err := s.runEdge(t.Context()); err != nil {
		return err
	}
	t.Cleanup(func() { s.edge.stop(10 * time.Second) })
	return nil
}

// runEdge starts the edge behind its proxy.
func (s *system) runEdge(ctx context.Context) (err error) {
	s.edge, err = startProcess(ctx, roleEdge, edgeConfig{s.operatorThrough(s.toEdge)}, filepath.Join(s.dir, "edge.log"), func(e event) {
		s.happened.reconnects.Add(int64(e.Reconnected))
	})
	return err
}

func (s *system) hear(w *worker, e event) {
	s.happened.redeliveries.Add(int64(e.Redelivered))
	s.happened.retries.Add(int64(e.Retried))
	s.happened.doubts.Add(int64(e.Doubted))
	s.happened.reconnects.Add(int64(e.Reconnected))
	if e.Struck != "" {
		select {
		case w.struck <- e.Struck:
		default:
		}
	}
	if e.Fatal != "" {
		select {
		case s.fatal <- errors.New(w.name + ": " + e.Fatal):
		default:
		}
	}
}

// drained waits until the stream has nothing left to deliver: it is empty, or all that is in it has been acknowledged.
// The latter happens when NATS could not write down on a full disk that it has removed a message: started again it holds
// the message, below what its consumer has acknowledged, until the message is too old. Such orphans are counted. If one
// of them were not stored, the verdict would tell, because nobody ever delivers it.
func (s *system) drained(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		left, idle, err := s.left(ctx)
		if err == nil && idle {
			s.happened.orphans.Add(int64(left))
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the stream is not empty after %v: %d messages left (%w)", patience, left, err)
		}
	}
}

// left is the number of messages in the stream, and whether none of them is going to be delivered any more.
func (s *system) left(ctx context.Context) (messages uint64, idle bool, err error) {
	stream, err := s.admin.Stream(ctx, telemetry.Stream)
	if err != nil {
		return 0, false, err
	}
	if messages = stream.CachedInfo().State.Msgs; messages == 0 {
		return 0, true, nil
	}
	consumer, err := stream.Consumer(ctx, "ingest")
	if err != nil {
		return messages, false, err
	}
	info := consumer.CachedInfo()
	return messages, info.NumPending == 0 && info.NumAckPending == 0, nil
}
