package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/reportpb"
)

// callSegments is a call of three minutes that decides every four seconds.
const callSegments = 45

// benchClient measures what a report costs on the client, next to the code protoc generates for the same message.
func benchClient(r *report) error {
	one, measured := call(rand.New(rand.NewPCG(1, 1)), callSegments)
	buffer, err := one.AppendMarshal(nil)
	if err != nil {
		return err
	}
	size := len(buffer)
	generated := new(reportpb.Report)
	if err := proto.Unmarshal(buffer, generated); err != nil {
		return err
	}
	if size2 := proto.Size(generated); size2 != size {
		return fmt.Errorf("the generated code makes %d bytes of a report of %d", size2, size)
	}

	var fault error
	quantize := func() {
		context := one.Context
		for i := range measured {
			one.Segments[i].Context = context
			one.Segments[i].Outcome = measured[i].Outcome()
			measured[i].Describe(&context)
		}
	}
	encode := func() { buffer, fault = one.AppendMarshal(buffer[:0]) }
	times := each(
		func() { quantize(); encode() },
		encode,
		quantize,
		func() { buffer, fault = proto.MarshalOptions{}.MarshalAppend(buffer[:0], generated) },
		func() { fault = telemetry.Unmarshal(buffer, &one) },
	)
	if fault != nil {
		return fault
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	both := most("client: quantize and encode a report of 3 minutes", us(times[0]), "us", 2)
	both.Note = fmt.Sprintf("%d segments; encoding alone %.2f us at the end of the call; quantizing %.2f us, spread over the call, %.0f ns a segment",
		callSegments, us(times[1]), us(times[2]), 1000*us(times[2])/callSegments)
	both = both.limitedBy("quantizing takes %.0f %% of it", 100*us(times[2])/us(times[0]))
	rival := figure{Name: "client: encoding against the generated protobuf code", Value: us(times[1]) / us(times[3]), Unit: "of its time"}
	rival.Note = fmt.Sprintf("generated: %.2f us from a message that is ready, with nothing to fill in", us(times[3]))
	r.add(both, most("client: bytes of that report", float64(size), "bytes", 1024).limitedBy("%.1f bytes for each of %d segments", float64(size)/callSegments, callSegments), rival)
	return nil
}

// each measures functions in turns, so that whatever slows the machine slows all of them, and returns the quickest turn
// of each, per run.
func each(functions ...func()) []time.Duration {
	const turns, turn = 9, 40 * time.Millisecond
	best := make([]time.Duration, len(functions))
	for range turns {
		for i, f := range functions {
			began, runs := time.Now(), 0
			for time.Since(began) < turn {
				for range 64 {
					f()
				}
				runs += 64
			}
			if took := time.Since(began) / time.Duration(runs); best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	return best
}
