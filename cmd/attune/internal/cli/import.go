package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
	"github.com/attune-calls/attune/telemetry/ingest"
)

// importOptions are the flags of "attune import".
type importOptions struct {
	region, network, metered string
	codec, transport, began  string
	skipBad, dryRun, json    bool
}

// imported is what came of one file.
type imported struct {
	File        string         `json:"file"`
	Error       string         `json:"error,omitempty"` // why nothing of it was taken
	Format      string         `json:"format"`
	Connections int            `json:"connections"`
	Streams     int            `json:"streams"` // that became reports, one or more each
	Reports     int            `json:"reports"`
	Segments    int            `json:"segments"`
	TooOld      int            `json:"tooOld"`      // reports that ingest would refuse by their hour: not sent
	Future      int            `json:"future"`      // reports later than now: not sent
	Contradicts int            `json:"contradicts"` // reports sent before with another network type or hour: not sent
	Known       int            `json:"known"`       // reports the stream had stored a moment ago
	Odd         int            `json:"odd"`         // values and lines that were passed over
	Skipped     map[string]int `json:"skipped"`     // streams that became no report, by reason
}

func newImport(s *settings) *cobra.Command {
	var o importOptions
	var nats string
	cmd := &cobra.Command{
		Use:     "import FILE...",
		GroupID: groupData,
		Short:   "Read recorded WebRTC statistics into reports",
		Long: "Reads what chrome://webrtc-internals or rtcstats saved (JSON, also gzipped), or a table of samples (CSV), and sends each\n" +
			"audio stream as reports of origin \"import\" to NATS, where ingest takes them. Only numbers and words of closed lists are\n" +
			"read; addresses, SDP, names and URLs are skipped before anything is written. All files are read before anything is sent;\n" +
			"one that cannot be read stops the import, or is left out with --skip-bad. A file that is imported again from the same\n" +
			"data directory counts once.",
		Example: "  attune import --nats nats://127.0.0.1:4222 --region DE webrtc_internals_dump.txt\n" +
			"  attune import --dry-run --skip-bad dumps/*.json.gz\n" +
			"  attune import --dry-run --codec opus --transport direct --network-type wifi samples.csv",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := o.config()
			if err != nil {
				return usageError{fmt.Errorf("import: %w", err)}
			}
			return s.importFiles(cmd.Context(), o, cfg, args)
		},
	}
	data := s.dataFlag(cmd)
	flags := cmd.Flags()
	flags.Lookup("data").Usage = "directory that remembers what was imported (default attune-data)"
	flags.StringVar(&nats, "nats", "", "URL of the NATS server that has the stream, nats://user:password@host:4222; needed without --dry-run")
	flags.StringVar(&o.region, "region", "", "country of the calls, two letters (default: withheld)")
	flags.StringVar(&o.network, "network-type", "unknown", "network of calls whose dump does not tell it")
	flags.StringVar(&o.metered, "metered", "unknown", "whether bytes cost the user: yes, no or unknown")
	flags.StringVar(&o.codec, "codec", "unknown", "codec of streams whose dump does not name one: opus, opus+red or pcmu")
	flags.StringVar(&o.transport, "transport", "unknown", "path of streams whose dump does not tell it: direct, relay-udp, relay-tcp or relay-tls")
	flags.StringVar(&o.began, "began", "", "when a recording began that counts time from its beginning, as 2026-11-20T09:30:00Z (default: the time of its file)")
	flags.BoolVar(&o.skipBad, "skip-bad", false, "name files that cannot be read, and go on without them")
	flags.BoolVar(&o.dryRun, "dry-run", false, "read and count, send nothing")
	flags.BoolVar(&o.json, "json", false, "print what came of each file as JSON, one object a line")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		override(cmd, "nats", &nats, &s.config.NATS)
		override(cmd, "data", data, &s.config.Data)
		return nil
	}
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
	for _, flag := range []struct {
		name, text string
		into       interface{ UnmarshalText(text []byte) error }
	}{
		{"network-type", o.network, &cfg.Context.Network},
		{"metered", o.metered, &cfg.Context.Metered},
		{"codec", o.codec, &cfg.Codec},
		{"transport", o.transport, &cfg.Transport},
	} {
		if err := flag.into.UnmarshalText([]byte(flag.text)); err != nil {
			return cfg, fmt.Errorf("--%s: %w", flag.name, err)
		}
	}
	if o.began != "" {
		var err error
		if cfg.Began, err = time.Parse(time.RFC3339, o.began); err != nil {
			return cfg, fmt.Errorf("--began: %q is not a time, such as 2026-11-20T09:30:00Z", o.began)
		}
	}
	return cfg, nil
}

