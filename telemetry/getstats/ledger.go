package getstats

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/filelock"
)

// Ledger makes what is imported count once. It has the key of the ids, and remembers of each report the network type and the
// hour it was sent with: the warehouse knows copies by day, network type and id, so the same calls under another network type
// would count again.
type Ledger struct {
	key   []byte
	known map[telemetry.ReportID]entry
	file  *os.File
	lock  *filelock.Lock
}

// entry is what the caller may have said about a report otherwise another time.
type entry struct {
	hour    uint32
	network model.NetworkType
}

const (
	keySize   = 32
	entrySize = 16 + 4 + 1 // id, hour, network type
)

// OpenLedger opens the ledger in a directory, or makes one: import.key and import.known. What is older than the hour oldest
// is forgotten. One process at a time may have it. Close must be called.
func OpenLedger(dir string, oldest uint32) (_ *Ledger, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the ledger of imports: %w", err)
	}
	lock, err := filelock.Acquire(filepath.Join(dir, "import.lock"))
	if err != nil {
		return nil, fmt.Errorf("open the ledger of imports: %w", err)
	}
	l := &Ledger{lock: lock, known: make(map[telemetry.ReportID]entry)}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.key, err = ledgerKey(filepath.Join(dir, "import.key")); err != nil {
		return nil, err
	}
	if err := l.load(filepath.Join(dir, "import.known"), oldest); err != nil {
		return nil, fmt.Errorf("open the ledger of imports: %w", err)
	}
	return l, nil
}

// ledgerKey reads the key, or draws one.
func ledgerKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	switch {
	case err == nil && len(key) != keySize:
		return nil, fmt.Errorf("%s has %d bytes, want %d: delete it to make a new one (files imported before would count again)", file, len(key), keySize)
	case err == nil:
		return key, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the key of imports: %w", err)
	}
	key = make([]byte, keySize)
	rand.Read(key)
	if err := os.WriteFile(file, key, 0o600); err != nil {
		return nil, fmt.Errorf("write the key of imports: %w", err)
	}
	return key, nil
}

// load reads the entries and leaves the file with those that are still of use; half an entry at the end is of a crash.
func (l *Ledger) load(path string, oldest uint32) error {
	all, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var kept bytes.Buffer
	for ; len(all) >= entrySize; all = all[entrySize:] {
		e := entry{hour: binary.LittleEndian.Uint32(all[16:]), network: model.NetworkType(all[20])}
		if e.hour >= oldest {
			l.known[telemetry.ReportID(all[:16])] = e
			kept.Write(all[:entrySize])
		}
	}
	if err := os.WriteFile(path+".new", kept.Bytes(), 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	l.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

// Key is for Config.Key.
func (l *Ledger) Key() []byte { return l.key }

// Enter notes a report that is about to be sent. It is false, and nothing is noted, when the report was sent before with
// another network type or hour.
func (l *Ledger) Enter(r *telemetry.Report) (bool, error) {
	e := entry{hour: r.Hour, network: r.Context.Network}
	if was, ok := l.known[r.ID]; ok {
		return was == e, nil
	}
	line := binary.LittleEndian.AppendUint32(append(make([]byte, 0, entrySize), r.ID[:]...), e.hour)
	if _, err := l.file.Write(append(line, byte(e.network))); err != nil {
		return false, fmt.Errorf("write the ledger of imports: %w", err)
	}
	l.known[r.ID] = e
	return true, nil
}

// Close forces what was noted to the disk and gives the ledger back.
func (l *Ledger) Close() error {
	var err error
	if l.file != nil {
		err = errors.Join(l.file.Sync(), l.file.Close())
	}
	if err = errors.Join(err, l.lock.Release()); err != nil {
		return fmt.Errorf("close the ledger of imports: %w", err)
	}
	return nil
}
