package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/attune-calls/attune/cmd/attune/internal/cli"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// What is imported arrives in the stream as a report, once however often it is imported, with nothing of the dump but
// numbers in it.
func TestImportArrivesOnce(t *testing.T) {
	server, err := broker.Start(broker.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	conn, err := telemetry.Connect(t.Context(), server.ClientURL(), "import-test", nil, server.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := broker.EnsureStream(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}

	archive, err := txtar.ParseFile("testdata/script/import.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "internals.json")
	recent := time.Now().Add(-24 * time.Hour).UTC().Format(time.DateOnly) // younger than any retention limit
	if err := os.WriteFile(dump, bytes.ReplaceAll(archive.Files[0].Data, []byte("2026-11-20"), []byte(recent)), 0o600); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, append(archive.Files[0].Data[:2000:2000], "anna"...), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(more ...string) string {
		var out, errOut bytes.Buffer
		args := append([]string{"import", "--nats", server.ClientURL(), "--data", data, "--region", "DE", dump}, more...)
		if status := cli.Run(args, strings.NewReader(""), &out, &errOut); status != 0 {
			t.Fatalf("status %d: %s", status, errOut.String())
		}
		return out.String()
	}
	if out := run(); !strings.Contains(out, "1 reports with 7 segments") || strings.Contains(out, "already") {
		t.Errorf("first import says %q", out)
	}
	if out := run(); !strings.Contains(out, "1 were in the stream already") {
		t.Errorf("second import says %q", out)
	}
	if out := run("--skip-bad", bad); !strings.Contains(out, "1 were in the stream already") {
		t.Errorf("import with a bad file says %q", out)
	}
	left, err := filepath.Glob(filepath.Join(data, ".import-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	// The network type is part of what tells copies: the same calls under another one would count again.
	unsaid := bytes.ReplaceAll(mustReadFile(t, dump), []byte("networkType"), []byte("networkNoType"))
	if err := os.WriteFile(dump, unsaid, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run("--network-type", "4g"); !strings.Contains(out, "1 imported before with another --network-type") {
		t.Errorf("import under another network type says %q", out)
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs != 1 {
		t.Fatalf("%d messages in the stream, want 1: %v", info.State.Msgs, err)
	}
	message, err := stream.GetMsg(t.Context(), info.State.FirstSeq)
	if err != nil {
		t.Fatal(err)
	}
	var report telemetry.Report
	if err := telemetry.Unmarshal(message.Data, &report); err != nil {
		t.Fatal(err)
	}
	region, _ := model.ParseRegion("DE")
	if report.Origin != telemetry.OriginImport || report.Context.Region != region || report.Context.Network != model.NetworkWiFi {
		t.Errorf("report of origin %v, region %v, network %v", report.Origin, report.Context.Region, report.Context.Network)
	}
	for _, secret := range []string{"anna", "203.0.113.77"} {
		if bytes.Contains(message.Data, []byte(secret)) {
			t.Errorf("the message holds %q", secret)
		}
	}
}

func mustReadFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
