package getstats

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// Quality estimates a mean opinion score, 1..5; codec.Measured is one.
type Quality interface {
	MOS(in model.QualityInput) float64
}

// Config says what a dump does not.
type Config struct {
	// Quality estimates what a stretch sounded like. Required.
	Quality Quality
	// Context is where the calls were made. Of it the region, the device class, whether bytes cost money, and the network
	// type are used; the network type only where the dump does not tell it.
	Context model.Context
	// Key makes the ids of the reports: the same dump read with the same key gives the same ids, so that reading it twice
	// counts once, and without the key an id says nothing about the dump. Nil draws random ids.
	Key []byte
}

// Summary is what came of a dump.
type Summary struct {
	Format      string // "webrtc-internals" or "rtcstats"
	Bytes       int64  // read, after decompression
	Connections int
	Reports     int
	Segments    int
	// Skipped counts the audio streams that became no report, by reason.
	Skipped map[string]int
}

// errFormat is wrapped by the faults of what is not a dump.
var errFormat = errors.New("not a dump of WebRTC statistics")

var nan = math.NaN()

// magic begins the dumps of rtcstats in format 3.
const magic = "RTCStatsDump"

// Read calls take for each report of a dump; the report is valid during the call only. Its error says what is wrong and at which
// byte, never what the dump holds; what was taken before it is then part of a dump that cannot be trusted: read a dump once
// without taking anything to know that it is whole.
func Read(dump io.Reader, cfg Config, take func(*telemetry.Report) error) (Summary, error) {
	if cfg.Quality == nil {
		return Summary{}, errors.New("read WebRTC statistics: Quality is missing")
	}
	r := &reader{cfg: cfg, take: take, store: newStore(), summary: Summary{Skipped: make(map[string]int)}}
	if err := r.read(dump); err != nil {
		return r.summary, fmt.Errorf("read WebRTC statistics: %w", err)
	}
	return r.summary, nil
}

// reader is the state of one Read.
type reader struct {
	cfg     Config
	take    func(*telemetry.Report) error
	guard   *guard
	json    *json.Decoder
	store   *store
	format  float64 // of rtcstats
	clock   float64 // seconds since 1970: of the latest event of rtcstats
	summary Summary
}

func (r *reader) read(dump io.Reader) error {
	plain, err := decompress(bufio.NewReaderSize(dump, 64<<10))
	if err != nil {
		return err
	}
	head, _ := plain.Peek(len(magic) + 1)
	switch {
	case len(head) == 0:
		return fmt.Errorf("%w: it is empty", errFormat)
	case bytes.HasPrefix(head, []byte(magic)):
		_, _ = plain.Discard(len(magic))
	case bytes.TrimLeft(head, "\ufeff \t\r\n") == nil || !bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")):
		return fmt.Errorf("%w: it begins neither with %q nor with a JSON object; want what chrome://webrtc-internals or rtcstats saved", errFormat, magic)
	}
	r.guard = &guard{from: plain}
	r.json = json.NewDecoder(r.guard)
	defer func() { r.summary.Bytes = r.json.InputOffset() }()
	if err := r.header(); err != nil {
		return err
	}
	if r.summary.Format == "webrtc-internals" {
		return nil
	}
	r.summary.Format = "rtcstats"
	events := 0
	for ; r.json.More(); events++ {
		if err := r.event(); err != nil {
			return err
		}
	}
	if r.guard.fault != nil { // the decoder hides it from who only asks whether more follows
		return r.guard.fault
	}
	if events == 0 {
		return fmt.Errorf("%w: a JSON object with neither PeerConnections nor events after it", errFormat)
	}
	for _, id := range slices.Clone(r.store.order) { // never closed
		if err := r.close(id); err != nil {
			return err
		}
	}
	return nil
}

// decompress looks for gzip.
func decompress(dump *bufio.Reader) (*bufio.Reader, error) {
	if head, _ := dump.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return dump, nil
	}
	plain, err := gzip.NewReader(dump)
	if err != nil {
		return nil, fmt.Errorf("%w: gzip: %w", errFormat, err)
	}
	return bufio.NewReaderSize(plain, 64<<10), nil
}

// header reads the first object: all of webrtc-internals, or the metadata of rtcstats.
func (r *reader) header() error {
	return r.object(func(key string) error {
		switch key {
		case "PeerConnections":
			r.summary.Format = "webrtc-internals"
			return r.internals()
		case "fileFormat":
			var err error
			r.format, err = r.number()
			return err
		}
		return r.skip()
	})
}

// close turns what a connection said into reports and forgets it.
func (r *reader) close(id string) error {
	c := r.store.connections[id]
	if c == nil {
		return nil
	}
	r.summary.Connections++
	err := r.reports(c)
	r.store.drop(id)
	return err
}
