package warehouse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry/internal/await"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

// parentEnv makes the test binary act as a parent that starts a server in the named directory and waits to be killed.
const parentEnv = "ATTUNE_TEST_MANAGED_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		os.Exit(actAsParent(dir))
	}
	status := warehousetest.Run(m)
	closeEngine()
	os.Exit(status)
}

func actAsParent(dir string) int {
	server, err := warehouse.StartManaged(context.Background(), warehouse.ManagedConfig{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(server.PID())
	select {}
}

func startManaged(t *testing.T, dir string) *warehouse.Managed {
	t.Helper()
	server, err := warehouse.StartManaged(t.Context(), warehouse.ManagedConfig{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func open(t testing.TB, dsn string) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// credentials takes an address apart.
func credentials(t *testing.T, dsn string) (user, password, host string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	password, _ = u.User.Password()
	return u.User.Username(), password, u.Host
}

// alive reports whether pid runs; a zombie does not.
func alive(pid int) bool {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && len(line) > 0
}

// The directory's name has what XML and shells care about.
func TestManagedKeepsDataAndPrivacy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a <b> & 'c'")
	first := startManaged(t, dir)
	w := open(t, first.DSN())
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v; want mode 0700", info.Mode(), err)
	}
	if group, err := syscall.Getpgid(first.PID()); err != nil || group != first.PID() {
		t.Errorf("process group %d (%v) of child %d: a Ctrl-C would reach it", group, err, first.PID())
	}
	_, password, _ := credentials(t, first.DSN())
	for _, name := range []string{"config.xml", "users.xml", "server.log", "console.log"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		if strings.Contains(string(text), password) {
			t.Errorf("%s holds the password", name)
		}
	}
	told := filepath.Join(dir, "server.url")
	if info, err := os.Stat(told); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", told, info, err)
	}
	if dsn, err := warehouse.Running(t.Context(), dir); err != nil || dsn != first.DSN() {
		t.Errorf("the running server is told as %q (%v)", dsn, err)
	}
	wrong := strings.Replace(first.DSN(), password, "hunter2", 1)
	if _, err := warehouse.Open(t.Context(), wrong); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("open with a wrong password: %v", err)
	}
	pid := first.PID()
	if err := errors.Join(w.Close(), first.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	if alive(pid) || first.PID() != 0 {
		t.Fatalf("process %d outlived Close", pid)
	}

	if _, err := os.Stat(told); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v, want no %s", err, told)
	}
	if err := os.WriteFile(told, []byte("clickhouse://default:old@127.0.0.1:1/default\n"), 0o600); err != nil { // a crash leaves one
		t.Fatal(err)
	}
	if dsn, err := warehouse.Running(t.Context(), dir); err != nil || dsn != "" {
		t.Errorf("a server that ended is told as %q (%v)", dsn, err)
	}
	second := startManaged(t, dir)
	if dsn, err := warehouse.Running(t.Context(), dir); err != nil || dsn != second.DSN() {
		t.Errorf("the second server is told as %q (%v)", dsn, err)
	}
	if second.DSN() == first.DSN() {
		t.Error("the password did not change")
	}
	for _, view := range warehouse.ViewNames() { // the server reads its own form of their text when it starts
		if _, err := open(t, second.DSN()).Export(t.Context(), warehouse.Export{View: view, Format: warehouse.FormatCSV}, io.Discard); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	}
	if version, err := open(t, second.DSN()).SchemaVersion(t.Context()); err != nil || version == 0 {
		t.Errorf("schema version %d, %v after a restart; the tables are gone", version, err)
	}
}

func TestManagedOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startManaged(t, dir)
	_, err := warehouse.StartManaged(t.Context(), warehouse.ManagedConfig{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by another running instance") {
		t.Fatalf("second start on the same directory: %v", err)
	}
	if err := open(t, first.DSN()).Ping(t.Context()); err != nil {
		t.Errorf("the refused start harmed the first: %v", err)
	}
}

func TestManagedDiesWithParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.Stderr = t.Output()
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parent.Process.Kill(); _ = parent.Wait() }) // errors when it is gone already
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatalf("child %d does not run", pid)
	}
	if err := parent.Process.Kill(); err != nil { // SIGKILL: the parent can clean up nothing
		t.Fatal(err)
	}
	await.Eventually(t, "the child of a killed parent is gone", func() bool { return !alive(pid) })
	_ = parent.Wait() // its lock goes when the last of its threads has ended
	startManaged(t, dir)
}

