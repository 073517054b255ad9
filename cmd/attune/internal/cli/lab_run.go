package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/history"
	"github.com/attune-calls/attune/training/lab/suite"
)

// runOptions are the flags of "attune lab run".
type runOptions struct {
	networks labNetworks
	policy   string
	calls    int
	seed     uint64
	duration time.Duration
	days     float64
	wav      string
	split    string
	out      string
	send     string
	packed   bool
	json     bool
	workers  int
}

func newLabRun(s *settings) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [FOLDER...]",
		Short: "Simulate calls and write the reports that clients would send",
		Long: "Makes simulated calls under one policy and writes both clients' reports, with origin \"simulation\": decisions, propensities,\n" +
			"exploration and quantized measurements as in a real call. They go to a file, or to NATS, whose acknowledgements are awaited.\n" +
			"Within an hour the same flags give the same reports, ids included, so that what is sent again counts once.\n" +
			"Training takes them with \"attune train --origin simulation\".",
		Example: "  attune lab run --policy policy.json --split train --calls 20000 --days 7 --out history.packs\n" +
			"  attune lab run --send history.packs --nats nats://127.0.0.1:4222\n" +
			"  attune lab run --suite suite.json --policy learned:attune-data/runs/run-1 --calls 20000 --seed 2 --nats nats://127.0.0.1:4222",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(s.config.NATS, cmd.Flags().Changed("nats")); err != nil {
				return usageError{fmt.Errorf("lab run: %w", err)}
			}
			return s.labRun(cmd.Context(), &o, args)
		},
	}
	s.serverFlags(cmd)
	o.networks.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.policy, "policy", compare.NameDefault, "who decides: a policy document, a run directory (learned:RUN, greedy:RUN), or a fixed rule")
	flags.IntVar(&o.calls, "calls", 1000, "calls to make; each gives two reports")
	flags.Uint64Var(&o.seed, "seed", 1, "of everything random")
	flags.DurationVar(&o.duration, "duration", time.Minute, "of a call, 5s to "+history.MaxDuration.String())
	flags.Float64Var(&o.days, "days", 0, "days before now that the calls are spread over (default: all in this hour)")
	flags.StringVar(&o.wav, "wav", "", "WAV file whose frame sizes are used (default: Debian's recorded prompts, or espeak-ng)")
	flags.StringVar(&o.split, "split", "", "only networks of this side of the suite: train or validation (default: both)")
	flags.StringVar(&o.out, "out", "", "write packed reports to this file")
	flags.StringVar(&o.send, "send", "", "make no calls: send this file, written with --out, to --nats")
	flags.BoolVar(&o.packed, "packed", false, "send packs, as an edge does; needs the rights of an edge or an operator (default: each report alone, as clients do)")
	flags.BoolVar(&o.json, "json", false, "print what was made as JSON")
	flags.IntVar(&o.workers, "workers", 0, "calls computed at the same time (default: one for each core)")
	return cmd
}

// validate takes the server in force, and whether the command line names it: --out goes before a configured one.
func (o *runOptions) validate(nats string, named bool) error {
	switch {
	case o.out == "" && nats == "", o.out != "" && named:
		return errors.New("choose one of --out and --nats")
	case o.send != "" && o.out != "":
		return errors.New("--send goes with --nats")
	case o.packed && o.out != "":
		return errors.New("--packed goes with --nats: a file holds packs anyway")
	case !(o.days >= 0 && o.days <= 366):
		return fmt.Errorf("--days: %v, want 0..366", o.days)
	}
	return nil
}

func (s *settings) labRun(ctx context.Context, o *runOptions, args []string) (err error) {
	if o.send != "" { // all of it is read before anything is sent
		if _, err := readPacks(o.send, func(telemetry.ReportID, []byte) error { return nil }); err != nil {
			return err
		}
	}
	sink, err := s.openSink(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.close()) }()
	if o.send != "" {
		return s.sendPacks(ctx, o, sink)
	}
	config, err := s.historyConfig(ctx, o, args)
	if err != nil {
		return err
	}
	progress := s.labProgress()
	config.Progress = func(done, of int64) { progress.show(compare.Done{Calls: done, Of: of}) }
	summary, err := history.Make(ctx, config, func(id telemetry.ReportID, report []byte) error { return sink.report(ctx, id, report) })
	progress.end()
	if err == nil {
		err = sink.settle(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w; run the same command again within this hour: what has arrived counts once", err)
	}
	if o.json {
		return json.NewEncoder(s.out).Encode(summary)
	}
	_, err = fmt.Fprintf(s.out, "%d simulated calls: %d reports with %d segments (%d explored), %d calls not set up, %d dropped, %d bytes\n",
		summary.Calls, summary.Reports, summary.Segments, summary.Explored, summary.SetupFailed, summary.Dropped, summary.Bytes)
	return err
}

