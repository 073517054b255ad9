package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
)

func newUp(s *settings) *cobra.Command {
	var port int
	cmd := &cobra.Command{
		Use:     "up",
		GroupID: groupEveryone,
		Short:   "Run the whole loop as a service on this machine",
		Long: "Runs NATS (inside this process) and ClickHouse (a managed child), ingests reports, trains every now and then, rolls\n" +
			"out candidates that pass the gate, and keeps the policy signed and fresh, until SIGINT or SIGTERM. Everything is kept\n" +
			"in the data directory and found again at the next start.",
		Example: "  attune up --data /var/lib/attune\n  attune call --nats nats://127.0.0.1:4222 --root attune-data/root.json --network 3g",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			if err := os.MkdirAll(s.config.Data, 0o700); err != nil {
				return fmt.Errorf("data directory: %w", err)
			}
			say := func(format string, args ...any) {
				fmt.Fprintf(s.out, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
			}
			service, err := loop.OpenService(ctx, s.config, port, s.log, say)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, service.Close()) }()
			root, err := service.Releases.Root(ctx)
			if err != nil {
				return err
			}
			rootFile := filepath.Join(s.config.Data, "root.json")
			if err := os.WriteFile(rootFile, root, 0o644); err != nil {
				return fmt.Errorf("root of trust: %w", err)
			}
			inForce, err := service.Releases.InForce(ctx)
			if err != nil {
				return err
			}
			say("ready: policy %d is in force; clients connect to %s and trust %s", inForce.Version, service.Backends.NATSURL, rootFile)
			if err := service.Run(ctx); err != nil {
				return err
			}
			say("stopped")
			return nil
		},
	}
	s.serverFlags(cmd)
	s.metricsFlag(cmd)
	cmd.Flags().IntVar(&port, "port", 4222, "port of the embedded NATS on 127.0.0.1; 0 takes a free one")
	return cmd
}
