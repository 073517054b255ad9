package telemetry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/attune-calls/attune/telemetry/internal/filelock"
)

// maxSpoolFile is the largest file that is read at all.
const maxSpoolFile = 1 << 30

// spoolFile is the file, owned by its lock.
type spoolFile struct {
	path string
	lock *filelock.Lock
	file *os.File // open for appending; nil until the first write
	size int64
}

// openSpoolFile locks the path and reads what an earlier process left. A file that is no spool stays as it is.
func openSpoolFile(path string) (f *spoolFile, left played, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open spool %s: %w", path, err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, played{}, err
	}
	lock, err := filelock.Acquire(path + ".lock")
	if errors.Is(err, filelock.ErrLocked) {
		return nil, played{}, fmt.Errorf("%w; give each reporter a spool of its own", err)
	}
	if err != nil {
		return nil, played{}, err
	}
	f = &spoolFile{path: path, lock: lock}
	if left, err = f.recover(); err != nil {
		return nil, played{}, errors.Join(err, lock.Release())
	}
	return f, left, nil
}

// recover reads the file, and removes what a process left that died while it rewrote it.
func (f *spoolFile) recover() (left played, err error) {
	content, err := readBounded(f.path)
	if err != nil {
		return played{}, err
	}
	if len(content) > 0 {
		if left, err = playSpool(content); err != nil {
			return played{}, err
		}
		if err := f.open(); err != nil {
			return played{}, err
		}
	}
	return left, removeIfThere(f.next())
}

// next is where the file is written anew before it takes its place.
func (f *spoolFile) next() string { return nextOf(f.path) }

func nextOf(path string) string { return path + ".next" }

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSpoolFile))
	return content, errors.Join(err, file.Close())
}

// append writes framed records at the end and forces them to disk. After an error the file is cut back to what it held;
// where that fails too its end is unknown, and the next write must be a rewrite either way.
func (f *spoolFile) append(records []byte) error {
	_, err := f.file.Write(records)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("write spool %s: %w", f.path, errors.Join(err, f.file.Truncate(f.size)))
	}
	f.size += int64(len(records))
	return nil
}

// rewrite replaces the file's records in one step: after a crash the file holds either the old or the new ones.
func (f *spoolFile) rewrite(records []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("rewrite spool %s: %w", f.path, err)
		}
	}()
	if err := writeDurably(f.next(), append([]byte(spoolMagic), records...)); err != nil {
		return errors.Join(err, removeIfThere(f.next()))
	}
	if err := f.shut(); err != nil {
		return err
	}
	if err := os.Rename(f.next(), f.path); err != nil {
		return errors.Join(err, removeIfThere(f.next()))
	}
	if err := syncDirectory(filepath.Dir(f.path)); err != nil {
		return err
	}
	return f.open()
}

func writeDurably(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Sync(), file.Close())
}

// open opens the file for appending.
func (f *spoolFile) open() error {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size = file, info.Size()
	return nil
}

func (f *spoolFile) shut() error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file, f.size = nil, 0
	return file.Close()
}

// remove deletes the file, and what there is of its next form.
func (f *spoolFile) remove() error {
	if err := errors.Join(f.shut(), removeIfThere(f.path), removeIfThere(f.next())); err != nil {
		return fmt.Errorf("remove spool: %w", err)
	}
	return nil
}

func (f *spoolFile) close() error { return errors.Join(f.shut(), f.lock.Release()) }

// deleteSpool deletes what a Reporter of any version left at path, and nothing else.
func deleteSpool(path string) error {
	file, err := os.Open(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return removeIfThere(nextOf(path))
	case err != nil:
		return fmt.Errorf("delete spool: %w", err)
	}
	magic := make([]byte, len(spoolFamily))
	n, err := io.ReadFull(file, magic)
	_ = file.Close()
	switch {
	case n == 0 && errors.Is(err, io.EOF): // an empty file keeps nothing of anybody
		return nil
	case string(magic[:n]) != spoolFamily:
		return fmt.Errorf("delete spool %s: %w", path, errNoSpool)
	}
	if err := errors.Join(removeIfThere(path), removeIfThere(nextOf(path))); err != nil {
		return fmt.Errorf("delete spool: %w", err)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncDirectory makes a rename durable. Not every file system can; the rename itself has then still happened.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = directory.Sync()
	return directory.Close()
}
