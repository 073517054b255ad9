package conservation

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/edge"
)

// edgeConfig is given to the child that is an edge.
type edgeConfig struct{ NATS string }

// runEdge is an edge until ctx ends.
func runEdge(ctx context.Context, config []byte, say func(event), _ <-chan command) error {
	var cfg edgeConfig
	if err := json.Unmarshal(config, &cfg); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	conn, err := telemetry.Connect(ctx, cfg.NATS, "attune-edge", log, quickly()...)
	if err != nil {
		return err
	}
	defer conn.Close()
	gate, err := telemetry.Connect(ctx, broker.GateURL(cfg.NATS), "attune-edge", log, quickly()...)
	if err != nil {
		return err
	}
	defer gate.Close()
	say(event{Ready: true})
	go tellReconnects(ctx, conn, say)
	return edge.Run(ctx, edge.Config{Front: gate, Back: conn, AckTimeout: 500 * time.Millisecond, Logger: log})
}
