package broker_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

func Example() {
	dir, err := os.MkdirTemp("", "broker")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := broker.Start(broker.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := broker.ConnectWithin(ctx, 5*time.Second, server.OperatorURL(), "attune-example", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	stream, err := broker.EnsureStream(ctx, js)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stream.CachedInfo().Config.Name, stream.CachedInfo().Config.Retention)
	// Output: CALLS WorkQueue
}
