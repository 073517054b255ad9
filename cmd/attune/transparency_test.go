package main_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/attune-calls/attune/cmd/attune/internal/cli"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// TestTransparencyOfAnUnknownColumn runs the verb on an external server, before and after somebody has added a column to
// the table of reports.
func TestTransparencyOfAnUnknownColumn(t *testing.T) {
	server, err := warehouse.StartManaged(t.Context(), warehouse.ManagedConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	w, err := warehouse.Open(t.Context(), server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	run := func() (status int, page, said string) {
		dir := t.TempDir()
		var out, errOut bytes.Buffer
		status = cli.Run([]string{"transparency", "--clickhouse", server.DSN(), "--data", filepath.Join(dir, "data"), "--out", dir}, nil, &out, &errOut)
		text, err := os.ReadFile(filepath.Join(dir, "report.html"))
		if err != nil && status == 0 {
			t.Fatal(err)
		}
		return status, string(text), errOut.String()
	}
	if status, _, said := run(); status != 1 || !strings.Contains(said, "has no tables") {
		t.Errorf("status %d, said %q, of a database without tables", status, said)
	}
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, page, said := run(); status != 0 || said != "" || strings.Contains(page, `class="unknown"`) {
		t.Errorf("status %d, said %q, of a database as it is made", status, said)
	}

	options, err := clickhouse.ParseDSN(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := conn.Exec(ctx, "ALTER TABLE calls ADD COLUMN caller String"); err != nil {
		t.Fatal(err)
	}
	status, page, said := run()
	if status != 1 || !strings.Contains(said, "column calls.caller") || !strings.Contains(said, "String") {
		t.Errorf("status %d, said %q", status, said)
	}
	if !strings.Contains(page, `<tr class="unknown"><td><code>caller</code>`) || strings.Contains(said, server.DSN()) {
		t.Error("the page does not show the column, or the password is told")
	}
}
