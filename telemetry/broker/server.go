package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/filelock"
)

// Config configures a Server.
type Config struct {
	// Dir holds the streams. It is created when missing, and belongs to one Server at a time. Required.
	Dir string
	// Host is the address to listen on. Default 127.0.0.1.
	Host string
	// Port to listen on; 0, the default, takes a free one. See Server.ClientURL.
	Port int
	// DontListen opens no port: only connections made with Server.InProcess reach the server.
	DontListen bool
	// MaxStore bounds the disk space of all streams, in bytes. Default 8 GiB.
	MaxStore int64
	// NoSyncAlways gives up durability for speed: the disk is forced every two minutes instead of before each
	// acknowledgement, and a power failure loses acknowledged reports. Default false.
	NoSyncAlways bool
	// StartTimeout bounds the start, which reads back what is stored. Default 30 s.
	StartTimeout time.Duration
	// Logger is told of the server's warnings and errors, with every address taken out. Default: none.
	Logger *slog.Logger
}

const (
	defaultMaxStore     = 8 << 30
	defaultStartTimeout = 30 * time.Second
	// maxPayload leaves room for objects of the object store, which come in chunks of 128 KiB.
	maxPayload = 1 << 20
)

// Validate reports every fault, with its field. Zero fields mean their defaults.
func (c *Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("no directory: set Dir to the one that holds the streams"))
	}
	if c.Port < 0 || c.Port > 65535 {
		faults = append(faults, fmt.Errorf("port %d is outside 0..65535", c.Port))
	}
	if c.DontListen && (c.Port != 0 || c.Host != "") {
		faults = append(faults, errors.New("DontListen with Host or Port: a server that opens no port has neither"))
	}
	if c.MaxStore < 0 {
		faults = append(faults, fmt.Errorf("MaxStore %d is negative", c.MaxStore))
	}
	if c.StartTimeout < 0 {
		faults = append(faults, fmt.Errorf("StartTimeout %v is negative", c.StartTimeout))
	}
	return errors.Join(faults...)
}

// Server is a running NATS server. One that gives up JetStream or a stream, as it does when its disk is full, is started
// again in place as soon as it can be.
type Server struct {
	running      atomic.Pointer[instance]
	cfg          Config // with the port it has got
	lock         *filelock.Lock
	clientURL    string
	password     string // of the operator
	operatorFile string

	closing sync.Once
	stop    chan struct{}
	ended   chan struct{} // when nobody starts it again
}

// instance is a server from one start to its end.
type instance struct {
	*server.Server
	log *log
}

// writes reports whether the server still stores what it is sent.
func (i *instance) writes() bool { return i.JetStreamEnabled() && !i.log.unwritten.Load() }

