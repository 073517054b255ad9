package transparency

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

const reportsPurpose = "reports on their way to the warehouse; each is deleted once it is stored there"

// streamsOf asks JetStream for every stream and what waits in it.
func streamsOf(ctx context.Context, s *Sources) (Streams, error) {
	if s.JetStream == nil {
		return Streams{Why: cmp.Or(s.NoStreams, "no NATS server was given"), List: []Stream{}}, nil
	}
	streams := Streams{Reached: true, List: []Stream{}}
	lister := s.JetStream.ListStreams(ctx)
	for info := range lister.Info() {
		streams.List = append(streams.List, streamOf(info, s.Purposes))
	}
	if err := lister.Err(); err != nil {
		return Streams{}, fmt.Errorf("list the streams: %w", err)
	}
	slices.SortFunc(streams.List, func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) })
	return streams, nil
}

func streamOf(info *jetstream.StreamInfo, purposes map[string]string) Stream {
	c := &info.Config
	purpose := purposes[c.Name]
	if c.Name == telemetry.Stream {
		purpose = reportsPurpose
	}
	stream := Stream{
		Name: c.Name, Subjects: orEmpty(c.Subjects), Purpose: purpose, Keeps: keeps(c.Retention),
		MaxAge: c.MaxAge, MaxBytes: c.MaxBytes, MaxPerItem: c.MaxMsgsPerSubject,
		Messages: info.State.Msgs, Bytes: info.State.Bytes,
	}
	if info.State.Msgs > 0 {
		// The exact time of arrival is not for publication either.
		hour := info.State.FirstTime.UTC().Truncate(time.Hour)
		stream.Oldest = &hour
	}
	return stream
}

func keeps(p jetstream.RetentionPolicy) string {
	switch p {
	case jetstream.WorkQueuePolicy:
		return "until taken"
	case jetstream.InterestPolicy:
		return "until all readers have it"
	default:
		return "up to the limits"
	}
}
