package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// outbox is a publisher that keeps what a Reporter sends, instead of sending it.
type outbox struct{ sent []*nats.Msg }

// Conn is nil: there is no connection that could be down.
func (*outbox) Conn() *nats.Conn { return nil }

// PublishMsgAsync takes the message and acknowledges it at once.
func (b *outbox) PublishMsgAsync(m *nats.Msg, _ ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	b.sent = append(b.sent, m)
	taken := acknowledged{make(chan *jetstream.PubAck, 1)}
	taken.ok <- &jetstream.PubAck{Stream: telemetry.Stream, Sequence: uint64(len(b.sent))}
	return taken, nil
}

type acknowledged struct{ ok chan *jetstream.PubAck }

func (a acknowledged) Ok() <-chan *jetstream.PubAck { return a.ok }
func (a acknowledged) Err() <-chan error            { return nil }
func (a acknowledged) Msg() *nats.Msg               { return nil }

// exampleReport makes up a call of three segments and gives the message a Reporter publishes of it. Only the length of
// the call is not as it would be: no time passes, so it is below two seconds.
func exampleReport(ctx context.Context) (*nats.Msg, error) {
	out := new(outbox)
	reporter, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: true, Publisher: out})
	if err != nil {
		return nil, err
	}
	known := model.Context{
		Network: model.Network4G, Metered: model.MeteredYes, Device: model.DeviceMid,
		TimeOfDay: model.TimeEvening, Reach: model.ReachUDP,
	}
	if known.Region, err = model.ParseRegion("DE"); err != nil {
		return nil, err
	}
	call := reporter.Call(known, telemetry.OriginCall)
	call.Stage(model.StageMedia)
	cause, action := model.CauseStart, model.DefaultAction()
	for i, loss := range []float64{0, 0.031, 0.012} {
		measured := model.Unmeasured()
		measured.MOS, measured.LossBefore, measured.LossAfter, measured.Concealed = 4.1-12*loss, loss, loss/3, loss/2
		measured.RoundTripTime, measured.Jitter = 84*time.Millisecond, 9*time.Millisecond
		measured.JitterBufferDelay, measured.SentKbps, measured.AvailableKbps, measured.BurstRatio = 61*time.Millisecond, 51, 240, 1.3
		call.Record(model.Segment{
			Cause: cause, Context: known, Action: action, Propensity: 940_000, Explored: i == 1, Policy: 12, Experiment: 3, Arm: 1,
			Seconds: 5, Outcome: measured.Outcome(),
		})
		measured.Describe(&known)
		known.Previous, cause = action, model.CauseInterval
		action.BitrateKbps, action.FrameMillis, action.Bandwidth = 24, 40, model.BandwidthWide
	}
	call.Rate(4, telemetry.ProblemDelay)
	call.End(false)
	if err := reporter.Close(ctx); err != nil {
		return nil, err
	}
	if len(out.sent) != 1 {
		return nil, fmt.Errorf("example: %d messages of one call", len(out.sent))
	}
	return out.sent[0], nil
}
