package getstats

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

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
	// Codec is that of streams whose dump does not name one; unknown leaves them out. A stream that is not said to be audio or
	// video is then taken to be audio.
	Codec model.Codec
	// Transport is that of streams whose dump does not tell the path; unknown leaves them out.
	Transport model.Transport
	// Began is when a recording began that counts time from its own beginning, as tables do. Default: now.
	Began time.Time
	// Key makes the ids of the reports: the same dump read with the same key gives the same ids, so that reading it twice
	// counts once, and without the key an id says nothing about the dump. Nil draws random ids.
	Key []byte
}

// Summary is what came of a dump.
type Summary struct {
	Format      string // "webrtc-internals", "rtcstats" or "table"
	Bytes       int64  // read, after decompression
	Connections int
	Streams     int // audio streams that became reports: one each, or more when they were long
	Reports     int
	Segments    int
	// Skipped counts the streams that became no report, by reason.
	Skipped map[string]int
	// Odd counts values, series and lines that are not of the form and were passed over, such as NaN.
	Odd int
}

// The values of Summary.Format.
const (
	formatInternals = "webrtc-internals"
	formatLines     = "rtcstats"
	formatTable     = "table"
)

var nan = math.NaN()

// magic begins the dumps of rtcstats in format 3.
const magic = "RTCStatsDump"

// Read calls take for each report of a dump; the report is valid during the call only. Its error says what is wrong and at which
// byte, never what the dump holds; what was taken before it is then part of a dump that cannot be trusted: use nothing of a
// dump before all of it was read.
func Read(dump io.Reader, cfg Config, take func(*telemetry.Report) error) (Summary, error) {
	if cfg.Quality == nil {
		return Summary{}, errors.New("read WebRTC statistics: Quality is missing")
	}
	r := &reader{cfg: cfg, take: take, store: newStore(), began: cfg.Began, summary: Summary{Skipped: make(map[string]int)}}
	if r.began.IsZero() {
		r.began = time.Now()
	}
	if err := r.read(dump); err != nil {
		return r.summary, fmt.Errorf("read WebRTC statistics: %w", err)
	}
	return r.summary, nil
}

// reader is the state of one Read.
type reader struct {
	cfg     Config
	take    func(*telemetry.Report) error
	json    scanner
	store   *store
	known   bool      // to be rtcstats: by its metadata, or by an event
	format  float64   // of rtcstats
	clock   float64   // seconds since 1970: of the latest event of rtcstats
	began   time.Time // of a table
	summary Summary
}

func (r *reader) read(dump io.Reader) error {
	plain, err := decompress(bufio.NewReaderSize(dump, 64<<10))
	if err != nil {
		return err
	}
	r.json = scanner{in: plain}
	defer func() { r.summary.Bytes = r.json.at }()
	if head, _ := plain.Peek(3); bytes.Equal(head, []byte("\ufeff")) {
		r.json.pass(3)
	}
	head, _ := plain.Peek(len(tableHeader))
	switch {
	case string(head) == tableHeader:
		line, err := plain.ReadSlice('\n')
		r.json.at += int64(len(line))
		if err != nil {
			return r.json.ended(err)
		}
		return r.table()
	case bytes.HasPrefix(head, []byte(magic)):
		r.json.pass(len(magic))
		r.known, r.summary.Format = true, formatLines
	}
	switch b, err := r.json.peek(); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it is empty", errFormat)
	case err != nil:
		return r.json.ended(err)
	case b == '[': // events without metadata
	case b != '{':
		return fmt.Errorf("%w: it begins neither with %q nor with JSON; want what chrome://webrtc-internals or rtcstats saved", errFormat, magic)
	default:
		if err := r.header(); err != nil {
			return err
		}
	}
	if r.summary.Format == formatInternals {
		if _, err := r.json.peek(); !errors.Is(err, io.EOF) {
			if err != nil {
				return r.json.ended(err)
			}
			return r.json.fault("something follows the dump")
		}
		return nil
	}
	return r.events()
}

// events reads all of rtcstats but its metadata.
func (r *reader) events() error {
	for {
		b, err := r.json.peek()
		switch {
		case errors.Is(err, io.EOF):
			if !r.known {
				return fmt.Errorf("%w: JSON with neither PeerConnections nor events of rtcstats in it", errFormat)
			}
			r.summary.Format = formatLines
			for _, id := range slices.Clone(r.store.order) { // never closed
				if err := r.close(id); err != nil {
					return err
				}
			}
			return nil
		case err != nil:
			return r.json.ended(err)
		case b == '[':
			err = r.event()
		default:
			r.summary.Odd++
			err = r.json.skip()
		}
		if err != nil {
			return err
		}
	}
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
	return r.json.object(func(key string) error {
		switch key {
		case "PeerConnections":
			r.summary.Format = formatInternals
			return r.internals()
		case "fileFormat":
			v, err := r.json.value(maxName)
			if v.number > 0 {
				r.format, r.known = v.number, true
			}
			return err
		}
		return r.json.skip()
	})
}

// text reads a short string; another kind of value leaves it as it was.
func (r *reader) text(into *string) error {
	v, err := r.json.value(maxName)
	if v.text != "" {
		*into = v.text
	}
	return err
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
