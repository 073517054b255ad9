package conservation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// faultLog counts the faults that were injected.
type faultLog struct {
	mu   sync.Mutex
	done map[target]int
	errs []error
}

// inject runs the schedule, all lanes at the same time.
func (s *system) inject(ctx context.Context, plan schedule) *faultLog {
	log := &faultLog{done: make(map[target]int)}
	var wg sync.WaitGroup
	for _, faults := range plan {
		wg.Go(func() {
			for _, f := range faults {
				sleep(ctx, f.pause)
				if ctx.Err() != nil {
					return
				}
				began := time.Now()
				err := s.strike(ctx, f)
				s.log.Info("fault", "fault", f.String(), "took", time.Since(began).Round(time.Millisecond), "err", err)
				log.mu.Lock()
				if err != nil {
					log.errs = append(log.errs, fmt.Errorf("fault %v: %w", f, err))
				} else {
					log.done[f.target]++
				}
				log.mu.Unlock()
			}
		})
	}
	wg.Wait()
	return log
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// strike does one fault and returns when it is over.
func (s *system) strike(ctx context.Context, f fault) error {
	rng := rand.New(rand.NewPCG(f.draw, uint64(f.number)))
	switch f.lane {
	case laneClientLink:
		return s.poison(ctx, s.fromClients, f, rng)
	case laneIngestLink:
		return s.poison(ctx, s.toBroker, f, rng)
	case laneWarehouseLink:
		return s.poison(ctx, s.toStore, f, rng)
	case laneEdgeLink:
		return s.poison(ctx, s.toEdge, f, rng)
	case laneServers:
		return s.strikeServer(ctx, f, rng)
	case laneClients:
		return s.strikeClient(ctx, f, rng)
	}
	return errors.New("no such lane")
}

// poison spoils a connection for a while.
func (s *system) poison(ctx context.Context, l *link, f fault, rng *rand.Rand) error {
	s.calm.RLock()
	defer s.calm.RUnlock()
	stream := []string{"upstream", "downstream"}[rng.IntN(2)]
	var err error
	switch f.kind {
	case faultCut:
		l.cut()
		sleep(ctx, f.hold)
		l.mend()
		return nil
	case faultReset:
		err = l.poison("reset_peer", stream, fmt.Sprintf(`"timeout": %d`, rng.IntN(100)))
	case faultTimeout: // nothing passes, and at the end the connection closes
		err = l.poison("timeout", stream, `"timeout": 0`)
	case faultTruncate:
		err = l.poison("limit_data", stream, fmt.Sprintf(`"bytes": %d`, 100+rng.IntN(30_000)))
	case faultSlowClose: // the close comes with the cure
		err = l.poison("slow_close", stream, fmt.Sprintf(`"delay": %d`, 100+rng.IntN(1000)))
	case faultLatency:
		err = l.poison("latency", stream, fmt.Sprintf(`"latency": %d, "jitter": %d`, 20+rng.IntN(400), rng.IntN(100)))
	case faultBandwidth:
		err = l.poison("bandwidth", stream, fmt.Sprintf(`"rate": %d`, 1+rng.IntN(50)))
	default:
		err = fmt.Errorf("no such fault of a link: %s", f.kind)
	}
	if err != nil {
		return err
	}
	sleep(ctx, f.hold)
	return l.cure()
}
