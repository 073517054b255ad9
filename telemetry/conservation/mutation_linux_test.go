package conservation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// TestPlantedFaultsAreNoticed has an ingest that is wrong on purpose, and a reader that forgets FINAL, and expects the
// verdict to say so. With neither, the same events have no consequence.
func TestPlantedFaultsAreNoticed(t *testing.T) {
	for _, c := range []struct {
		mutation mutation
		rows     rowsOfCalls
		noticed  func(*verdict) bool
	}{
		{mutationNone, eachOnce, (*verdict).faultless},
		{mutationNone, asStored, func(v *verdict) bool { return len(v.doubled) > 0 && len(v.lost) == 0 }},
		{mutationEarlyAck, eachOnce, func(v *verdict) bool { return len(v.lost) > 0 && len(v.doubled) == 0 }},
		{mutationAlters, eachOnce, func(v *verdict) bool {
			return strings.Contains(v.String(), "nobody sent it") && strings.Contains(v.String(), "is stored as")
		}},
	} {
		t.Run(fmt.Sprintf("ingest %s, read from %s", c.mutation, c.rows), func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, 7, c.mutation)
			if err := s.addClients(t, 0, 2); err != nil {
				t.Fatal(err)
			}
			if err := s.misfortune(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, w := range s.workers { // one that acknowledges too early may still be inserting
				w.process.kill()
			}
			s.settled(t)
			h, err := s.look(t.Context(), c.rows)
			if err != nil {
				t.Fatal(err)
			}
			if v := judge(s.oracle, h); !c.noticed(v) || v.acknowledged != 80 {
				t.Errorf("of %d acknowledged reports %d are lost and %d doubled; %s", v.acknowledged, len(v.lost), len(v.doubled), v)
			}
		})
	}
}

// misfortune publishes 80 reports while both ingest processes die, first between insert and acknowledgement, then with
// reports in hand that they cannot store.
func (s *system) misfortune(ctx context.Context) error {
	conn, err := connect(s.server.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Exec(ctx, "SYSTEM STOP MERGES"); err != nil { // they would remove the copies
		return err
	}
	for _, w := range s.workers {
		if err := w.process.tell(command{Strike: strikeSelf, Until: time.Now().Add(time.Minute)}); err != nil {
			return err
		}
	}
	if err := s.publish(ctx, 40); err != nil {
		return err
	}
	for _, w := range s.workers {
		select {
		case <-w.process.done:
		case <-time.After(2 * ackWait): // the other one may have had them all
			w.process.kill()
		}
		if err := s.runWorker(ctx, w); err != nil {
			return err
		}
	}
	if err := s.drained(ctx, readyPatience); err != nil {
		return err
	}

	s.toStore.cut()
	if err := s.publish(ctx, 40); err != nil {
		return err
	}
	err = retry(ctx, func(ctx context.Context) error {
		consumer, err := s.admin.Consumer(ctx, telemetry.Stream, "ingest")
		if err != nil {
			return err
		}
		if info := consumer.CachedInfo(); info.NumPending == 40 {
			return errors.New("all reports are in nobody's hands")
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range s.workers {
		w.process.kill()
	}
	s.toStore.mend()
	for _, w := range s.workers {
		if err := s.runWorker(ctx, w); err != nil {
			return err
		}
	}
	return s.drained(ctx, readyPatience)
}

// settled waits until the server has dealt with what workers had sent before they died.
func (s *system) settled(t *testing.T) {
	t.Helper()
	conn, err := connect(s.server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	err = retry(t.Context(), func(ctx context.Context) error {
		var inserting uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'").Scan(&inserting); err != nil {
			return err
		}
		if inserting > 0 {
			return fmt.Errorf("%d inserts are under way", inserting)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// publish has each publisher do its part of n reports.
func (s *system) publish(ctx context.Context, n int) error {
	for i := range n {
		p := s.publishers[i%len(s.publishers)]
		number, r := s.oracle.issue(p.name, 0)
		if err := p.insist(ctx, number, &r); err != nil {
			return err
		}
	}
	return nil
}
