package loop

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/telemetry/ingest"
)

// Ingesting is reports on their way into ClickHouse, in the background.
type Ingesting struct {
	*ingest.Ingest
	cancel context.CancelFunc
	ended  chan error
}

// StartIngest moves reports until Stop, or until ctx ends. Metrics may be nil.
func StartIngest(ctx context.Context, b *Backends, c config.Config, log *slog.Logger, metrics prometheus.Registerer) (*Ingesting, error) {
	mover, err := ingest.New(ingest.Config{
		JetStream: b.JetStream, Warehouse: b.Warehouse, Workers: c.Ingest.Workers, Batch: c.Ingest.Batch, MaxWait: c.Ingest.MaxWait,
		AckWait: c.Ingest.AckWait, MinCell: c.Privacy.MinCell, Retention: c.Privacy.Retention,
		Logger: log, Metrics: metrics,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	i := &Ingesting{Ingest: mover, cancel: cancel, ended: make(chan error, 1)}
	go func() { i.ended <- mover.Run(ctx) }()
	return i, nil
}

// Stop finishes the batches in hand and waits.
func (i *Ingesting) Stop() error {
	i.cancel()
	return <-i.ended
}
