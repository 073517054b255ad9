package edge_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/telemetry/edge"
)

// A client that reports through an edge differs from another by one subject.
func Example() {
	if err := example(); err != nil {
		fmt.Println(err)
	}
	// Output: created 3, acknowledged 3
}

func example() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := broker.Start(broker.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()

	// The edge.
	conn, err := telemetry.ConnectWithin(ctx, 5*time.Second, server.OperatorURL(), "attune-edge", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		return err
	}
	if _, err := broker.EnsureStream(ctx, js); err != nil {
		return err
	}
	gate, err := telemetry.ConnectWithin(ctx, 5*time.Second, broker.GateURL(server.OperatorURL()), "attune-edge", nil)
	if err != nil {
		return err
	}
	defer gate.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- edge.Run(running, edge.Config{Front: gate, Back: conn}) }()

	// The client.
	client, err := telemetry.ConnectWithin(ctx, 5*time.Second, server.ClientURL(), "attune-client", nil)
	if err != nil {
		return err
	}
	defer client.Close()
	publisher, err := telemetry.NewPublisher(client)
	if err != nil {
		return err
	}
	reporter, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: true, Publisher: publisher, Subject: telemetry.EdgeSubject})
	if err != nil {
		return err
	}
	for range 3 {
		reporter.Call(model.Context{Network: model.Network4G}, telemetry.OriginSimulation).End(false)
	}
	if err := reporter.Close(ctx); err != nil {
		return err
	}
	counts := reporter.Counts()
	fmt.Printf("created %d, acknowledged %d\n", counts.Created, counts.Acknowledged)
	stop()
	return <-ended
}