// Start runs a server until Close. It returns when clients can connect and the streams of an earlier run are back.
func Start(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure NATS server: %w", err)
	}
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	if cfg.MaxStore == 0 {
		cfg.MaxStore = defaultMaxStore
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = defaultStartTimeout
	}
	if err := checkPort(&cfg); err != nil {
		return nil, err
	}
	lock, err := claim(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := adopt(cfg.Dir); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	s := &Server{
		cfg: cfg, lock: lock, operatorFile: filepath.Join(cfg.Dir, OperatorFile),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	var first *instance
	if s.password, err = password(s.operatorFile); err == nil {
		first, err = start(&cfg, s.password)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	s.running.Store(first)
	if address, ok := first.Addr().(*net.TCPAddr); ok && !cfg.DontListen {
		s.clientURL, s.cfg.Port = first.ClientURL(), address.Port
	}
	go s.watch()
	if err := s.tellOperator(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func start(cfg *Config, operator string) (*instance, error) {
	options, err := access(operator)
	if err != nil {
		return nil, fmt.Errorf("configure NATS server: %w", err)
	}
	options.ServerName = "attune"
	options.Host, options.Port, options.DontListen = cfg.Host, cfg.Port, cfg.DontListen
	if cfg.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	options.JetStream, options.StoreDir, options.SyncAlways = true, cfg.Dir, !cfg.NoSyncAlways
	options.JetStreamMaxStore, options.JetStreamMaxMemory = cfg.MaxStore, 64<<20
	options.MaxPayload = maxPayload
	options.MaxClosedClients = 1 // the server remembers the address of so many that have gone; 0 would mean 10,000
	options.NoSigs, options.DisableJetStreamBanner = true, true
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configure NATS server: %w", err)
	}
	log := newLog(cfg.Logger)
	s.SetLogger(log, false, false)
	go s.Start()
	deadline := time.After(cfg.StartTimeout)
	for !s.ReadyForConnections(50 * time.Millisecond) {
		select {
		case reason := <-log.fatal:
			shutdown(s)
			return nil, fmt.Errorf("start NATS server in %s: %s", cfg.Dir, reason)
		case <-deadline:
			shutdown(s)
			return nil, fmt.Errorf("start NATS server in %s: not ready within %v; a large store takes longer, see StartTimeout", cfg.Dir, cfg.StartTimeout)
		default:
		}
	}
	if !s.JetStreamEnabled() {
		shutdown(s)
		return nil, fmt.Errorf("start NATS server in %s: JetStream did not start: %s", cfg.Dir, log.last())
	}
	return &instance{s, log}, nil
}

// checkPort tells of a port that is taken before the server tries it, because the server's own report is late and vague.
func checkPort(cfg *Config) error {
	if cfg.DontListen {
		return nil
	}
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	listener, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("start NATS server: port %d on %s is taken: stop the program that holds it, or choose another port (0 takes a free one)", cfg.Port, cfg.Host)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("start NATS server: port %d on %s is not allowed for this user: choose one above 1023 (0 takes a free one)", cfg.Port, cfg.Host)
	case err != nil:
		return fmt.Errorf("start NATS server: listen on %s: %w", address, err)
	}
	return listener.Close()
}

// claim creates the directory, checks that it can be written, and locks it.
func claim(dir string) (*filelock.Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start NATS server: create directory: %w; choose one this user can write", err)
	}
	lock, err := filelock.Acquire(filepath.Join(dir, "broker.lock"))
	switch {
	case errors.Is(err, filelock.ErrLocked):
		return nil, fmt.Errorf("start NATS server: directory %s is in use by another server: stop that one, or choose another directory", dir)
	case err != nil:
		return nil, fmt.Errorf("start NATS server: directory %s cannot be written: %w", dir, err)
	}
	return lock, nil
}

// ClientURL is where clients connect; empty with DontListen. A connection to it has the rights of a call client: it hands
// in reports and reads policies.
func (s *Server) ClientURL() string { return s.clientURL }

// OperatorURL is where this machine's other programs connect that work on the streams; empty with DontListen. It holds
// the operator's password: do not log it. See OperatorFile.
func (s *Server) OperatorURL() string {
	address, open := strings.CutPrefix(s.ClientURL(), "nats://")
	if !open {
		return ""
	}
	return "nats://" + url.UserPassword(operator, s.password).String() + "@" + address
}

// InProcess is the option that makes a connection reach this server without the network, with the operator's rights.
func (s *Server) InProcess() nats.Option { return s.inProcess(operator) }

// InProcessGate is InProcess for the side of an edge that its clients see.
func (s *Server) InProcessGate() nats.Option { return s.inProcess(gate) }

func (s *Server) inProcess(user string) nats.Option {
	return func(o *nats.Options) error {
		o.User, o.Password = user, s.password
		return nats.InProcessServer(current{s})(o)
	}
}

// Close stops the server and returns when its files are closed and its goroutines have ended.
func (s *Server) Close() error {
	s.closing.Do(func() { close(s.stop) })
	<-s.ended
	shutdown(s.running.Load().Server)
	return s.lock.Release()
}

func shutdown(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// maxMessage is the largest message of the reports' stream: a report and its headers.
const maxMessage = telemetry.MaxReportSize + 1024
