package warehouse_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// What people ask a managed server, who they say they are and where they come from, is in no log and no table of it,
// unless who has its password asks it to log queries.
func TestManagedKeepsNothingOfThoseWhoAsk(t *testing.T) {
	const secret = "berta-musterfrau"
	dir := t.TempDir()
	server := startManaged(t, dir)
	stranger, err := clickhouse.ParseDSN(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	curious := *stranger
	stranger.Auth.Username = secret
	if conn, err := clickhouse.Open(stranger); err != nil {
		t.Fatal(err)
	} else if err := conn.Ping(t.Context()); err == nil {
		t.Error("a stranger got in")
	} else {
		_ = conn.Close()
	}
	curious.ClientInfo.Products = append(curious.ClientInfo.Products, struct{ Name, Version string }{secret, "1"})
	for _, settings := range []clickhouse.Settings{nil, {"send_logs_level": "trace"}} {
		curious.Settings = settings
		conn, err := clickhouse.Open(&curious)
		if err != nil {
			t.Fatal(err)
		}
		ctx := clickhouse.Context(context.Background(), clickhouse.WithQuotaKey(secret), clickhouse.WithQueryID(secret))
		for _, query := range []string{"SELECT '" + secret + "'", "SELECT '" + secret + "' FROM nothing", "SELECT throwIf(1), '" + secret + "'", "NONSENSE " + secret} {
			_ = conn.Exec(ctx, query) // most of them fail, which is logged elsewhere
		}
		_ = conn.Close()
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s contains what somebody asked", path)
		}
		if filepath.Base(path) == "server.log" && bytes.Contains(content, []byte("127.0.0.1:")) {
			t.Errorf("%s contains an address: %s", path, content)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files searched: %v", files, err)
	}
	for _, table := range []string{"query_log", "query_thread_log", "trace_log", "text_log"} {
		if _, err := os.Stat(filepath.Join(dir, "data", "data", "system", table)); err == nil {
			t.Errorf("there is a system.%s", table)
		}
	}
}
