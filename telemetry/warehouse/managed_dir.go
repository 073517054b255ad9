package warehouse

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// The files of a managed server's directory.
const (
	configFile  = "config.xml"
	usersFile   = "users.xml"
	logFile     = "server.log"
	consoleFile = "console.log" // what the server prints before its log is open
	pidFile     = "server.pid"
	lockFile    = "lock"
)

// findBinary resolves the server to run.
func findBinary(name string) (string, error) {
	if name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("managed clickhouse: %w", err)
		}
		return path, nil
	}
	// An ordinary user's PATH often lacks /usr/sbin, where Debian puts the server.
	for _, name := range []string{"clickhouse-server", "clickhouse"} {
		for _, dir := range []string{"", "/usr/sbin", "/usr/bin", "/usr/local/bin"} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return filepath.Abs(path)
			}
		}
	}
	return "", errors.New("managed clickhouse: no clickhouse-server or clickhouse on PATH; " +
		"install it (on Debian: apt-get install clickhouse-server) or name an external server")
}

// serverArgs is how a binary is told to run as a server in dir. A name without "server" is the multi-tool.
func serverArgs(binary, dir string) []string {
	args := []string{"--config-file=" + filepath.Join(dir, configFile)}
	if !strings.Contains(filepath.Base(binary), "server") {
		args = append([]string{"server"}, args...)
	}
	return args
}

// privateDirectory creates dir if need be, closes it to others and returns its absolute path without symbolic links,
// so that one directory has one name on the command line of the child.
func privateDirectory(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("managed clickhouse: %w", err)
	}
	for _, d := range []string{dir, filepath.Join(dir, "data"), filepath.Join(dir, "tmp"), filepath.Join(dir, "files")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", fmt.Errorf("managed clickhouse: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return "", fmt.Errorf("managed clickhouse: %w", err)
	}
	return filepath.EvalSymlinks(dir)
}

// How often, and how long after another, a lock that is taken is tried again.
const (
	lockAttempts = 10
	lockPause    = 10 * time.Millisecond
)

// lockDirectory makes this process the only one with a server in dir. The lock goes with the process, and Go opens
// files close-on-exec, so the child does not inherit it.
func lockDirectory(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("managed clickhouse: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for range lockAttempts { // a process that looks whether there is a server holds it for an instant
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		time.Sleep(lockPause)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("managed clickhouse: %s is in use by another running instance; "+
				"stop it or choose another directory", dir)
		}
		return nil, fmt.Errorf("managed clickhouse: lock %s: %w", dir, err)
	}
	return f, nil
}

// unlockDirectory gives the lock up although a process that this one is just starting may still have the file open:
// between its fork and its exec.
func unlockDirectory(lock *os.File) {
	raw, err := lock.SyscallConn()
	if err != nil { // closed
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = syscall.Flock(int(fd), syscall.LOCK_UN) })
}

// The root tag <yandex> is the only one old servers know; current ones treat it as <clickhouse>. Ports that are not
// named are not opened, and system log tables that are not named are not kept. The short poll interval is for the end: an
// idle connection looks for a shutdown only that often, and the server waits for it. The parts of the server that talk to
// clients write no log: theirs would hold addresses, user names and queries.
var configTemplate = template.Must(template.New(configFile).Funcs(template.FuncMap{"xml": escapeXML}).Parse(
	`<?xml version="1.0"?>
<yandex>
    <logger>
        <level>warning</level>
        <log>{{xml .Dir}}/` + logFile + `</log>
        <size>10M</size>
        <count>2</count>
        <levels>
            <executeQuery>none</executeQuery>
            <ServerErrorHandler>none</ServerErrorHandler>
            <TCPHandler>none</TCPHandler>
            <TCPHandlerFactory>none</TCPHandlerFactory>
            <TCP-Session>none</TCP-Session>
        </levels>
    </logger>
    <listen_host>127.0.0.1</listen_host>
    <tcp_port>{{.Port}}</tcp_port>
    <path>{{xml .Dir}}/data/</path>
    <tmp_path>{{xml .Dir}}/tmp/</tmp_path>
    <user_files_path>{{xml .Dir}}/files/</user_files_path>
    <format_schema_path>{{xml .Dir}}/files/</format_schema_path>
    <users_config>{{xml .Dir}}/` + usersFile + `</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <timezone>UTC</timezone>
    <mlock_executable>false</mlock_executable>
    <max_connections>256</max_connections>
    <max_concurrent_queries>64</max_concurrent_queries>
    <mark_cache_size>67108864</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <shutdown_wait_unfinished>2</shutdown_wait_unfinished>
</yandex>
`))

var usersTemplate = template.Must(template.New(usersFile).Parse(`<?xml version="1.0"?>
<yandex>
    <profiles>
        <default>
            <max_memory_usage>4000000000</max_memory_usage>
            <poll_interval>1</poll_interval>
            <log_queries>0</log_queries>
        </default>
    </profiles>
    <users>
        <default>
            <password_sha256_hex>{{.PasswordHash}}</password_sha256_hex>
            <networks>
                <ip>127.0.0.1</ip>
            </networks>
            <profile>default</profile>
            <quota>default</quota>
        </default>
    </users>
    <quotas>
        <default></default>
    </quotas>
</yandex>
`))

// writeConfig writes both configuration files, which have the hash of the password.
func writeConfig(dir string, port int, password string) error {
	values := struct {
		Dir          string
		Port         int
		PasswordHash string
	}{dir, port, fmt.Sprintf("%x", sha256.Sum256([]byte(password)))}
	for _, t := range []*template.Template{configTemplate, usersTemplate} {
		var b bytes.Buffer
		if err := t.Execute(&b, values); err != nil {
			return fmt.Errorf("managed clickhouse: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, t.Name()), b.Bytes(), 0o600); err != nil {
			return fmt.Errorf("managed clickhouse: %w", err)
		}
	}
	return nil
}

func escapeXML(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// logTail is the end of what the server wrote, for an error message; empty when it wrote nothing.
func logTail(dir string) string {
	const maxBytes, maxLines = 4096, 12
	for _, name := range []string{logFile, consoleFile} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if info, err := f.Stat(); err == nil && info.Size() > maxBytes {
			_, _ = f.Seek(-maxBytes, io.SeekEnd)
		}
		text, _ := io.ReadAll(f)
		_ = f.Close()
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(lines) > maxLines {
			lines = lines[len(lines)-maxLines:]
		}
		if tail := strings.Join(lines, "\n"); tail != "" {
			return fmt.Sprintf("; the end of %s:\n%s", filepath.Join(dir, name), tail)
		}
	}
	return ""
}
