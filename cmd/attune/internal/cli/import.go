package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
)

// importOptions are the flags of "attune import".
type importOptions struct {
	region, network string
	metered         string
	dryRun, json    bool
}

// imported is what came of one file.
type imported struct {
	File        string         `json:"file"`
	Format      string         `json:"format"`
	Connections int            `json:"connections"`
	Reports     int            `json:"reports"`
	Segments    int            `json:"segments"`
	TooOld      int            `json:"tooOld"`  // reports older than the retention limit: not sent
	Known       int            `json:"known"`   // reports the stream had stored a moment ago
	Skipped     map[string]int `json:"skipped"` // audio streams that became no report, by reason
}

func newImport(s *settings) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:     "import FILE...",
		GroupID: groupData,
		Short:   "Read recorded WebRTC statistics into reports",
		Long: "Reads what chrome://webrtc-internals or rtcstats saved (JSON, also gzipped) and sends each audio stream as a report of\n" +
			"origin \"import\" to NATS, where ingest takes it. Only numbers and words of closed lists are read; addresses, SDP, names and\n" +
			"URLs are skipped before anything is written. Every file is read once completely before anything of it is sent. A file that\n" +
			"is imported again counts once.",
		Example: "  attune import --nats nats://127.0.0.1:4222 --region DE webrtc_internals_dump.txt\n  attune import --dry-run dumps/*.json.gz",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := o.config()
			if err != nil {
				return usageError{fmt.Errorf("import: %w", err)}
			}
			return s.importFiles(cmd.Context(), o, cfg, args)
		},
	}
	s.serverFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.region, "region", "", "country of the calls, two letters (default: withheld)")
	flags.StringVar(&o.network, "network-type", "unknown", "network of calls whose dump does not tell it")
	flags.StringVar(&o.metered, "metered", "unknown", "whether bytes cost the user: yes, no or unknown")
	flags.BoolVar(&o.dryRun, "dry-run", false, "read and count, send nothing")
	flags.BoolVar(&o.json, "json", false, "print what came of each file as JSON")
	return cmd
}

func (o *importOptions) config() (getstats.Config, error) {
	cfg := getstats.Config{Quality: codec.Measured{}}
	if o.region != "" {
		region, err := model.ParseRegion(o.region)
		if err != nil {
			return cfg, fmt.Errorf("--region: %w", err)
		}
		cfg.Context.Region = region
	}
	if err := cfg.Context.Network.UnmarshalText([]byte(o.network)); err != nil {
		return cfg, fmt.Errorf("--network-type: %w", err)
	}
	if err := cfg.Context.Metered.UnmarshalText([]byte(o.metered)); err != nil {
		return cfg, fmt.Errorf("--metered: %w", err)
	}
	return cfg, nil
}

func (s *settings) importFiles(ctx context.Context, o importOptions, cfg getstats.Config, files []string) error {
	for _, file := range files { // all of them, before anything is sent
		if _, err := readDump(ctx, file, cfg, func(*telemetry.Report) error { return nil }); err != nil {
			return err
		}
	}
	sender := &importer{oldest: telemetry.HourOf(time.Now().Add(-s.config.Privacy.Retention))}
	if !o.dryRun {
		if s.config.NATS == "" {
			return usageError{errors.New("import: name the server with --nats, or give --dry-run")}
		}
		var err error
		if cfg.Key, err = importKey(s.config.Data); err != nil {
			return err
		}
		backends, err := loop.Open(ctx, s.config, loop.NeedConnection, 0, s.log)
		if err != nil {
			return err
		}
		defer func() { _ = backends.Close() }()
		if sender.stream, err = telemetry.NewPublisher(backends.JetStream.Conn()); err != nil {
			return err
		}
	}
	for _, file := range files {
		result, err := sender.send(ctx, file, cfg)
		if err != nil {
			return fmt.Errorf("%w; import the same files again once this is mended: what has arrived counts once", err)
		}
		if err := s.printImported(result, o.json); err != nil {
			return err
		}
	}
	return nil
}

