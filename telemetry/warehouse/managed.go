package warehouse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ManagedConfig says where a managed ClickHouse lives.
type ManagedConfig struct {
	// Dir holds everything the server writes: configuration, data and logs. It is created with mode 0700 and belongs
	// to one Managed at a time. Data in it survive a restart.
	Dir string
	// Binary is the server to run: a clickhouse-server, or the clickhouse multi-tool. Empty means the first of
	// clickhouse-server and clickhouse on PATH or in the usual places.
	Binary string
	// Log receives restarts and other events of the child's life. Nil discards them. The server's own log is the file
	// server.log in Dir.
	Log *slog.Logger
	// StartTimeout bounds the wait for the first answer. 0 means 60 s.
	StartTimeout time.Duration
}

// Managed is a ClickHouse server run as a child of this process, for one machine: it listens on loopback only, on
// random free ports, with a random password that is told in urlFile only, see Running. It ends with Close, and on Linux also when this
// process dies, whatever the cause; what a crash leaves behind all the same is killed by the next StartManaged on the
// same directory. When the server dies by itself it is started again on the same port with the same password, so that
// open Warehouses recover.
type Managed struct {
	dir      string
	binary   string
	password string
	port     int
	log      *slog.Logger
	lock     *os.File

	closing   chan struct{}
	closeOnce sync.Once
	finished  chan struct{} // closed when the supervisor has ended
	mu        sync.Mutex
	child     *child
	restarts  int
}

const (
	startAttempts = 4                // ports drawn before giving up: another program may take one first
	stopTimeout   = 10 * time.Second // between SIGTERM and SIGKILL
	restartFirst  = 100 * time.Millisecond
	restartMost   = 5 * time.Second
)

// errDied means that the child ended before it answered.
var errDied = errors.New("clickhouse ended while starting")

// StartManaged starts a server in cfg.Dir and returns once it answers over the native protocol. An error carries the
// last lines of the server's log. Another live Managed on the same directory is an error.
func StartManaged(ctx context.Context, cfg ManagedConfig) (_ *Managed, err error) {
	if cfg.Dir == "" {
		return nil, errors.New("managed clickhouse: no directory given")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = time.Minute
	}
	binary, err := findBinary(cfg.Binary)
	if err != nil {
		return nil, err
	}
	dir, err := privateDirectory(cfg.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := removeURL(dir); err != nil {
		return nil, err
	}
	if pid, err := killStale(dir); err != nil {
		return nil, fmt.Errorf("managed clickhouse in %s: %w", dir, err)
	} else if pid != 0 {
		cfg.Log.Warn("killed a clickhouse left behind by an earlier run", "pid", pid, "dir", dir)
	}
	m := &Managed{
		dir: dir, binary: binary, password: rand.Text(), log: cfg.Log, lock: lock,
		closing: make(chan struct{}), finished: make(chan struct{}),
	}
	for attempt := 1; ; attempt++ {
		err = m.start(ctx, cfg.StartTimeout)
		if err == nil {
			break
		}
		if attempt == startAttempts || !errors.Is(err, errDied) {
			return nil, fmt.Errorf("start %s in %s: %w%s", binary, dir, err, logTail(dir))
		}
	}
	go m.supervise()
	if err := m.tellURL(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// DSN is the address to give to Open. It contains the password: do not log it.
func (m *Managed) DSN() string {
	return fmt.Sprintf("clickhouse://default:%s@127.0.0.1:%d/default", m.password, m.port)
}

// PID is the process id of the running server; 0 between a death and the restart, and after Close.
func (m *Managed) PID() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.child == nil {
		return 0
	}
	return m.child.pid
}

// Restarts counts how often the server died by itself and was started again.
func (m *Managed) Restarts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.restarts
}

// Close stops the server: politely first, by force after ten seconds. It returns when the process is gone. It may be
// called more than once.
func (m *Managed) Close() error {
	var removed error
	m.closeOnce.Do(func() {
		removed = removeURL(m.dir)
		close(m.closing)
	})
	<-m.finished
	unlockDirectory(m.lock)
	if removed != nil {
		return removed
	}
	if err := m.lock.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("managed clickhouse in %s: unlock: %w", m.dir, err)
	}
	return nil
}

// start draws a port, writes the configuration, runs the server and waits until it answers. On an error no process is
// left.
func (m *Managed) start(ctx context.Context, timeout time.Duration) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	m.port = port
	if err := writeConfig(m.dir, port, m.password); err != nil {
		return err
	}
	c, err := launch(m.binary, m.dir)
	if err != nil {
		return err
	}
	if err := m.awaitReady(ctx, c, timeout); err != nil {
		c.stop(0)
		return err
	}
	m.child = c
	return nil
}

// awaitReady pings until the server answers, dies, or the time is up.
func (m *Managed) awaitReady(ctx context.Context, c *child, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	options, err := clickhouse.ParseDSN(m.DSN())
	if err != nil {
		return errors.New("own address does not parse")
	}
	options.DialTimeout = time.Second
	conn, err := clickhouse.Open(options)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		pingErr := conn.Ping(ctx)
		select {
		case <-c.done: // checked after every ping: an answer may come from another server that took the port
			return fmt.Errorf("%w: %w", errDied, c.err)
		default:
		}
		if pingErr == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no answer on 127.0.0.1:%d: %w (last: %w)", m.port, ctx.Err(), pingErr)
		}
	}
}

// supervise owns the child from the end of StartManaged to the end of Close.
func (m *Managed) supervise() {
	defer close(m.finished)
	delay := restartFirst
	for {
		c := m.child
		started := time.Now()
		select {
		case <-m.closing:
			if !c.stop(stopTimeout) {
				m.log.Warn("clickhouse did not stop in time and was killed", "dir", m.dir)
			}
			m.forgetChild()
			return
		case <-c.done:
		}
		m.forgetChild()
		m.log.Error("clickhouse died, starting it again", "dir", m.dir, "cause", c.err, "log", logFile)
		if time.Since(started) > time.Minute {
			delay = restartFirst
		}
		if !m.relaunch(&delay) {
			return
		}
	}
}

// relaunch tries until a process runs; false means Close came first.
func (m *Managed) relaunch(delay *time.Duration) bool {
	for {
		select {
		case <-m.closing:
			return false
		case <-time.After(*delay):
		}
		*delay = min(2**delay, restartMost)
		c, err := launch(m.binary, m.dir)
		if err != nil {
			m.log.Error("clickhouse does not start", "dir", m.dir, "err", err)
			continue
		}
		m.mu.Lock()
		m.child = c
		m.restarts++
		m.mu.Unlock()
		return true
	}
}

func (m *Managed) forgetChild() {
	m.mu.Lock()
	m.child = nil
	m.mu.Unlock()
	_ = os.Remove(filepath.Join(m.dir, pidFile))
}

// freePort asks the kernel for a port nobody listens on. It is free again when this returns, so the caller must be
// ready for another program to take it first.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port on loopback: %w", err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
