package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry/internal/redact"
)

// connectionName is what a connection may be called. The server shows the name to its operators, so it can say what a
// program does and has no room for who uses it: no digits, no capitals, no dots.
var connectionName = regexp.MustCompile(`^[a-z]+(-[a-z]+){0,3}$`)

const (
	maxConnectionName = 32
	defaultAckTimeout = 10 * time.Second
	reconnectWait     = 500 * time.Millisecond
	reconnectJitter   = 500 * time.Millisecond
	writeTimeout      = 5 * time.Second
)

// Connect opens a connection that never gives up: it returns after one try, whether or not a server answers yet, and
// connects again whenever the connection is lost, until it is closed. The name says what the program does, in lower-case
// words joined by hyphens, and nothing about its user. The logger (nil for none) is told of losses and returns, without
// addresses. Options are applied last.
func Connect(ctx context.Context, server, name string, logger *slog.Logger, options ...nats.Option) (*nats.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if len(name) > maxConnectionName || !connectionName.MatchString(name) {
		return nil, fmt.Errorf("connection name %q: want up to four lower-case words joined by hyphens, such as attune-ingest", name)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	all := []nats.Option{
		nats.Name(name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(20 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) { logger.Debug("connected to NATS", "as", name) }),
		nats.ReconnectHandler(func(*nats.Conn) { logger.Info("connected to NATS again", "as", name) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("connection to NATS lost", "as", name, "fault", redact.Addresses(err.Error()))
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			logger.Warn("NATS reports a fault", "as", name, "fault", redact.Addresses(err.Error()))
		}),
	}
	conn, err := nats.Connect(server, append(all, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", withoutCredentials(server), err)
	}
	return conn, nil
}

// ConnectWithin is Connect, and returns an error that says what to do when no server answers within the time. Once it
// has succeeded, the connection never gives up.
func ConnectWithin(ctx context.Context, within time.Duration, server, name string, logger *slog.Logger, options ...nats.Option) (*nats.Conn, error) {
	conn, err := Connect(ctx, server, name, logger, options...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	changed := conn.StatusChanged(nats.CONNECTED)
	defer conn.RemoveStatusListener(changed)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !conn.IsConnected() {
		select {
		case <-changed:
		case <-tick.C:
			if err := conn.LastError(); errors.Is(err, nats.ErrAuthorization) {
				conn.Close()
				return nil, fmt.Errorf("connect to NATS at %s: %w: check user and password in the URL, nats://user:password@host:4222",
					withoutCredentials(server), nats.ErrAuthorization)
			}
		case <-ctx.Done():
			err := conn.LastError()
			conn.Close()
			return nil, unreachable(server, within, err, ctx.Err())
		}
	}
	return conn, nil
}

func unreachable(server string, within time.Duration, fault, over error) error {
	where := withoutCredentials(server)
	if errors.Is(over, context.Canceled) {
		return fmt.Errorf("connect to NATS at %s: %w", where, over)
	}
	if fault == nil {
		fault = over
	}
	return fmt.Errorf(
		"connect to NATS at %s: no answer within %v: %w; start one with `attune up` or `nats-server --jetstream`, or name yours with --nats",
		where, within, fault,
	)
}

// withoutCredentials is a server's URL as it may be shown.
func withoutCredentials(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "the given URL"
	}
	return u.Scheme + "://" + u.Host
}

// NewPublisher is the JetStream context to give a Reporter: it forgets acknowledgements that never came, and allows the
// Reporter's whole window.
func NewPublisher(conn *nats.Conn) (jetstream.JetStream, error) {
	js, err := jetstream.New(conn,
		jetstream.WithPublishAsyncMaxPending(2*MaxWindow),
		jetstream.WithPublishAsyncTimeout(2*defaultAckTimeout))
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	return js, nil
}