// A server whose parent died without the kernel's help is found by its pid file. An unrelated process is not touched.
func TestManagedKillsStale(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startManaged(t, dir)
	binary, err := os.Readlink("/proc/" + strconv.Itoa(first.PID()) + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(dir, "server.pid")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
		if err := os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			t.Fatal(err)
		}
		return cmd
	}

	stale := run(binary, "--config-file="+filepath.Join(dir, "config.xml"))
	await.Eventually(t, "the stale server holds its data", func() bool {
		status, err := os.ReadFile(filepath.Join(dir, "data", "status"))
		return err == nil && strings.Contains(string(status), strconv.Itoa(stale.Process.Pid))
	})
	second := startManaged(t, dir)
	if alive(stale.Process.Pid) {
		t.Error("the stale server still runs")
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}

	bystander := run("sleep", "60")
	startManaged(t, dir)
	if !alive(bystander.Process.Pid) {
		t.Error("a process that is not ours was killed: its pid was in the file")
	}
}

func TestManagedRestartsADeadServer(t *testing.T) {
	t.Parallel()
	server := startManaged(t, t.TempDir())
	w := open(t, server.DSN())
	if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, "the restarted server answers on the same address", func() bool {
		return server.Restarts() == 1 && w.Ping(t.Context()) == nil
	})
}

// The kernel's death signal is tied to the forking thread; see launch. Here the caller's thread ends at once.
func TestManagedSurvivesTheThreadThatStartedIt(t *testing.T) {
	t.Parallel()
	started := make(chan *warehouse.Managed)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		server, err := warehouse.StartManaged(t.Context(), warehouse.ManagedConfig{Dir: t.TempDir()})
		if err != nil {
			t.Error(err)
		}
		started <- server
	}()
	server := <-started
	if server == nil {
		return
	}
	defer func() { _ = server.Close() }()
	time.Sleep(200 * time.Millisecond)
	if err := open(t, server.DSN()).Ping(t.Context()); err != nil || server.Restarts() != 0 {
		t.Errorf("after the starting thread ended: %v, %d restarts", err, server.Restarts())
	}
}

func TestStartManagedErrors(t *testing.T) {
	t.Parallel()
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "clickhouse-server")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		cfg  warehouse.ManagedConfig
		want []string
	}{
		{"no directory", warehouse.ManagedConfig{}, []string{"no directory"}},
		{"directory under a file", warehouse.ManagedConfig{Dir: filepath.Join(file, "x")}, []string{"not a directory"}},
		{"no such binary", warehouse.ManagedConfig{Dir: t.TempDir(), Binary: "no-such-clickhouse"}, []string{"no-such-clickhouse"}},
		{
			"dies at once",
			warehouse.ManagedConfig{Dir: t.TempDir(), Binary: script("echo the disk is made of cheese >&2\nexit 3")},
			[]string{"ended while starting", "exit status 3", "the disk is made of cheese"},
		},
		{
			"never answers",
			warehouse.ManagedConfig{Dir: t.TempDir(), Binary: script("exec sleep 60"), StartTimeout: time.Second},
			[]string{"no answer on 127.0.0.1:"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, err := warehouse.StartManaged(t.Context(), tc.cfg)
			if err == nil {
				_ = server.Close()
				t.Fatal("started")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}