// importFiles reads all files, and then sends what they became.
func (s *settings) importFiles(ctx context.Context, o importOptions, cfg getstats.Config, files []string) (err error) {
	now := time.Now()
	i := &importer{
		now: now, oldest: ingest.OldestHour(now, s.config.Privacy.Retention), skipBad: o.skipBad, sizes: sizes(files),
	}
	if !o.dryRun {
		if s.config.NATS == "" {
			return usageError{errors.New("import: name the server with --nats, or give --dry-run")}
		}
		backends, err := loop.Open(ctx, s.config, loop.NeedConnection, 0, s.log)
		if err != nil {
			return err
		}
		defer func() { _ = backends.Close() }()
		if i.stream, err = telemetry.NewPublisher(backends.JetStream.Conn()); err != nil {
			return err
		}
		ledger, err := getstats.OpenLedger(s.config.Data, i.oldest)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		i.ledger, cfg.Key = ledger, ledger.Key()
		if i.waiting, err = openStash(s.config.Data); err != nil {
			return errors.Join(err, ledger.Close())
		}
		defer func() { err = errors.Join(err, i.waiting.close(), ledger.Close()) }()
	}
	stop := s.watch(i.progress)
	results, err := i.readAll(ctx, files, cfg)
	if err == nil && !o.dryRun {
		err = i.sendAll(ctx, results)
	}
	stop()
	if err != nil {
		return err
	}
	for n := range results {
		if err := s.printImported(&results[n], o.json); err != nil {
			return err
		}
	}
	return nil
}

// sizes is how many bytes the files have together, as far as that is known.
func sizes(files []string) (sum int64) {
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum
}

func (s *settings) printImported(result *imported, asJSON bool) error {
	if result.Error != "" {
		fmt.Fprintf(s.err, "skipped: %s\n", result.Error)
	}
	switch {
	case asJSON:
		return json.NewEncoder(s.out).Encode(result)
	case result.Error != "":
		return nil
	}
	fmt.Fprintf(s.out, "%s: %s, %d connections, %d reports with %d segments", result.File, result.Format, result.Connections, result.Reports, result.Segments)
	if result.Reports > result.Streams {
		fmt.Fprintf(s.out, " of %d streams", result.Streams)
	}
	for _, n := range []struct {
		reports int
		what    string
	}{
		{result.TooOld, "older than privacy.retention lets ingest take, not sent"},
		{result.Future, "later than now, not sent"},
		{result.Contradicts, "imported before with another --network-type or --began, not sent"},
		{result.Known, "were in the stream already"},
	} {
		if n.reports > 0 {
			fmt.Fprintf(s.out, "; %d %s", n.reports, n.what)
		}
	}
	fmt.Fprintln(s.out)
	for _, reason := range slices.Sorted(maps.Keys(result.Skipped)) {
		fmt.Fprintf(s.out, "  left out: %d: %s\n", result.Skipped[reason], reason)
	}
	if result.Odd > 0 {
		fmt.Fprintf(s.out, "  passed over: %d odd values or lines\n", result.Odd)
	}
	return nil
}
