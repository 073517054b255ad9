package telemetry_test

import (
	"context"

	"github.com/pion/interceptor"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
)

// What a pion client adds, as the README shows it: policies and a reporter once, an interceptor and a leg for each call.
func Example_client() {
	var ( // what the client has
		ctx                          = context.Background()
		root                         []byte
		cacheDir, spoolFile, natsURL string
		consent                      bool
		whereIAm                     model.Context
		deviceSeed                   uint64
		encoder                      policy.Encoder
		player                       policy.PlayoutSource
		registry                     interceptor.Registry
	)
	conn, err := telemetry.Connect(ctx, natsURL, "call-client", nil) // once; comes back by itself whenever it is lost
	check(err)
	publisher, err := telemetry.NewPublisher(conn)
	check(err)
	policies, err := delivery.NewClient(delivery.ClientConfig{
		Root: root, Cache: cacheDir, Endpoints: []delivery.Endpoint{delivery.NewNATSStore(publisher)},
	})
	check(err)
	go func() { _ = policies.Run(ctx) }() // stays fresh
	reporter, err := telemetry.NewReporter(telemetry.ReporterConfig{
		Enabled: consent, Publisher: publisher, Subject: telemetry.EdgeSubject, Spool: spoolFile,
	})
	check(err)

	leg := reporter.Call(whereIAm, telemetry.OriginCall) // for each call
	tuner, err := policy.NewInterceptor(
		policy.WithSource(policies), policy.WithContext(whereIAm), policy.WithSeed(deviceSeed),
		policy.WithEncoder(encoder), policy.WithPlayout(player), policy.WithQuality(codec.Measured{}), policy.WithRecorder(leg))
	check(err)
	registry.Add(tuner) // before other interceptors; tuner.Action() says what to gather
	defer leg.End(false)
	defer func() { check(tuner.Close()) }()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
