package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
)

func newIngest(s *settings) *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:     "ingest",
		GroupID: groupData,
		Short:   "Move reports from NATS into ClickHouse until interrupted",
		Long: "Takes reports off the stream CALLS, inserts them in batches, and acknowledges them once they are stored. Any number\n" +
			"of these may share the work. Faults of either server are waited out; a report that is not valid is counted, not kept.\n" +
			"A region is stored once a day and network type have privacy.minCell reports of it, and reports older than\n" +
			"privacy.retention are deleted every hour. It makes the tables, and refuses to start with a privacy.minCell or\n" +
			"privacy.retention that promises less than the tables were made for (see \"attune warehouse migrate\").",
		Example: "  attune ingest --nats nats://nats:4222 --clickhouse clickhouse://writer:secret@db:9000/attune",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if every <= 0 {
				return usageError{fmt.Errorf("--every: %v, want more than 0", every)}
			}
			backends, err := loop.Open(ctx, s.config, loop.NeedNATS|loop.NeedWarehouse|loop.MakeTables|loop.Patient, 0, s.log)
			if err != nil {
				return err
			}
			defer func() { _ = backends.Close() }()
			metrics, err := loop.ServeMetrics(s.config.Metrics, s.log)
			if err != nil {
				return err
			}
			defer func() { _ = metrics.Close() }()
			ingesting, err := loop.StartIngest(ctx, backends, s.config, s.log, metrics.Registerer())
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "ingest from %s\n", backends.NATSURL)
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					err := ingesting.Stop()
					printIngest(s, ingesting)
					return err
				case <-tick.C:
					printIngest(s, ingesting)
				}
			}
		},
	}
	s.serverFlags(cmd)
	s.metricsFlag(cmd)
	cmd.Flags().DurationVar(&every, "every", 10*time.Second, "how often to print the counts")
	return cmd
}

func printIngest(s *settings, i *loop.Ingesting) {
	stats := i.Stats()
	fmt.Fprintf(s.out, "received %d, stored %d, duplicates %d, waiting %d, region withheld %d, revealed %d, expired %d, batches %d",
		stats.Received, stats.Stored, stats.Duplicates, stats.Waiting, stats.Withheld, stats.Revealed, stats.Expired, stats.Batches)
	for reason, n := range stats.Rejected {
		fmt.Fprintf(s.out, ", rejected for %v %d", reason, n)
	}
	fmt.Fprintln(s.out)
}
