package cli

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/attune-calls/attune/telemetry"
)

// stash is a temporary file of encoded reports that wait until all files of an import were read. Each record has its length
// before it; a record of length zero ends what came of one file. A nil stash takes everything and keeps nothing.
type stash struct {
	file *os.File
	out  *bufio.Writer
	in   *bufio.Reader
	size int64
	text []byte
}

func openStash(dir string) (*stash, error) {
	file, err := os.CreateTemp(dir, ".import-*")
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	return &stash{file: file, out: bufio.NewWriter(file)}, nil
}

func (o *stash) write(record []byte) error {
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(record)))
	_, err := o.out.Write(length[:])
	if err == nil {
		_, err = o.out.Write(record)
	}
	if err != nil {
		return fmt.Errorf("keep reports until they are sent: %w", err)
	}
	o.size += int64(len(length) + len(record))
	return nil
}

func (o *stash) put(r *telemetry.Report) (err error) {
	if o == nil {
		return nil
	}
	if o.text, err = r.AppendMarshal(o.text[:0]); err != nil {
		return err
	}
	return o.write(o.text)
}

// end closes what came of one file.
func (o *stash) end() error {
	if o == nil {
		return nil
	}
	return o.write(nil)
}

// mark is a place to go back to.
func (o *stash) mark() int64 {
	if o == nil {
		return 0
	}
	return o.size
}

// back forgets what was put in since mark.
func (o *stash) back(mark int64) error {
	if o == nil {
		return nil
	}
	err := o.out.Flush()
	if err == nil {
		err = o.file.Truncate(mark)
	}
	if err == nil {
		_, err = o.file.Seek(mark, io.SeekStart)
	}
	o.size = mark
	return err
}

// rewind turns from putting to taking.
func (o *stash) rewind() error {
	err := o.out.Flush()
	if err == nil {
		_, err = o.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("keep reports until they are sent: %w", err)
	}
	o.in = bufio.NewReader(o.file)
	return nil
}

// take is the next report; nil when no more came of the file. It is the caller's to keep.
func (o *stash) take() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(o.in, length[:]); err != nil {
		return nil, fmt.Errorf("read reports that wait to be sent: %w", err)
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n == 0 {
		return nil, nil
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(o.in, data); err != nil {
		return nil, fmt.Errorf("read reports that wait to be sent: %w", err)
	}
	return data, nil
}

func (o *stash) close() error {
	return errors.Join(o.file.Close(), os.Remove(o.file.Name()))
}
