package broker

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/attune-calls/attune/telemetry/internal/redact"
)

// log passes the server's warnings and errors on, without addresses. Of a fault of one connection it passes on what kind
// it was and nothing else: such a message quotes the names, subjects and headers that a client chose. Notices tell of
// clients coming and going and are not passed on at all. It is a server.Logger.
type log struct {
	to    *slog.Logger
	fatal chan string // the first fatal fault; the server itself only logs it

	unwritten atomic.Bool // a stream could not write

	mu    sync.Mutex
	fault string // the latest error
}

func newLog(to *slog.Logger) *log {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	return &log{to: to.With("part", "nats-server"), fatal: make(chan string, 1)}
}

// connection is how the server names a connection at the beginning of a message.
var connection = regexp.MustCompile(`\b[a-z]{2,3}:\d+ - `)

// connectionFaults are the kinds of fault that are told of connections, as the server words them.
var connectionFaults = []string{
	"authentication error", "authentication timeout", "authorization", "publish violation", "subscription violation",
	"maximum payload", "maximum connections", "maximum subscriptions", "control line", "slow consumer", "stale connection",
	"parser error", "protocol error", "tls handshake error", "tls required", "write deadline", "header",
}

// text is what may be told of a message.
func text(format string, v []any) string {
	message := fmt.Sprintf(format, v...)
	if !connection.MatchString(message) {
		return redact.Addresses(message)
	}
	message = strings.ToLower(message)
	for _, fault := range connectionFaults {
		if strings.Contains(message, fault) {
			return "fault of a connection: " + fault
		}
	}
	return "fault of a connection: other"
}

// Noticef drops the notice.
func (l *log) Noticef(string, ...any) {}

// Debugf drops the message.
func (l *log) Debugf(string, ...any) {}

// Tracef drops the message.
func (l *log) Tracef(string, ...any) {}

// Warnf passes the warning on, but for one: the server warns of passwords in plain text, because bcrypt does not go
// together with a user whom everyone is. They are in a file of their owner only, or guard nothing.
func (l *log) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords") {
		return
	}
	l.to.Warn(text(format, v))
}

// Errorf passes the error on. The server says in no other way that a stream has met an error in writing, after which it
// refuses everything until the server is started again. The format is the server's own word, whatever a client sends.
func (l *log) Errorf(format string, v ...any) {
	if strings.Contains(format, "ritical write error") {
		l.unwritten.Store(true)
	}
	l.remember(text(format, v))
}

// Fatalf passes the error on and tells Start.
func (l *log) Fatalf(format string, v ...any) {
	message := text(format, v)
	l.remember(message)
	select {
	case l.fatal <- message:
	default:
	}
}

func (l *log) remember(message string) {
	l.to.Error(message)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = message
}

// last is the latest error.
func (l *log) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == "" {
		return "the server gave no reason"
	}
	return l.fault
}
