package warehouse_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry/internal/await"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

var update = flag.Bool("update", false, "write the schema files in testdata")

// The tables of a released schema version never change: a change needs a new version and a migration from the old. They
// are made from the names in package model, so this also fails when those change. Views may change: they are made again.
func TestSchemaIsFrozen(t *testing.T) {
	t.Parallel()
	plain := warehouse.Tables(18, 16)
	got := strings.Join(plain, ";\n\n") + ";\n"
	path := filepath.Join("testdata", fmt.Sprintf("schema_%d.sql", warehouse.SchemaVersionForTest))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the tables of schema version %d changed; raise schemaVersion and add a migration:\n%s",
			warehouse.SchemaVersionForTest, diff)
	}
}

func TestMigrateTwiceAndTogether(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.Database(t)
	w := open(t, dsn)
	if version, err := w.SchemaVersion(t.Context()); err != nil || version != 0 {
		t.Fatalf("an empty database has schema version %d, %v", version, err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			other := open(t, dsn)
			if err := other.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := w.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if version, err := w.SchemaVersion(t.Context()); err != nil || version != warehouse.SchemaVersionForTest {
		t.Errorf("schema version %d, %v", version, err)
	}
	insert(t, w, randomReports(rand.New(rand.NewPCG(17, 18)), 3, 3)...)
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	w, conn := migrated(t)
	if err := conn.Exec(t.Context(), "INSERT INTO schema_version (version, about, applied) SELECT 99, 'tomorrow', now()"); err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func() error{
		"migrate": func() error { return w.Migrate(t.Context()) },
		"ask":     func() error { _, err := w.Ask(t.Context(), warehouse.Queries()[0]); return err },
		"export": func() error {
			_, err := w.Export(t.Context(), warehouse.Export{View: "segments", Format: warehouse.FormatCSV}, io.Discard)
			return err
		},
	} {
		err := use()
		var newer *warehouse.NewerSchemaError
		if !errors.As(err, &newer) || newer.Version != 99 || !strings.Contains(err.Error(), "upgrade this program") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestInsertWithoutTables(t *testing.T) {
	t.Parallel()
	w := open(t, warehousetest.Database(t))
	err := w.Insert(t.Context(), randomReports(rand.New(rand.NewPCG(19, 20)), 1, 1))
	if err == nil || !strings.Contains(err.Error(), "they make the tables") {
		t.Errorf("got %v", err)
	}
	if _, err := w.Counts(t.Context()); err == nil || !strings.Contains(err.Error(), "they make the tables") {
		t.Errorf("got %v", err)
	}
	// The connection is not lost to the failed batch.
	for range 40 {
		if err := w.Insert(t.Context(), randomReports(rand.New(rand.NewPCG(19, 20)), 1, 1)); err == nil {
			t.Fatal("inserted without a table")
		}
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	_, password, host := credentials(t, warehousetest.Server().DSN())
	for _, tc := range []struct {
		name, dsn string
		want      []string
	}{
		{"not a url", "clickhouse://u:s3cret%zz@h:9000/d", []string{"does not parse", "clickhouse://user:password@host:9000/database"}},
		{"scheme", "http://u:s3cret@h:8123/d", []string{`scheme "http"`}},
		{"no host", "clickhouse://", []string{"without a host"}},
		{"parameter", "clickhouse://u:s3cret@h:9000/d?dial_timeout=s3cret", []string{"host h:9000", "wrong parameter"}},
		{"nobody there", "clickhouse://u:s3cret@" + nobody + "/calls", []string{nobody, "database calls", "user u", "is the server running"}},
		{"password", "clickhouse://default:s3cret@" + host + "/default", []string{host, "check user and password"}},
		{"user", "clickhouse://nobody:s3cret@" + host + "/default", []string{"user nobody", "check user and password"}},
		{"database", "clickhouse://default:" + password + "@" + host + "/nowhere", []string{"database nowhere", "CREATE DATABASE"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			w, err := warehouse.Open(ctx, tc.dsn)
			if err == nil {
				_ = w.Close()
				t.Fatal("opened")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), password) {
				t.Errorf("error %q holds the password", err)
			}
		})
	}
}

func TestOpenWhenReady(t *testing.T) {
	t.Parallel()
	// A port that starts to listen late, and then leads to the server.
	_, password, host := credentials(t, warehousetest.Server().DSN())
	reserved, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	_ = reserved.Close()
	var told atomic.Int32
	log := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		if strings.Contains(string(b), password) {
			t.Errorf("the log holds the password: %s", b)
		}
		told.Add(1)
		return len(b), nil
	}), nil))
	opened := make(chan error, 1)
	go func() {
		w, err := warehouse.OpenWhenReady(t.Context(), "clickhouse://default:"+password+"@"+address+"/default", log)
		if err == nil {
			err = w.Close()
		}
		opened <- err
	}()
	await.Eventually(t, "two tries have failed", func() bool { return told.Load() >= 2 })
	forward(t, address, host)
	if err := <-opened; err != nil {
		t.Error(err)
	}

	if _, err := warehouse.OpenWhenReady(t.Context(), "clickhouse://default:wrong@"+host+"/default", log); err == nil {
		t.Error("a wrong password was waited out")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := warehouse.OpenWhenReady(ctx, "clickhouse://u:p@127.0.0.1:1/default", log); err == nil {
		t.Error("opened nothing")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// forward listens on one address and passes everything on to another until the test ends.
func forward(t *testing.T, from, to string) {
	t.Helper()
	listener, err := net.Listen("tcp4", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp4", to)
			if err != nil {
				_ = in.Close()
				return
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
}
