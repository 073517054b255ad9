package conservation

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// strikeClient does what befalls clients and the edge.
func (s *system) strikeClient(ctx context.Context, f fault, rng *rand.Rand) error {
	p := s.publishers[rng.IntN(len(s.publishers))]
	switch f.kind {
	case faultStop:
		if f.name == "edge" {
			s.edge.stop(10 * time.Second)
			return s.runEdge(ctx)
		}
		c := s.callers[rng.IntN(len(s.callers))]
		return c.restart(ctx, time.Duration(rng.Int64N(int64(200*time.Millisecond))))
	case faultDiskFull: // with the connection cut: the spool is all there is
		s.toSpooler.cut()
		err := s.spoolDisk.fill(0)
		sleep(ctx, f.hold)
		s.toSpooler.mend()
		return errors.Join(err, s.spoolDisk.free())
	case faultWrongHours: // those of a client whose clock is wrong
		hours := []time.Duration{-200 * 24, -60 * 24, -5 * 24, -49, 24, 47, 60, 5 * 24, 400 * 24}
		p.ahead.Store(int64(hours[rng.IntN(len(hours))] * time.Hour))
		sleep(ctx, f.hold)
		p.ahead.Store(0)
		return nil
	case faultKill:
		s.edge.kill()
		sleep(ctx, f.hold/2)
		return s.runEdge(ctx)
	case faultFreeze:
		s.edge.signal(syscall.SIGSTOP)
		sleep(ctx, f.hold)
		s.edge.signal(syscall.SIGCONT)
		return nil
	case faultResend:
		return s.resend(ctx, p, rng)
	case faultCopies:
		return s.copies(ctx)
	}
	return errors.New("no such fault of a client")
}

// resend publishes reports again that were acknowledged longer ago than the stream remembers.
func (s *system) resend(ctx context.Context, p *publisher, rng *rand.Rand) error {
	return retry(ctx, func(ctx context.Context) error {
		stored := 0
		for n, r := range s.oracle.oldAcknowledged(rng.Uint64N(1<<40), duplicatesWindow+time.Second, 20) {
			ack, err := p.publish(ctx, &r, telemetry.MessageID(r.ID))
			if err != nil {
				continue
			}
			s.oracle.acknowledge(n, ack.Duplicate)
			if !ack.Duplicate {
				stored++
			}
		}
		if stored == 0 {
			return errors.New("no report is old enough, or the stream takes none")
		}
		s.happened.resent.Add(int64(stored))
		return nil
	})
}

// copies publishes one report through every publisher at once, under its own message id and under others, which the
// stream cannot tell to be copies.
func (s *system) copies(ctx context.Context) error {
	n, r := s.oracle.issue("copies", 0)
	return retry(ctx, func(ctx context.Context) error {
		var wg sync.WaitGroup
		for i, p := range s.publishers {
			id := telemetry.MessageID(r.ID)
			if i%2 == 1 {
				id = p.name + id
			}
			wg.Go(func() {
				if ack, err := p.publish(ctx, &r, id); err == nil {
					s.oracle.acknowledge(n, ack.Duplicate)
				}
			})
		}
		wg.Wait()
		if !s.oracle.acknowledged(n) {
			return errors.New("no copy is acknowledged")
		}
		return nil
	})
}
