package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/demo"
)

func newDemo(s *settings) *cobra.Command {
	o := demo.Options{}
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: groupEveryone,
		Short:   "Run the whole loop on this machine, simulated calls to learn from and real ones to judge by, in about five minutes",
		Long: "Starts NATS and ClickHouse. A first policy explores in simulated calls over shaped networks, whose reports go through\n" +
			"NATS and ingest as those of clients do; training learns from them; the learned policy meets the first one in an A/B test\n" +
			"of real calls (pion, libopus) over the same kinds of network. Prints what was measured, one block for each network, with\n" +
			"what simulation had forecast, and the verdict.",
		Example: "  attune demo\n  attune demo --networks 2g,4g-udp-throttled --wav speech.wav\n  attune demo --trace drive.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress, o.Terminal, o.Log = s.err, terminal(s.err), s.log
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			if err := demo.Run(cmd.Context(), o, s.out); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "\nSee %s and %s.\n", filepath.Join(o.Out, "report.html"), filepath.Join(o.Out, "summary.json"))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Out, "out", filepath.Join("out", "demo"), "directory for the summary, the page and the servers' files")
	flags.StringSliceVar(&o.Networks, "networks", demo.Networks, "networks to call over, simulated and real: built-in names, or profile files")
	flags.StringVar(&o.Trace, "trace", "", "recorded capacity to call over as well: Mahimahi, JSON steps, or \"seconds Mbps\" lines")
	flags.StringVar(&o.WAV, "wav", "", "WAV file to talk with (default: recorded prompts of Debian's alsa-utils, or espeak-ng)")
	flags.IntVar(&o.Simulated, "simulated", 30_000, "simulated calls to learn from, on all networks together")
	flags.IntVar(&o.Calls, "calls", 0, "real calls on each network in the A/B round, both arms together (default: what this machine makes in three minutes, at most 48)")
	flags.DurationVar(&o.Duration, "duration", 20*time.Second, "of each call, simulated or real")
	flags.IntVar(&o.Parallel, "parallel", 0, "real calls at once (default: what keeps this machine a little more than half busy, by what the first ones cost)")
	flags.Float64Var(&o.Explore, "explore", 0.6, "share of decisions that explore in the simulated calls")
	flags.Uint64Var(&o.Seed, "seed", 1, "of networks, exploration and training")
	return cmd
}
