package telemetry_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// A client reports one call. The connection comes first here because the example brings its own server; a client need
// not wait for it.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := broker.Start(broker.Config{Dir: filepath.Join(dir, "nats")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	conn, err := telemetry.Connect(ctx, server.ClientURL(), "attune-client", nil)
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
	if err := setUp(ctx, server); err != nil {
		fmt.Println(err)
		return
	}
	reporter, err := telemetry.NewReporter(telemetry.ReporterConfig{
		Enabled: true, Publisher: js, Spool: filepath.Join(dir, "spool"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	call := reporter.Call(model.Context{Network: model.NetworkWiFi}, telemetry.OriginCall)
	call.Stage(model.StageMedia)
	call.Record(model.Segment{Cause: model.CauseStart, Action: model.DefaultAction(), Propensity: model.PropensityScale, Seconds: 4})
	call.End(false)

	if err := reporter.Close(ctx); err != nil {
		fmt.Println(err)
		return
	}
	counts := reporter.Counts()
	fmt.Println("acknowledged", counts.Acknowledged, "of", counts.Created)
	// Output: acknowledged 1 of 1
}

// setUp makes the stream, as the operator does.
func setUp(ctx context.Context, server *broker.Server) error {
	conn, err := telemetry.Connect(ctx, "", "attune-server", nil, server.InProcess())
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := telemetry.NewPublisher(conn)
	if err == nil {
		_, err = broker.EnsureStream(ctx, js)
	}
	return err
}
