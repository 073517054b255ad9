package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/training"
	"github.com/attune-calls/attune/training/evaluate"
)

func newEvaluate(s *settings) *cobra.Command {
	var (
		days    window
		version uint32
		asJSON  bool
		html    string
	)
	cmd := &cobra.Command{
		Use:     "evaluate RUN",
		GroupID: groupData,
		Short:   "Judge the candidate of a run directory on the calls that are in ClickHouse now",
		Long: "Estimates what the candidate would be worth on calls that may be others and later ones than it was trained on,\n" +
			"against the policy in force without exploration, and asks the gate. The candidate stays as it is; only the reward\n" +
			"model that the estimators need is fitted, each time to calls other than those it predicts. The exit status is 0\n" +
			"whatever the verdict.",
		Example: "  attune evaluate runs/run-20261123-101500-v2-1f0c8a77 --since 2026-11-24\n" +
			"  attune evaluate runs/run-20261123-101500-v2-1f0c8a77 --policy 3 --json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := days.filter(s.config)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("policy") {
				filter.Policy = &version
			}
			run, err := training.ReadRun(args[0])
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			base, err := loop.TrainingBase(ctx, s.config)
			if err != nil {
				return err
			}
			backends, err := loop.Open(ctx, s.config, loop.NeedWarehouse, 0, s.log)
			if err != nil {
				return err
			}
			defer func() { _ = backends.Close() }()
			dataset, err := loop.ReadDataset(ctx, s.config, backends.Warehouse, filter)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.err, "%d segments of calls with the origin %s\n", dataset.Len(), listOrigins(dataset.Origins))
			c := s.config.Training
			evaluation, err := training.Evaluate(ctx, training.EvaluateConfig{
				Dataset: dataset, Candidate: run, Base: base.Document, BaseModels: base.Models, Logging: base.Logging,
				Price: c.Price.Model(), Gate: evaluate.GateConfig{PoisonedShare: c.PoisonedShare},
				Seed: c.Seed, MinRows: c.MinSegments, Progress: s.trainingProgress(),
			})
			if err != nil {
				return err
			}
			for _, caveat := range evaluation.Caveats() {
				fmt.Fprintf(s.err, "note: %s\n", caveat)
			}
			if run.Settings.Price != evaluation.Settings.Price {
				fmt.Fprintf(s.err, "note: the candidate was trained for another price of bytes than training.price\n")
			}
			if html != "" {
				page, err := evaluation.HTML()
				if err != nil {
					return err
				}
				if err := os.WriteFile(html, page, 0o644); err != nil {
					return fmt.Errorf("--html: %w", err)
				}
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(evaluation)
			}
			return printEvaluation(s.out, evaluation)
		},
	}
	s.serverFlags(cmd)
	days.flags(cmd)
	cmd.Flags().Uint32Var(&version, "policy", 0, "only decisions of the policy of this version (default: of any)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the whole evaluation as JSON")
	cmd.Flags().StringVar(&html, "html", "", "write a page with the tables and plots to this file")
	return cmd
}

// printEvaluation prints for people: all estimators over all calls, DR by network type, the policies, and the gate.
func printEvaluation(w io.Writer, e *training.Evaluation) error {
	m := &e.Metrics
	fmt.Fprintf(w, "candidate of %s against policy %d without exploration\n", e.Run, e.Settings.Base)
	fmt.Fprintf(w, "segments: %d, calls: %d, days: %d; refused: %v; left out, as no known policy would have logged them: %d\n\n",
		m.Segments, m.Calls, m.Days, m.Refused, m.Unexplained)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	block := func(name, value string) {
		fmt.Fprintf(t, "%-24s\t%s\t95 %% interval\teffective segments\teffective calls\tof calls\t\n", name, value)
	}
	block(fmt.Sprintf("gain over policy %d", e.Settings.Base), "estimate")
	for _, estimate := range m.Gate.Overall.Gain.All() {
		printEstimate(t, estimate.Name, "%+.3f", estimate.Estimate)
	}
	fmt.Fprintln(t)
	block("gain by network, DR", "estimate")
	for _, slice := range m.Gate.Slices {
		printEstimate(t, slice.Network.String(), "%+.3f", slice.Gain.DR)
	}
	fmt.Fprintln(t)
	block("reward of a policy, DR", "estimate")
	printEstimate(t, "as logged", "%.3f", m.Comparisons[0].Report.Overall.Baseline)
	for _, c := range m.Comparisons {
		printEstimate(t, c.Name, "%.3f", c.Report.Overall.Target.DR)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%v", m.Verdict)
	return err
}

func printEstimate(w io.Writer, name, format string, e evaluate.Estimate) {
	value, interval := "none", "unbounded"
	if !math.IsNaN(e.Value) {
		value = fmt.Sprintf(format, e.Value)
	}
	if !math.IsInf(e.Low, 0) && !math.IsInf(e.High, 0) {
		interval = fmt.Sprintf(format+".."+format, e.Low, e.High)
	}
	fmt.Fprintf(w, "%-24s\t%s\t%s\t%.0f\t%.0f\t%d\t\n", name, value, interval, e.EffectiveSampleSize, e.EffectiveClusters, e.Clusters)
}
