package cli

import (
	"os"

	"github.com/spf13/cobra"
)

// serverFlags are the flags of a verb that uses servers; they override the configuration.
func (s *settings) serverFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	nats := flags.String("nats", "", "URL of an external NATS server, nats://user:password@host:4222 (default: one inside the process)")
	clickhouse := flags.String("clickhouse", "", "external ClickHouse, clickhouse://user:password@host:9000/database (default: a managed child)")
	data := s.dataFlag(cmd)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		override(cmd, "nats", nats, &s.config.NATS)
		override(cmd, "clickhouse", clickhouse, &s.config.ClickHouse)
		override(cmd, "data", data, &s.config.Data)
		return nil
	}
}

// dataFlag is --data alone, for verbs that only read or write files.
func (s *settings) dataFlag(cmd *cobra.Command) *string {
	data := cmd.Flags().String("data", "", "directory for everything that is kept (default attune-data)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		override(cmd, "data", data, &s.config.Data)
		return nil
	}
	return data
}

// metricsFlag is for services. It goes after the other flags of the configuration.
func (s *settings) metricsFlag(cmd *cobra.Command) {
	metrics := cmd.Flags().String("metrics", "", "address where Prometheus reads /metrics, 127.0.0.1:9464 (default: none)")
	others := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		override(cmd, "metrics", metrics, &s.config.Metrics)
		if err := s.config.Validate(); err != nil {
			return usageError{err}
		}
		return others(cmd, args)
	}
}

func override(cmd *cobra.Command, flag string, value, setting *string) {
	if cmd.Flags().Changed(flag) {
		*setting = *value
	}
}

// terminal reports whether a stream is a person's terminal rather than a file or a pipe.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
