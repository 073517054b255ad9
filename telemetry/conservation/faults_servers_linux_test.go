package conservation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

const (
	strikePatience = 8 * time.Second  // for a block to be stored
	doubtPatience  = 10 * time.Second // for a report to come that a wrong clock would refuse
	readyPatience  = 60 * time.Second // for a server to answer again
)

// strikeServer does what befalls ingest, NATS and ClickHouse.
func (s *system) strikeServer(ctx context.Context, f fault, rng *rand.Rand) error {
	w := s.workers[rng.IntN(len(s.workers))]
	switch f.kind {
	case faultConsumerDeleted:
		return retry(ctx, func(ctx context.Context) error {
			err := s.admin.DeleteConsumer(ctx, telemetry.Stream, "ingest")
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				return nil
			}
			return err
		})
	case faultStreamRecreated:
		return s.recreateStream(ctx)
	}
	switch f.name {
	case "ingest":
		return s.strikeIngest(ctx, w, f, rng)
	case "clickhouse":
		return s.strikeClickHouse(ctx, w, f, rng)
	case "nats":
		return s.strikeNATS(ctx, f, rng)
	}
	return errors.New("no such server")
}

func (s *system) strikeIngest(ctx context.Context, w *worker, f fault, rng *rand.Rand) error {
	switch f.kind {
	case faultFreeze: // sometimes for longer than the stream waits before it gives the batch to the other worker
		w.process.signal(syscall.SIGSTOP)
		sleep(ctx, time.Duration(rng.Int64N(int64(ackWait+2*time.Second))))
		w.process.signal(syscall.SIGCONT)
		return nil
	case faultClockJump:
		return s.jumpClock(ctx, w, f)
	case faultStop:
		w.process.stop(30 * time.Second)
	case faultKillAfterStore:
		if err := s.order(ctx, w, strikeSelf, 0); err != nil {
			return err
		}
		<-w.process.done
		s.happened.selfKills.Add(1)
	case faultKill:
		w.process.kill()
	}
	sleep(ctx, f.hold/2)
	return s.runWorker(ctx, w)
}

// jumpClock starts a worker with a clock so far ahead that all there is seems to be past its time, sets it back so far that
// all there is seems to be of the future, and then right. A worker deletes what is past its time when it starts. Each time it
// is left until it has doubted its clock for the sake of a report, for a while at least.
func (s *system) jumpClock(ctx context.Context, w *worker, f fault) error {
	const jump = retention + 10*24*time.Hour
	w.process.kill()
	w.ahead = jump
	err := s.runWorker(ctx, w)
	w.ahead = 0
	if err != nil {
		return err
	}
	for _, ahead := range []time.Duration{-jump, 0} {
		before := s.happened.doubts.Load()
		sleep(ctx, f.hold+time.Second)
		for began := time.Now(); s.happened.doubts.Load() == before && time.Since(began) < doubtPatience; {
			sleep(ctx, 100*time.Millisecond)
		}
		if err := w.process.tell(command{Ahead: &ahead}); err != nil {
			return fmt.Errorf("set the clock of %s: %w", w.name, err)
		}
	}
	return nil
}

// order has a worker strike when it has stored the next block, and waits for it.
func (s *system) order(ctx context.Context, w *worker, strike string, server int) error {
	began := time.Now()
	until := began.Add(strikePatience)
	for len(w.struck) > 0 {
		<-w.struck
	}
	for {
		if err := w.process.tell(command{Strike: strike, Server: server, Until: until}); err != nil {
			return fmt.Errorf("order to %s: %w", w.name, err)
		}
		select {
		case <-w.struck:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(until) + time.Second):
		}
		if until = time.Now().Add(strikePatience); time.Since(began) > readyPatience {
			return fmt.Errorf("%s stores nothing", w.name)
		}
	}
}

