package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

// Sender sends reports to the stream and counts the acknowledgements. No more messages than telemetry.MaxWindow are on
// the way at once, so its memory is bounded. It serves one goroutine.
type Sender struct {
	Stream jetstream.JetStream // see telemetry.NewPublisher
	// Single sends each report alone, as clients do. Otherwise reports go in packs, as from an edge, which needs the
	// rights of an edge or an operator.
	Single bool

	pack    pack
	pending []sent
	counts  Sent
}

// Sent is what became of the reports.
type Sent struct {
	Reports      uint64 // handed to the stream
	Acknowledged uint64 // of these, on the stream's disk
}

// sent is a message on the way.
type sent struct {
	ack     jetstream.PubAckFuture
	reports int
}

// Send sends a report, or keeps it until its pack is full. It waits while too many messages are on the way.
func (s *Sender) Send(ctx context.Context, id telemetry.ReportID, report []byte) error {
	if s.Single {
		return s.publish(ctx, telemetry.Subject, telemetry.MessageID(id), report, 1)
	}
	if !s.pack.fits(report) {
		if err := s.publishPack(ctx); err != nil {
			return err
		}
	}
	s.pack.add(report)
	return nil
}

// Flush sends what is in the last pack and waits until every report is acknowledged.
func (s *Sender) Flush(ctx context.Context) error {
	if s.pack.reports > 0 {
		if err := s.publishPack(ctx); err != nil {
			return err
		}
	}
	return s.await(ctx, 0)
}

// Counts is what has been sent so far.
func (s *Sender) Counts() Sent { return s.counts }

// publishPack names a pack by its content, so that one that is sent again counts once.
func (s *Sender) publishPack(ctx context.Context) error {
	data, reports := s.pack.take()
	sum := sha256.Sum256(data)
	return s.publish(ctx, telemetry.PackSubject, hex.EncodeToString(sum[:16]), data, reports)
}

func (s *Sender) publish(ctx context.Context, subject, id string, data []byte, reports int) error {
	ack, err := s.Stream.PublishAsync(subject, data, jetstream.WithMsgID(id))
	if err != nil {
		return fmt.Errorf("send reports: %w", err)
	}
	s.counts.Reports += uint64(reports)
	s.pending = append(s.pending, sent{ack, reports})
	return s.await(ctx, telemetry.MaxWindow)
}

// await waits until no more than so many messages are without an acknowledgement.
func (s *Sender) await(ctx context.Context, most int) error {
	for len(s.pending) > most {
		select {
		case <-s.pending[0].ack.Ok():
		case err := <-s.pending[0].ack.Err():
			return fmt.Errorf("the stream did not take a message: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
		s.counts.Acknowledged += uint64(s.pending[0].reports)
		s.pending = s.pending[1:]
	}
	return nil
}
