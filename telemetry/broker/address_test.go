package broker_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// What clients of TestNothingOfClientsIsKept bring: none of it may be found afterwards.
const (
	clientAddress = "127.113.41.7"
	clientName    = "Berta Musterfrau"
	clientUser    = "+4915550123457"
	clientSubject = "calls.v1.berta@canary.example"
)

// TestNothingOfClientsIsKept has clients come, misbehave and go, and looks for what they are and say wherever the server
// could have put it.
func TestNothingOfClientsIsKept(t *testing.T) {
	var log await.Log
	dir := t.TempDir()
	s := start(t, broker.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	_, operator := connect(t, "", s.InProcess())
	spied := deploy(t, s.ClientURL(), operator)
	spied.from(clientAddress)
	for _, kind := range []string{"authentication error", "publish violation", "subscription violation", "parser error"} {
		if !strings.Contains(log.String(), "fault of a connection: "+kind) {
			t.Errorf("the log does not tell of a %s: did it happen?\n%s", kind, log.String())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	secrets := []string{clientAddress, clientName, clientUser, "berta"}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log contains %q:\n%s", secret, log.String())
		}
	}
	files := searchFiles(t, dir, secrets)
	if files < 5 {
		t.Errorf("only %d files searched", files)
	}
}

// searchFiles looks for secrets in every file and file name, and counts the files.
func searchFiles(t *testing.T, dir string, secrets []string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) || strings.Contains(path, secret) {
				t.Errorf("%s contains %q", path, secret)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return files
}

// from has clients at an address behave well and badly.
func (d *deployment) from(address string) {
	t := d.t
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: 5 * time.Second}
	refused := new(faults)
	conn, err := nats.Connect(d.url, nats.Name(clientName), nats.Dialer(dialer), nats.ErrorHandler(refused.add))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if local := conn.LocalAddr(); !strings.HasPrefix(local, address) {
		t.Fatalf("connected from %s, want %s: the test proves nothing", local, address)
	}
	if answer, err := conn.Request(telemetry.Subject, []byte("a report"), 5*time.Second); err != nil {
		t.Fatal(err)
	} else if !strings.Contains(string(answer.Data), telemetry.Stream) {
		t.Errorf("a report was answered with %s", answer.Data)
	}
	if err := conn.Publish(clientSubject, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.SubscribeSync(clientSubject); err != nil {
		t.Fatal(err)
	}
	refused.take()
	wrong := strings.Replace(d.url, "nats://", "nats://"+clientUser+":secret@", 1)
	if conn, err := nats.Connect(wrong, nats.Name(clientName), nats.Dialer(dialer)); err == nil {
		conn.Close()
		t.Error("a user that does not exist got in")
	}
	for _, nonsense := range []string{"NONSENSE " + clientName, "CONNECT {\"name\":\"" + clientName + "\"}\r\nPUB " + clientSubject + " x\r\n"} {
		raw, err := dialer.Dial("tcp", strings.TrimPrefix(d.url, "nats://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = raw.Write([]byte(nonsense + "\r\n"))
		_ = raw.SetReadDeadline(time.Now().Add(5 * time.Second))
		for b := make([]byte, 512); err == nil; {
			_, err = raw.Read(b) // until the server hangs up
		}
		_ = raw.Close()
	}
}
