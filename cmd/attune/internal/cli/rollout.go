package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/policy/rollout"
	"github.com/attune-calls/attune/training"
)

func newRollout(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rollout",
		GroupID: groupOperator,
		Short:   "Try a candidate on some calls, and let the evidence promote it or roll it back",
		Long: "A rollout takes a candidate up a ramp, 1, 5, 25, 50 and 100 % of calls. Each step needs its evidence; a guardrail\n" +
			"that is breached, or a network type that is worse, rolls it back. The intervals hold at every look, so look as\n" +
			"often as you like. \"attune up\" looks by itself.",
		Example: "  attune rollout start runs/run-20261123-101500-v2-1f0c8a77 --nats nats://nats:4222\n  attune rollout look\n  attune rollout log",
	}
	cmd.AddCommand(newRolloutStart(s), newRolloutLook(s), newRolloutBack(s), newRolloutLog(s))
	return cmd
}

func newRolloutStart(s *settings) *cobra.Command {
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:     "start RUN",
		Short:   "Publish the candidate of a run directory to the first share of the ramp",
		Example: "  attune rollout start runs/run-20261123-101500-v2-1f0c8a77 --nats nats://nats:4222",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := training.ReadRun(args[0])
			if err != nil {
				return err
			}
			if !run.Metrics.Verdict.Promote && !force {
				return fmt.Errorf("the gate held %s back: %s; --force tries it all the same", args[0], strings.Join(run.Metrics.Verdict.Failed(), "; "))
			}
			releases, done, err := s.releases(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer done()
			e, err := loop.StartExperiment(cmd.Context(), s.config, releases, run)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(s.out).Encode(map[string]any{"experiment": e.Number(), "share": e.Status().Share})
				return errors.Join(err, e.Close())
			}
			fmt.Fprintf(s.out, "experiment %d has begun at %d %%\n", e.Number(), e.Status().Share)
			return e.Close()
		},
	}
	s.serverFlags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "try a candidate that the gate held back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newRolloutLook(s *settings) *cobra.Command {
	var act, asJSON bool
	cmd := &cobra.Command{
		Use:     "look",
		Short:   "Show what the calls in ClickHouse say; with --act, also do what they call for",
		Example: "  attune rollout look --clickhouse clickhouse://reader:secret@db:9000/attune\n  attune rollout look --act --nats nats://nats:4222",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			releases, done, err := s.releases(ctx, "")
			if err != nil {
				return err
			}
			defer done()
			e, err := loop.ResumeExperiment(s.config, releases)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, e.Close()) }()
			backends, err := loop.Open(ctx, s.config, loop.NeedWarehouse, 0, s.log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, backends.Close()) }()
			var report rollout.Report
			if act {
				report, _, err = e.Look(ctx, backends.Warehouse)
			} else {
				report, err = e.Analyse(ctx, backends.Warehouse)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(report)
			}
			return printReport(s, report, e.Status())
		},
	}
	s.serverFlags(cmd)
	cmd.Flags().BoolVar(&act, "act", false, "log the decision and publish what it calls for")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printReport(s *settings, r rollout.Report, status rollout.Decision) error {
	fmt.Fprintf(s.out, "experiment %d: %v at %d %%; verdict: %v\n", r.Experiment, status.State, status.Share, r.Verdict)
	for _, reason := range r.Reasons {
		fmt.Fprintf(s.out, "  %s\n", reason)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "metric\tcontrol\ttreatment\tdifference\tsequence")
	for _, c := range r.Metrics {
		fmt.Fprintf(w, "%v\t%.3f\t%.3f\t%+.3f\t%+.3f..%+.3f\n", c.Metric, c.Control, c.Treatment, c.Difference, c.Low, c.High)
	}
	for _, slice := range r.Slices {
		c := slice.Quality
		fmt.Fprintf(w, "%v on %v\t%.3f\t%.3f\t%+.3f\t%+.3f..%+.3f\n", c.Metric, slice.Network, c.Control, c.Treatment, c.Difference, c.Low, c.High)
	}
	return w.Flush()
}

func newRolloutBack(s *settings) *cobra.Command {
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "back",
		Short:   "Withdraw the candidate from all calls, by hand",
		Example: "  attune rollout back --reason \"users report echo\" --nats nats://nats:4222",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if reason == "" {
				return usageError{errors.New("rollout back: --reason is required; it goes into the log")}
			}
			releases, done, err := s.releases(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer done()
			e, err := loop.ResumeExperiment(s.config, releases)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, e.Close()) }()
			decision, err := e.RollBack(cmd.Context(), reason)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(map[string]any{"experiment": e.Number(), "state": decision.State})
			}
			fmt.Fprintf(s.out, "experiment %d: %v\n", e.Number(), decision.State)
			return nil
		},
	}
	s.serverFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newRolloutLog(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "log",
		Short:   "Print every decision about every rollout, and check that none was changed afterwards",
		Example: "  attune rollout log --json",
		RunE: func(*cobra.Command, []string) error {
			file := filepath.Join(s.config.Data, loop.DecisionLog)
			f, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("decision log: %w", err)
			}
			defer func() { _ = f.Close() }()
			entries, torn, err := rollout.ReadLog(f)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			for _, e := range entries {
				if asJSON {
					if err := json.NewEncoder(s.out).Encode(e); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(s.out, "%4d  %s  experiment %d  %v at %d %%\n", e.Sequence, e.Time.Format(time.DateTime), e.Experiment, e.Event, e.Share)
				for _, reason := range e.Reasons {
					fmt.Fprintf(s.out, "      %s\n", reason)
				}
			}
			if len(torn) > 0 {
				fmt.Fprintf(s.err, "the last %d bytes are half an entry, as a crash leaves it\n", len(torn))
			}
			return nil
		},
	}
	s.dataFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}