func readDump(ctx context.Context, file string, cfg getstats.Config, take func(*telemetry.Report) error) (getstats.Summary, error) {
	f, err := os.Open(file)
	if err != nil {
		return getstats.Summary{}, fmt.Errorf("import: %w", err)
	}
	defer func() { _ = f.Close() }()
	summary, err := getstats.Read(untilDone{ctx, f}, cfg, take)
	if err != nil {
		return summary, fmt.Errorf("import %s: %w", file, err)
	}
	return summary, nil
}

// untilDone reads a file until ctx ends.
type untilDone struct {
	ctx context.Context
	*os.File
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.File.Read(p)
}

// importer sends the reports of files. Without a stream it counts them.
type importer struct {
	stream jetstream.JetStream
	oldest uint32 // hour before which the warehouse keeps nothing
}

func (i *importer) send(ctx context.Context, file string, cfg getstats.Config) (imported, error) {
	result := imported{File: file}
	var pending []jetstream.PubAckFuture
	settle := func(until int) error {
		for len(pending) > until {
			select {
			case ack := <-pending[0].Ok():
				if ack.Duplicate {
					result.Known++
				}
			case err := <-pending[0].Err():
				return fmt.Errorf("import %s: the stream did not take a report: %w", file, err)
			case <-ctx.Done():
				return fmt.Errorf("import %s: %w", file, ctx.Err())
			}
			pending = pending[1:]
		}
		return nil
	}
	summary, err := readDump(ctx, file, cfg, func(r *telemetry.Report) error {
		if r.Hour < i.oldest {
			result.TooOld++
			return nil
		}
		if i.stream == nil {
			return nil
		}
		data, err := r.AppendMarshal(nil)
		if err != nil {
			return err
		}
		ack, err := i.stream.PublishAsync(telemetry.Subject, data, jetstream.WithMsgID(telemetry.MessageID(r.ID)))
		if err != nil {
			return fmt.Errorf("send report: %w", err)
		}
		pending = append(pending, ack)
		return settle(telemetry.MaxWindow)
	})
	if err == nil {
		err = settle(0)
	}
	result.Format, result.Connections, result.Reports = summary.Format, summary.Connections, summary.Reports
	result.Segments, result.Skipped = summary.Segments, summary.Skipped
	return result, err
}

// importKey is a random key that stays in the data directory. The ids of imported reports are made with it, so that a
// file counts once however often it is imported, and so that nobody else can tell which report came from which file.
func importKey(data string) ([]byte, error) {
	file := filepath.Join(data, "import.key")
	key, err := os.ReadFile(file)
	if err == nil && len(key) != 32 {
		err = fmt.Errorf("%s has %d bytes, want 32: delete it to make a new one (files imported before would count again)", file, len(key))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			err = fmt.Errorf("import: %w", err)
		}
		return key, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	key = make([]byte, 32)
	rand.Read(key)
	if err := os.WriteFile(file, key, 0o600); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	return key, nil
}

func (s *settings) printImported(result imported, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(s.out)
		return encoder.Encode(result)
	}
	fmt.Fprintf(s.out, "%s: %s, %d connections, %d reports with %d segments", result.File, result.Format, result.Connections, result.Reports, result.Segments)
	if result.TooOld > 0 {
		fmt.Fprintf(s.out, "; %d older than privacy.retention, not sent", result.TooOld)
	}
	if result.Known > 0 {
		fmt.Fprintf(s.out, "; %d were in the stream already", result.Known)
	}
	fmt.Fprintln(s.out)
	for _, reason := range slices.Sorted(maps.Keys(result.Skipped)) {
		fmt.Fprintf(s.out, "  left out: %d streams: %s\n", result.Skipped[reason], reason)
	}
	return nil
}
