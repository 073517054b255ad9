package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Warehouse is a connection pool to one ClickHouse database. It is safe for concurrent use.
type Warehouse struct {
	conn     driver.Conn
	where    string // hosts, database and user, for messages; never the password
	database string
	version  driver.ServerVersion
	quorum   bool // inserts wait for the majority of replicas

	lockBeat, lockStale time.Duration // of a migration
}

// Error codes of ClickHouse that get a hint of their own.
const (
	codeTableExists           = 57
	codeUnknownTable          = 60
	codeUnknownDatabase       = 81
	codeUnknownUser           = 192
	codeWrongPassword         = 193
	codeRequiredPassword      = 194
	codeTableIsDropped        = 218
	codeDatabaseAccessDenied  = 291
	codeAuthenticationFailure = 516
)

// Open connects to the database that dsn names, clickhouse://user:password@host:9000/database, over the native
// protocol. Several hosts may be given, separated by commas; clickhouse-go's parameters (secure, dial_timeout,
// compress and so on) may follow a question mark. The error of a server that does not answer says where it was looked
// for and how to start one. No error contains the password.
func Open(ctx context.Context, dsn string) (*Warehouse, error) {
	options, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	w := &Warehouse{
		database: options.Auth.Database, lockBeat: lockBeat, lockStale: lockStale,
		where: fmt.Sprintf("clickhouse at %s, database %s, user %s",
			strings.Join(options.Addr, ", "), options.Auth.Database, options.Auth.Username),
	}
	w.conn, err = clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", w.where, err)
	}
	err = w.conn.Ping(ctx)
	if err == nil {
		var version *driver.ServerVersion
		if version, err = w.conn.ServerVersion(); err == nil {
			w.version = *version
			err = w.askQuorum(ctx)
		}
	}
	if err != nil {
		_ = w.conn.Close()
		return nil, fmt.Errorf("connect to %s: %w; %s", w.where, err, hint(err))
	}
	return w, nil
}

// OpenWhenReady is Open for services: while the server cannot be reached it tells log why and tries again, until ctx
// ends. An address that does not parse, and a server that refuses user, password or database, are errors at once.
func OpenWhenReady(ctx context.Context, dsn string, log *slog.Logger) (*Warehouse, error) {
	if _, err := parseDSN(dsn); err != nil {
		return nil, err
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		w, err := Open(ctx, dsn)
		var exception *clickhouse.Exception
		if err == nil || errors.As(err, &exception) {
			return w, err
		}
		if ctx.Err() == nil {
			log.Warn("the warehouse does not answer, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// parseDSN reads an address. The errors of url.Parse quote their input, password and all, so they are not passed on.
func parseDSN(dsn string) (*clickhouse.Options, error) {
	const want = "want clickhouse://user:password@host:9000/database"
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("clickhouse address does not parse; " + want +
			" (percent-encode special characters in the password)")
	}
	if u.Scheme != "clickhouse" {
		return nil, fmt.Errorf("clickhouse address with scheme %q; %s", u.Scheme, want)
	}
	if u.Host == "" {
		return nil, errors.New("clickhouse address without a host; " + want)
	}
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("clickhouse address for host %s has a wrong parameter; %s", u.Host, want)
	}
	if options.Auth.Database == "" {
		options.Auth.Database = "default"
	}
	if options.Auth.Username == "" {
		options.Auth.Username = "default"
	}
	if !u.Query().Has("dial_timeout") {
		options.DialTimeout = 5 * time.Second
	}
	options.Protocol = clickhouse.Native
	return options, nil
}

// hint says what to do about an error of Open.
func hint(err error) string {
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) {
		return "is the server running, and is this its native port (9000, or 9440 with secure=true)? " +
			"On Debian: apt-get install clickhouse-server && service clickhouse-server start"
	}
	switch exception.Code {
	case codeUnknownDatabase:
		return "create the database first: CREATE DATABASE"
	case codeUnknownUser, codeWrongPassword, codeRequiredPassword, codeDatabaseAccessDenied, codeAuthenticationFailure:
		return "check user and password in the address"
	default:
		return "the server answered with this error"
	}
}

// Close ends all connections.
func (w *Warehouse) Close() error { return w.conn.Close() }

// Ping checks that the server answers.
func (w *Warehouse) Ping(ctx context.Context) error {
	if err := w.conn.Ping(ctx); err != nil {
		return fmt.Errorf("ping %s: %w", w.where, err)
	}
	return nil
}

// Now is the time by the server's clock, in whole seconds.
func (w *Warehouse) Now(ctx context.Context) (time.Time, error) {
	var seconds uint32
	if err := w.conn.QueryRow(ctx, "SELECT toUInt32(now())").Scan(&seconds); err != nil {
		return time.Time{}, fmt.Errorf("ask %s for the time: %w", w.where, err)
	}
	return time.Unix(int64(seconds), 0), nil
}

// ServerVersion is the server's version, for example "18.16.1".
func (w *Warehouse) ServerVersion() string { return w.version.Version.String() }

// tableHint says what to do when the tables are not there.
func tableHint(err error) string {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && exception.Code == codeUnknownTable {
		return "; start `attune ingest` or `attune up` first, they make the tables"
	}
	return ""
}

// strings reads a query of one column of text.
func (w *Warehouse) strings(ctx context.Context, query string) ([]string, error) {
	rows, err := w.conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}
