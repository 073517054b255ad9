package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/edge"
)

// edgeOptions are the flags of "attune edge".
type edgeOptions struct {
	nats, front string
	maxReports  int
	maxWait     time.Duration
	every       time.Duration
}

func newEdge(s *settings) *cobra.Command {
	var o edgeOptions
	cmd := &cobra.Command{
		Use:     "edge",
		GroupID: groupData,
		Short:   "Pack single reports for the stream until interrupted",
		Long: "Takes reports on the subject edge.v1.report, packs up to a hundred into one message of the stream CALLS, and answers\n" +
			"each client once its message is acknowledged. A stream that forces the disk takes some thousands of messages a second\n" +
			"whatever their size, so this is what lets it take tens of thousands of reports. An edge keeps no address and writes\n" +
			"no file. Any number of these may share the work; \"attune up\" runs one beside the NATS inside it. On a server an edge\n" +
			"has two users with one password: edge for the stream, gate for the clients.",
		Example: "  attune edge --nats nats://edge:secret@nats:4222\n" +
			"  attune edge --front nats://gate:secret@gateway:4222 --nats nats://edge:secret@nats:4222",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config := edge.Config{MaxReports: o.maxReports, MaxWait: o.maxWait, Logger: s.log}
			if err := o.validate(s.config.NATS, config); err != nil {
				return usageError{fmt.Errorf("edge: %w", err)}
			}
			return s.edge(cmd.Context(), o, config)
		},
	}
	data := s.dataFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.nats, "nats", "", "URL of the NATS server that has the stream, nats://user:password@host:4222")
	flags.StringVar(&o.front, "front", "", "URL of the NATS server that clients send reports to (default: the same, as its user gate)")
	flags.IntVar(&o.maxReports, "max-reports", 100, "most reports in one message")
	flags.DurationVar(&o.maxWait, "max-wait", 20*time.Millisecond, "longest time a report waits for others")
	flags.DurationVar(&o.every, "every", 10*time.Second, "how often to print the counts")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		override(cmd, "nats", &o.nats, &s.config.NATS)
		override(cmd, "data", data, &s.config.Data)
		return nil
	}
	s.metricsFlag(cmd)
	return cmd
}

func (o *edgeOptions) validate(server string, config edge.Config) error {
	switch {
	case server == "":
		return errors.New("--nats is missing: name the server that has the stream; \"attune up\" with NATS inside it runs an edge of its own")
	case o.every <= 0:
		return fmt.Errorf("--every: %v, want more than 0", o.every)
	case o.maxReports < 1:
		return fmt.Errorf("--max-reports: %d, want at least 1", o.maxReports)
	case o.maxWait <= 0:
		return fmt.Errorf("--max-wait: %v, want more than 0", o.maxWait)
	}
	config.Front = new(nats.Conn) // only the numbers are looked at
	return config.Validate()
}

// edge runs one until ctx ends.
func (s *settings) edge(ctx context.Context, o edgeOptions, config edge.Config) error {
	known := filepath.Join(s.config.Data, "nats") // where an "attune up" on this machine tells how to reach it
	back, err := loop.Connect(ctx, broker.OperatorURL(s.config.NATS, known), "attune-edge", true, s.log)
	if err != nil {
		return err
	}
	defer back.Close()
	front := o.front
	if front == "" {
		front = broker.GateURL(broker.OperatorURL(s.config.NATS, known))
	}
	config.Back = back
	metrics, err := loop.ServeMetrics(s.config.Metrics, s.log)
	if err != nil {
		return err
	}
	defer func() { _ = metrics.Close() }()
	config.Metrics = metrics.Registerer()
	if config.Front, err = loop.Connect(ctx, front, "attune-edge", true, s.log); err != nil {
		return err
	}
	defer config.Front.Close()
	edging, err := loop.StartEdge(ctx, config)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "edge between %s and %s\n", hostOf(config.Front), hostOf(back))
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			err := edging.Stop()
			printEdge(s, edging)
			return err
		case err := <-edging.Ended():
			return err
		case <-tick.C:
			printEdge(s, edging)
		}
	}
}

// hostOf is a server's address without credentials.
func hostOf(conn *nats.Conn) string {
	u, err := url.Parse(conn.ConnectedUrlRedacted())
	if err != nil || u.Host == "" {
		return "a server that does not answer right now"
	}
	return u.Scheme + "://" + u.Host
}

func printEdge(s *settings, e *loop.Edging) {
	stats := e.Stats()
	fmt.Fprintf(s.out, "received %d, acknowledged %d, duplicates %d, waiting %d, packs %d, told to send again %d, not taken %d, too large %d, unanswerable %d\n",
		stats.Received, stats.Acknowledged, stats.Duplicates, stats.Pending(), stats.Packs, stats.Failed, stats.NotTaken, stats.TooLarge, stats.Unanswerable)
}
