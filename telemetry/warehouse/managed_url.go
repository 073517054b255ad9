package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// urlFile lets other programs of the same user ask a running server: one line, its DSN, in a file and a directory that
// nobody else may read. It is there from when the server first answers until it is closed. One that a crash left behind
// is told by the directory's lock, which no process holds then, and is removed by the next StartManaged.
const urlFile = "server.url"

// runningWait is how long Running waits for a server that is just starting, or ending.
const runningWait = 20 * time.Second

// Running is the DSN of the server that a Managed of another process, or of this one, runs in dir; empty when none does.
// It contains the password: do not log it. While the server starts or ends Running waits.
func Running(ctx context.Context, dir string) (dsn string, err error) {
	for deadline := time.Now().Add(runningWait); ; {
		locked, err := directoryLocked(dir)
		if err != nil || !locked {
			return "", err
		}
		text, err := os.ReadFile(filepath.Join(dir, urlFile))
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("managed clickhouse: %w", err)
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("managed clickhouse: %s is in use by another process, whose server does not answer; try again, or stop that process", dir)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// directoryLocked tells whether some process has a server in dir.
func directoryLocked(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("managed clickhouse: %w", err)
	}
	defer func() { _ = f.Close() }()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("managed clickhouse: lock %s: %w", dir, err)
	}
	unlockDirectory(f)
	return false, nil
}

// tellURL writes the file.
func (m *Managed) tellURL() error {
	temporary := filepath.Join(m.dir, urlFile+".new")
	err := os.WriteFile(temporary, []byte(m.DSN()+"\n"), 0o600)
	if err == nil {
		err = os.Rename(temporary, filepath.Join(m.dir, urlFile))
	}
	if err != nil {
		return fmt.Errorf("managed clickhouse: %w", err)
	}
	return nil
}

// removeURL removes the file, of this or an earlier server.
func removeURL(dir string) error {
	err := os.Remove(filepath.Join(dir, urlFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("managed clickhouse: %w", err)
	}
	return nil
}