func (s *system) strikeClickHouse(ctx context.Context, w *worker, f fault, rng *rand.Rand) error {
	pid := s.server.PID()
	if pid == 0 {
		return errors.New("clickhouse is not running")
	}
	switch f.kind {
	case faultFreeze:
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		sleep(ctx, f.hold+time.Duration(rng.Int64N(int64(2*time.Second))))
		_ = syscall.Kill(pid, syscall.SIGCONT)
	case faultDiskFull:
		if err := s.warehouseDisk.fill(rng.Int64N(32)); err != nil {
			return err
		}
		sleep(ctx, 2*f.hold)
		if err := s.warehouseDisk.free(); err != nil {
			return err
		}
	case faultKill:
		_ = syscall.Kill(pid, syscall.SIGKILL)
	case faultKillAfterStore:
		if err := s.order(ctx, w, strikeServer, pid); err != nil {
			return err
		}
		s.happened.serverKills.Add(1)
	}
	return retry(ctx, s.store.Ping)
}

func (s *system) strikeNATS(ctx context.Context, f fault, rng *rand.Rand) error {
	switch f.kind {
	case faultFreeze:
		s.broker.signal(syscall.SIGSTOP)
		sleep(ctx, f.hold+time.Duration(rng.Int64N(int64(time.Second))))
		s.broker.signal(syscall.SIGCONT)
		return nil
	case faultDiskFull: // the server gives up JetStream, and is started again, by itself or by somebody
		if err := s.brokerDisk.fill(rng.Int64N(8)); err != nil {
			return err
		}
		sleep(ctx, 2*f.hold)
		if err := s.brokerDisk.free(); err != nil {
			return err
		}
		switch rng.IntN(3) {
		case 0:
			s.broker.stop(10 * time.Second)
		case 1:
			s.broker.kill()
		default:
			return s.brokerStores(ctx)
		}
	case faultStop:
		s.broker.stop(10 * time.Second)
		sleep(ctx, f.hold/2)
	case faultKill:
		s.broker.kill()
		sleep(ctx, f.hold/2)
	}
	if err := s.runBroker(ctx); err != nil {
		return err
	}
	return s.brokerAnswers(ctx)
}

func (s *system) brokerAnswers(ctx context.Context) error {
	return retry(ctx, func(ctx context.Context) error {
		_, err := s.admin.Stream(ctx, telemetry.Stream)
		return err
	})
}

// brokerStores waits until the stream takes reports again, of which clients have some all the time.
func (s *system) brokerStores(ctx context.Context) error {
	last := uint64(0)
	return retry(ctx, func(ctx context.Context) error {
		stream, err := s.admin.Stream(ctx, telemetry.Stream)
		if err != nil {
			return err
		}
		state := stream.CachedInfo().State
		if last == 0 || state.LastSeq <= last {
			last = max(last, state.LastSeq)
			return errors.New("the stream stores nothing")
		}
		return nil
	})
}

// recreateStream does what an operator must do to change what cannot be changed: the stream takes no more reports, is
// drained, deleted, and made anew. Deleting it earlier would lose what is in it, and nothing could bring that back.
func (s *system) recreateStream(ctx context.Context) error {
	s.calm.Lock() // draining through broken connections may take for ever
	defer s.calm.Unlock()
	if err := retry(ctx, func(ctx context.Context) error {
		stream, err := s.admin.Stream(ctx, telemetry.Stream)
		if err != nil {
			return err
		}
		cfg := stream.CachedInfo().Config
		cfg.Subjects = []string{"retired.v1.>"}
		_, err = s.admin.UpdateStream(ctx, cfg)
		return err
	}); err != nil {
		return err
	}
	if err := s.drained(ctx, readyPatience); err != nil {
		return errors.Join(err, retry(ctx, s.makeStream)) // the rest of the test needs one that takes reports
	}
	if err := retry(ctx, func(ctx context.Context) error {
		err := s.admin.DeleteStream(ctx, telemetry.Stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return err
	}); err != nil {
		return err
	}
	return retry(ctx, s.makeStream)
}

// retry repeats what a server that has just come back may not do yet.
func retry(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for {
		brief, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := try(brief)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		sleep(ctx, 50*time.Millisecond)
	}
}
