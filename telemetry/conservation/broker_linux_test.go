package conservation

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"

	"github.com/attune-calls/attune/telemetry/broker"
)

// brokerConfig is given to the child that is the NATS server.
type brokerConfig struct {
	Dir  string
	Port int
}

// runBroker is a NATS server until ctx ends.
func runBroker(ctx context.Context, config []byte, say func(event), _ <-chan command) error {
	var cfg brokerConfig
	if err := json.Unmarshal(config, &cfg); err != nil {
		return err
	}
	server, err := broker.Start(broker.Config{Dir: cfg.Dir, Port: cfg.Port, MaxStore: 1 << 30, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	say(event{Ready: true, URL: server.OperatorURL()})
	<-ctx.Done()
	return server.Close()
}
