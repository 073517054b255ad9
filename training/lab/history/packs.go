package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/attune-calls/attune/telemetry"
)

// PackReports is the most reports in one pack.
const PackReports = 100

// Packer puts reports into packs, the messages an edge publishes.
type Packer struct {
	Put func(pack []byte) error // takes each full pack; it may keep the bytes
	pack
}

// Add adds a report.
func (p *Packer) Add(report []byte) error {
	if !p.fits(report) {
		if err := p.Flush(); err != nil {
			return err
		}
	}
	p.add(report)
	return nil
}

// Flush ends the pack that is not full yet.
func (p *Packer) Flush() error {
	if p.reports == 0 {
		return nil
	}
	data, _ := p.take()
	return p.Put(data)
}

// pack is one that is being filled.
type pack struct {
	data    []byte
	reports int
}

// fits reports whether there is room for another report. A first one always fits.
func (p *pack) fits(report []byte) bool {
	return p.reports == 0 || p.reports < PackReports && len(p.data)+telemetry.PackedSize(len(report)) <= telemetry.MaxPackSize
}

func (p *pack) add(report []byte) {
	p.data = telemetry.AppendToPack(p.data, report)
	p.reports++
}

// take gives what is packed away, and begins anew.
func (p *pack) take() (data []byte, reports int) {
	data, reports = p.data, p.reports
	*p = pack{}
	return data, reports
}

// fileMagic begins a file of packs. The version is its last byte: 1 = packs, each after its length as a varint
// (unsigned LEB128), as protobuf delimits messages.
const fileMagic = "ATTNPK\x00\x01"

// FileWriter writes packs to a file.
type FileWriter struct {
	w     *bufio.Writer
	begun bool
}

// NewFileWriter writes to w. Call Flush at the end.
func NewFileWriter(w io.Writer) *FileWriter { return &FileWriter{w: bufio.NewWriterSize(w, 1<<18)} }

// Put writes one pack.
func (f *FileWriter) Put(pack []byte) error {
	f.begin()
	var length [binary.MaxVarintLen64]byte
	_, _ = f.w.Write(length[:binary.PutUvarint(length[:], uint64(len(pack)))])
	_, err := f.w.Write(pack) // an earlier error of the buffer shows here too
	return err
}

func (f *FileWriter) begin() {
	if !f.begun {
		f.begun = true
		_, _ = f.w.WriteString(fileMagic)
	}
}

// Flush writes what is buffered.
func (f *FileWriter) Flush() error {
	f.begin()
	return f.w.Flush()
}

// ReadFile gives each pack of a file to take, which must not keep the bytes. A file that is cut short is an error after
// the packs before the cut.
func ReadFile(r io.Reader, take func(pack []byte) error) error {
	in := bufio.NewReader(r)
	magic := make([]byte, len(fileMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != fileMagic {
		return errors.New("not a file of packed reports: write one with \"attune lab run --out\"")
	}
	pack := make([]byte, 0, telemetry.MaxPackSize)
	for n := 0; ; n++ {
		length, err := binary.ReadUvarint(in)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("pack %d: its length is cut short", n)
		case length == 0 || length > telemetry.MaxPackSize:
			return fmt.Errorf("pack %d: %d bytes, want 1 to %d", n, length, telemetry.MaxPackSize)
		}
		pack = pack[:length]
		if _, err := io.ReadFull(in, pack); err != nil {
			return fmt.Errorf("pack %d: %d bytes are announced, and the file ends before", n, length)
		}
		if err := take(pack); err != nil {
			return err
		}
	}
}