func (s *settings) historyConfig(ctx context.Context, o *runOptions, args []string) (history.Config, error) {
	config := history.Config{
		Began: time.Now().Truncate(time.Hour),
		Calls: o.calls, Seed: o.seed, Duration: o.duration, Over: time.Duration(o.days * 24 * float64(time.Hour)), Workers: o.workers,
	}
	var err error
	if config.Suite, err = o.networks.open(s, args); err != nil {
		return config, err
	}
	if o.split != "" {
		var side suite.Split
		if err := side.UnmarshalText([]byte(o.split)); err != nil {
			return config, usageError{fmt.Errorf("lab run: --split: %w", err)}
		}
		of := *config.Suite
		of.Networks = slices.DeleteFunc(slices.Clone(of.Networks), func(n suite.Network) bool { return n.Split != side })
		config.Suite = &of
	}
	if config.Contender, err = compare.Named(o.policy); err != nil {
		return config, usageError{fmt.Errorf("lab run: %w", err)}
	}
	if config.Frames, _, err = labFrames(ctx, o.wav); err != nil {
		return config, err
	}
	if err := config.Validate(); err != nil {
		return config, usageError{fmt.Errorf("lab run: %w", err)}
	}
	return config, nil
}

// sendPacks sends a file that was written before.
func (s *settings) sendPacks(ctx context.Context, o *runOptions, to *sink) error {
	reports, err := readPacks(o.send, func(id telemetry.ReportID, report []byte) error {
		return to.report(ctx, id, slices.Clone(report))
	})
	if err == nil {
		err = to.settle(ctx)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%d reports sent\n", reports)
	return err
}

// readPacks gives each report of a file to take and says how many there are.
func readPacks(path string, take func(id telemetry.ReportID, report []byte) error) (reports int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("lab run: %w", err)
	}
	defer func() { _ = f.Close() }()
	err = history.ReadFile(f, func(pack []byte) error {
		return telemetry.EachInPack(pack, func(data []byte) error {
			var r telemetry.Report
			if err := telemetry.Unmarshal(data, &r); err != nil {
				return err
			}
			reports++
			return take(r.ID, data)
		})
	})
	if err != nil {
		err = fmt.Errorf("lab run: %s: %w", path, err)
	}
	return reports, err
}

// sink is where reports go: a file or a stream.
type sink struct {
	packer history.Packer // into a file
	file   *history.FileWriter
	sender *history.Sender // nil for a file
	commit func() error    // of a complete file
	close  func() error
}

func (s *settings) openSink(ctx context.Context, o *runOptions) (*sink, error) {
	if o.out != "" {
		return fileSink(o.out)
	}
	backends, err := loop.Open(ctx, s.config, loop.NeedConnection, 0, s.log)
	if err != nil {
		return nil, err
	}
	stream, err := telemetry.NewPublisher(backends.JetStream.Conn())
	if err != nil {
		return nil, errors.Join(err, backends.Close())
	}
	return &sink{sender: &history.Sender{Stream: stream, Single: !o.packed}, close: backends.Close}, nil
}

// fileSink writes a file that is complete under its name, or not there.
func fileSink(path string) (*sink, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".history-")
	if err != nil {
		return nil, fmt.Errorf("lab run: %w", err)
	}
	k := &sink{file: history.NewFileWriter(f)}
	k.packer.Put = k.file.Put
	k.commit = func() error {
		return errors.Join(k.file.Flush(), f.Chmod(0o644), f.Sync(), os.Rename(f.Name(), path))
	}
	k.close = func() error {
		_ = os.Remove(f.Name()) // not there any more, once it has its name
		return f.Close()
	}
	return k, nil
}

func (k *sink) report(ctx context.Context, id telemetry.ReportID, report []byte) error {
	if k.sender != nil {
		return k.sender.Send(ctx, id, report)
	}
	return k.packer.Add(report)
}

// settle waits for all acknowledgements, or ends the last pack and commits the file.
func (k *sink) settle(ctx context.Context) error {
	if k.sender != nil {
		return k.sender.Flush(ctx)
	}
	if err := k.packer.Flush(); err != nil {
		return err
	}
	return k.commit()
}
