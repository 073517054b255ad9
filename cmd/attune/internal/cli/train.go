package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/training"
)

// window is the part of the logged calls a verb looks at.
type window struct {
	since, until string
	origins      []string
}

func (w *window) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.since, "since", "", "first day of calls, as 2026-11-23 (default: all there are)")
	cmd.Flags().StringVar(&w.until, "until", "", "first day left out")
	originFlag(cmd, &w.origins, nil, "training.origins")
}

// originFlag is --origin.
func originFlag(cmd *cobra.Command, origins *[]string, standard []string, described string) {
	cmd.Flags().StringSliceVar(origins, "origin", standard, "where the calls took place: call, simulation, import, or several (default: "+described+")")
}

// parseOrigins reads the values of --origin.
func parseOrigins(names []string) ([]telemetry.Origin, error) {
	list := make([]telemetry.Origin, len(names))
	for i, name := range names {
		var err error
		if list[i], err = telemetry.ParseOrigin(name); err != nil {
			return nil, usageError{fmt.Errorf("--origin: %w", err)}
		}
	}
	return list, nil
}

// filter is what the flags select, of the origins of the configuration where --origin does not name any.
func (w *window) filter(c config.Config) (warehouse.Filter, error) {
	f := warehouse.Filter{Origins: c.Training.Origins}
	if len(w.origins) > 0 {
		var err error
		if f.Origins, err = parseOrigins(w.origins); err != nil {
			return f, err
		}
	}
	for _, bound := range []struct {
		flag, text string
		hour       *uint32
	}{{"since", w.since, &f.Since}, {"until", w.until, &f.Until}} {
		if bound.text == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, bound.text)
		if err != nil {
			return f, usageError{fmt.Errorf("--%s: %q is not a day, such as 2026-11-23", bound.flag, bound.text)}
		}
		*bound.hour = telemetry.HourOf(day)
	}
	return f, nil
}

func newTrain(s *settings) *cobra.Command {
	var (
		out    string
		asJSON bool
		days   window
	)
	cmd := &cobra.Command{
		Use:     "train",
		GroupID: groupData,
		Short:   "Fit a candidate policy to the calls in ClickHouse and judge it on calls it did not see",
		Long: "Reads segments from ClickHouse, fits the two-tower model with gorgonia, estimates what the candidate is worth with\n" +
			"IPS, SNIPS, DR and others, applies the gate, and writes a run directory: weights, policy, metrics, model card.\n" +
			"It prints the directory. A candidate that the gate holds back is still written; the verdict is in it.\n" +
			"Real calls alone are learned from unless --origin or training.origins say otherwise; the model card tells which.",
		Example: "  attune train --clickhouse clickhouse://reader:secret@db:9000/attune --since 2026-11-01 --out runs",
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := days.filter(s.config)
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
			if out == "" {
				out = filepath.Join(s.config.Data, "runs")
			}
			result, err := loop.TrainHere(ctx, s.config, base, dataset, out, s.trainingProgress())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(map[string]any{
					"dir": result.Dir, "promote": result.Promote(), "verdict": result.Metrics.Verdict, "segments": result.Metrics.Segments,
				})
			}
			fmt.Fprint(s.err, result.Metrics.Verdict)
			fmt.Fprintln(s.out, result.Dir)
			return nil
		},
	}
	s.serverFlags(cmd)
	days.flags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "directory for run directories (default: runs in the data directory)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// listOrigins names origins for people.
func listOrigins(origins []telemetry.Origin) string {
	names := make([]string, len(origins))
	for i, o := range origins {
		names[i] = o.String()
	}
	return strings.Join(names, ", ")
}

// trainingProgress shows how far training is, on a terminal only.
func (s *settings) trainingProgress() func(training.Progress) {
	if !terminal(s.err) {
		return nil
	}
	return func(p training.Progress) {
		fmt.Fprintf(s.err, "\r\x1b[K%3.0f %%  %s", 100*p.Share, p.Stage)
		if p.Share >= 1 {
			fmt.Fprintln(s.err)
		}
	}
}
