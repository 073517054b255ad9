// Package warehousetest is for tests that need a real ClickHouse server: one for a whole test program, and a database of its
// own for each test.
package warehousetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/attune-calls/attune/telemetry/warehouse"
)

var (
	server    *warehouse.Managed
	databases atomic.Int64
)

// Run starts the server, runs the tests and stops it. TestMain calls it and exits with its status.
func Run(m *testing.M) (status int) {
	err := func() (err error) {
		dir, err := os.MkdirTemp("", "warehousetest")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if server, err = warehouse.StartManaged(context.Background(), warehouse.ManagedConfig{Dir: dir}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		status = m.Run()
		return nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(status, 1)
	}
	return status
}

// Server is the one that Run has started.
func Server() *warehouse.Managed { return server }

// Raw is a plain connection, to look at tables without package warehouse.
func Raw(t testing.TB, dsn string) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Database makes an empty database that lasts as long as the test, and returns its address.
func Database(t testing.TB) (dsn string) {
	t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	conn := Raw(t, server.DSN())
	if err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Exec(context.Background(), "DROP DATABASE "+name); err != nil {
			t.Error(err)
		}
	})
	return strings.TrimSuffix(server.DSN(), "default") + name
}

// Migrated is a warehouse with empty tables in a database of its own, and its address.
func Migrated(t testing.TB) (w *warehouse.Warehouse, dsn string) {
	t.Helper()
	dsn = Database(t)
	w, err := warehouse.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, dsn
}
