package ingest

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/telemetry"
)

// The fields of a report that hold its id in every version of the schema.
const (
	fieldIDHigh protowire.Number = 2
	fieldIDLow  protowire.Number = 3
)

// newerID is the message id under which a report of a newer schema is published by itself. No version of the schema
// moves the id, so it is nearly always there to be read, and the report's own message, or one of another copy, is
// recognised. A report whose id cannot be read is named by where it was found.
func newerID(data []byte, m *message, position int) string {
	var id telemetry.ReportID
	found := 0
	for b := data; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			break
		}
		b = b[n:]
		if kind == protowire.Fixed64Type && (number == fieldIDHigh || number == fieldIDLow) && len(b) >= 8 {
			v := binary.LittleEndian.Uint64(b)
			binary.BigEndian.PutUint64(id[8*(number-fieldIDHigh):], v)
			found |= int(number)
		}
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			break
		}
		b = b[n:]
	}
	if found != int(fieldIDHigh|fieldIDLow) || id == (telemetry.ReportID{}) {
		return fmt.Sprintf("newer-%d-%d-%d", m.received.UnixNano(), m.sequence, position)
	}
	return telemetry.MessageID(id)
}

const (
	publishWait   = 10 * time.Second // for the stream to take some messages
	publishWindow = 256              // messages sent before the first answer is awaited
	againWait     = 30 * time.Second // until a pack comes again whose newer reports could not be published, at most
)

// publishNewer gives the newer reports of packs back to the stream, each as a message of its own, and waits for the
// stream's acknowledgement: only then may their packs be acknowledged. What the stream does not take, because it is
// full perhaps, does not hold up the batch: the pack stays in the stream and comes again, and by then its other reports
// are copies.
func (w *worker) publishNewer(ctx context.Context) {
	b := &w.block
	for left := b.newer; len(left) > 0; {
		w.touch()
		window := left[:min(publishWindow, len(left))]
		if fault := w.publish(ctx, window); fault != nil {
			for i := range left {
				b.messages[left[i].message].fate = fateAgain
			}
			w.metrics.retries.WithLabelValues("publish").Inc()
			w.cfg.Logger.Warn("cannot give reports of a newer schema back to the stream, their packs will come again", "err", fault)
			return
		}
		left = left[len(window):]
	}
}

// publish returns nil when the stream has acknowledged every report.
func (w *worker) publish(ctx context.Context, reports []newerReport) error {
	ctx, cancel := context.WithTimeout(ctx, min(publishWait, w.cfg.AckWait/4))
	defer cancel()
	answers := make([]jetstream.PubAckFuture, 0, len(reports))
	for i := range reports {
		m := &nats.Msg{Subject: telemetry.Subject, Data: reports[i].data}
		answer, err := w.cfg.JetStream.PublishMsgAsync(m, jetstream.WithMsgID(reports[i].id), jetstream.WithExpectStream(streamName))
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	for _, answer := range answers {
		select {
		case <-answer.Ok(): // also for a copy of a message that the stream has, or had until a moment ago
		case err := <-answer.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
