package vnet

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"github.com/attune-calls/attune/model"
)

// Defaults of RelayConfig: the ports of RFC 8656.
const (
	DefaultRelayPort    = 3478
	DefaultRelayTLSPort = 443 // what an operator that blocks all else lets pass
)

// RelayConfig configures a Relay; the zero value is useful.
type RelayConfig struct {
	Port    int    // for UDP and TCP; 0 = DefaultRelayPort
	TLSPort int    // for TLS over TCP; 0 = DefaultRelayTLSPort
	Realm   string // "" = "attune.invalid"
	Secret  string // shared with whoever hands out credentials; "" = a random one
	// LoggerFactory is for the TURN server; nil logs nothing.
	LoggerFactory logging.LoggerFactory
}

// Relay is a TURN server (pion/turn) on a host: over UDP, TCP and TLS, with ephemeral credentials (time-limited HMAC of
// a shared secret, draft-uberti-behave-turn-rest).
type Relay struct {
	host   *Host
	config RelayConfig
	server *turn.Server
	roots  *x509.CertPool

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// NewRelay starts a relay on a host, which is usually one without a profile. Close it before the network.
func NewRelay(host *Host, config RelayConfig) (*Relay, error) {
	if config.Port == 0 {
		config.Port = DefaultRelayPort
	}
	if config.TLSPort == 0 {
		config.TLSPort = DefaultRelayTLSPort
	}
	if config.Realm == "" {
		config.Realm = "attune.invalid"
	}
	if config.Secret == "" {
		var random [16]byte
		if _, err := rand.Read(random[:]); err != nil {
			return nil, fmt.Errorf("start relay: %w", err)
		}
		config.Secret = hex.EncodeToString(random[:])
	}
	if config.LoggerFactory == nil {
		config.LoggerFactory = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
	}
	r := &Relay{host: host, config: config, conns: make(map[net.Conn]struct{})}
	if err := r.listen(); err != nil {
		return nil, fmt.Errorf("start relay on %s: %w", host.IP(), err)
	}
	return r, nil
}

func (r *Relay) listen() (err error) {
	var opened []io.Closer
	defer func() {
		if err != nil {
			for _, o := range opened {
				err = errors.Join(err, o.Close())
			}
		}
	}()
	certificate, roots, err := selfSigned(r.host.addr.AsSlice())
	if err != nil {
		return err
	}
	r.roots = roots
	udp, err := r.host.ListenUDP("udp4", &net.UDPAddr{Port: r.config.Port})
	if err != nil {
		return err
	}
	opened = append(opened, udp)
	plain, err := r.host.ListenTCP("tcp4", &net.TCPAddr{Port: r.config.Port})
	if err != nil {
		return err
	}
	opened = append(opened, plain)
	secure, err := r.host.ListenTCP("tcp4", &net.TCPAddr{Port: r.config.TLSPort})
	if err != nil {
		return err
	}
	opened = append(opened, secure)

	addresses := &turn.RelayAddressGeneratorStatic{
		RelayAddress: r.host.addr.AsSlice(), Address: "0.0.0.0", Net: r.host,
	}
	r.server, err = turn.NewServer(turn.ServerConfig{
		Realm:         r.config.Realm,
		AuthHandler:   turn.NewLongTermAuthHandler(r.config.Secret, r.config.LoggerFactory.NewLogger("turn")),
		LoggerFactory: r.config.LoggerFactory,
		PacketConnConfigs: []turn.PacketConnConfig{
			{PacketConn: udp, RelayAddressGenerator: addresses},
		},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: &trackedListener{plain, r}, RelayAddressGenerator: addresses},
			{
				Listener:              tls.NewListener(&trackedListener{secure, r}, &tls.Config{Certificates: []tls.Certificate{certificate}}),
				RelayAddressGenerator: addresses,
			},
		},
	})
	return err
}

// URL is the address of the relay for a transport: turn: for TransportRelayUDP and TransportRelayTCP, turns: for
// TransportRelayTLS; "" for any other.
func (r *Relay) URL(t model.Transport) string {
	switch t {
	case model.TransportRelayUDP:
		return fmt.Sprintf("turn:%s:%d?transport=udp", r.host.IP(), r.config.Port)
	case model.TransportRelayTCP:
		return fmt.Sprintf("turn:%s:%d?transport=tcp", r.host.IP(), r.config.Port)
	case model.TransportRelayTLS:
		return fmt.Sprintf("turns:%s:%d?transport=tcp", r.host.IP(), r.config.TLSPort)
	}
	return ""
}

// Credentials are a user name and a password that the relay accepts for some time, in whole seconds.
func (r *Relay) Credentials(lifetime time.Duration) (username, password string, err error) {
	username, password, err = turn.GenerateLongTermCredentials(r.config.Secret, lifetime)
	if err != nil {
		return "", "", fmt.Errorf("relay credentials: %w", err)
	}
	return username, password, nil
}

// Roots holds the certificate that the relay's TLS port shows.
func (r *Relay) Roots() *x509.CertPool { return r.roots }

// TLSPort is the port that speaks TLS.
func (r *Relay) TLSPort() int { return r.config.TLSPort }

// Allocations is how many allocations clients hold.
func (r *Relay) Allocations() int { return r.server.AllocationCount() }

// Close ends all allocations and connections.
func (r *Relay) Close() error {
	err := r.server.Close()
	r.mu.Lock()
	conns := r.conns
	r.conns = nil
	r.mu.Unlock()
	for c := range conns {
		_ = c.Close() // closed already, perhaps, by its peer
	}
	return err
}

// trackedListener remembers accepted connections, because turn.Server.Close leaves them open.
type trackedListener struct {
	net.Listener
	relay *Relay
}

func (l *trackedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{c, l.relay}
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	if l.relay.conns == nil {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	l.relay.conns[tracked] = struct{}{}
	return tracked, nil
}

type trackedConn struct {
	net.Conn
	relay *Relay
}

func (c *trackedConn) Close() error {
	c.relay.mu.Lock()
	delete(c.relay.conns, c)
	c.relay.mu.Unlock()
	return c.Conn.Close()
}
