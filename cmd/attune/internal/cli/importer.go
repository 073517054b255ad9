package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
)

// importer reads files into a stash and sends what is in it. Without a stream it counts.
type importer struct {
	stream  jetstream.JetStream
	ledger  *getstats.Ledger
	waiting *stash
	now     time.Time
	oldest  uint32 // hour before which ingest takes nothing

	skipBad bool

	sizes              int64 // of all files
	bytes, ready, sent atomic.Int64
}

// progress is how far it is, for a terminal.
func (i *importer) progress() string {
	if sent := i.sent.Load(); sent > 0 {
		return fmt.Sprintf("sent %d of %d reports", sent, i.ready.Load())
	}
	return fmt.Sprintf("%3.0f %% read, %d reports", 100*float64(i.bytes.Load())/float64(max(i.sizes, 1)), i.ready.Load())
}

// readAll reads each file once. The first one that cannot be read ends it, unless bad ones are skipped: of them nothing is
// taken.
func (i *importer) readAll(ctx context.Context, files []string, cfg getstats.Config) ([]imported, error) {
	results := make([]imported, len(files))
	bad := 0
	for n, file := range files {
		err := i.read(ctx, &results[n], file, cfg)
		if err == nil {
			continue
		}
		if !i.skipBad || ctx.Err() != nil {
			hint := ""
			if len(files) > 1 {
				hint = "; nothing was sent: leave it out, or go on without bad files with --skip-bad"
			}
			return nil, fmt.Errorf("%w%s", err, hint)
		}
		results[n] = imported{File: file, Error: err.Error()}
		bad++
	}
	if bad == len(files) {
		return nil, errors.New("import: none of the files can be read")
	}
	return results, nil
}

// read reads one file. Its reports wait to be sent when all of it was read.
func (i *importer) read(ctx context.Context, result *imported, file string, cfg getstats.Config) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("import: %w", err)
	case info.IsDir():
		return fmt.Errorf("import %s: it is a directory; name the files in it", file)
	case cfg.Began.IsZero():
		cfg.Began = info.ModTime()
	}
	*result = imported{File: file}
	ready := i.ready.Load()
	mark := i.waiting.mark()
	summary, err := getstats.Read(&countedFile{ctx, f, &i.bytes}, cfg, func(r *telemetry.Report) error {
		return i.keep(result, r)
	})
	if err != nil {
		i.ready.Store(ready)
		return errors.Join(fmt.Errorf("import %s: %w", file, err), i.waiting.back(mark))
	}
	result.Format, result.Connections, result.Streams = summary.Format, summary.Connections, summary.Streams
	result.Reports, result.Segments = summary.Reports, summary.Segments
	result.Skipped, result.Odd = summary.Skipped, summary.Odd
	return i.waiting.end()
}

// keep puts a report aside to be sent, if ingest would take it.
func (i *importer) keep(result *imported, r *telemetry.Report) error {
	switch err := r.ValidateAt(i.now); {
	case r.Hour < i.oldest:
		result.TooOld++
		return nil
	case telemetry.ReasonOf(err) == telemetry.RejectHour:
		result.Future++
		return nil
	case err != nil:
		return err
	}
	i.ready.Add(1)
	return i.waiting.put(r)
}

// sendAll sends what waits, file by file.
func (i *importer) sendAll(ctx context.Context, results []imported) error {
	if err := i.waiting.rewind(); err != nil {
		return err
	}
	for n := range results {
		if results[n].Error != "" {
			continue
		}
		if err := i.send(ctx, &results[n]); err != nil {
			return fmt.Errorf("import %s: %w; import the same files again once this is mended: what has arrived counts once", results[n].File, err)
		}
	}
	return nil
}

func (i *importer) send(ctx context.Context, result *imported) error {
	var pending []jetstream.PubAckFuture
	settle := func(until int) error {
		for len(pending) > until {
			select {
			case ack := <-pending[0].Ok():
				if ack.Duplicate {
					result.Known++
				}
			case err := <-pending[0].Err():
				return fmt.Errorf("the stream did not take a report: %w", err)
			case <-ctx.Done():
				return ctx.Err()
			}
			pending = pending[1:]
		}
		return nil
	}
	var r telemetry.Report
	for {
		data, err := i.waiting.take()
		if err != nil || data == nil {
			return errors.Join(err, settle(0))
		}
		if err := telemetry.Unmarshal(data, &r); err != nil {
			return err
		}
		agrees, err := i.ledger.Enter(&r)
		if err != nil {
			return err
		}
		i.sent.Add(1)
		if !agrees {
			result.Contradicts++
			continue
		}
		ack, err := i.stream.PublishAsync(telemetry.Subject, data, jetstream.WithMsgID(telemetry.MessageID(r.ID)))
		if err != nil {
			return fmt.Errorf("send report: %w", err)
		}
		pending = append(pending, ack)
		if err := settle(telemetry.MaxWindow); err != nil {
			return err
		}
	}
}

// countedFile reads a file until ctx ends, and counts.
type countedFile struct {
	ctx   context.Context
	file  *os.File
	bytes *atomic.Int64
}

func (c *countedFile) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.file.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}
