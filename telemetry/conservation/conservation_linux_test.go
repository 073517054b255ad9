package conservation

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	callers        = 6
	publishers     = 4
	callTick       = 25 * time.Millisecond
	publishTick    = 15 * time.Millisecond
	settlePatience = 2 * time.Minute
)

// TestConservation is the claim: see the package comment.
func TestConservation(t *testing.T) {
	if *faultCount < len(targets) {
		t.Fatalf("-faults %d: at least %d are needed for one of each kind", *faultCount, len(targets))
	}
	s := newSystem(t, *seedFlag, mutationNone)
	if err := s.addClients(t, callers, publishers); err != nil {
		t.Fatal(err)
	}
	plan := newSchedule(*seedFlag, *faultCount)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d, run again with -faults %d -seed %d; schedule:\n%s", *seedFlag, *faultCount, *seedFlag, plan.String())
		}
	})
	began := time.Now()
	finish := s.run(t.Context())
	log := s.inject(t.Context(), plan)
	struck := time.Since(began)
	for _, err := range log.errs {
		t.Error(err)
	}
	if err := finish(); err != nil {
		t.Error(err)
	}
	if err := s.drained(t.Context(), settlePatience); err != nil {
		t.Error(err)
	}
	settled := time.Since(began)
	h, err := s.look(t.Context(), eachOnce)
	if err != nil {
		t.Fatal(err)
	}
	v := judge(s.oracle, h)
	s.judgeDrops(v)
	s.report(t, log, v, h)
	t.Logf("faults for %v, settled after %v, judged after %v", struck.Round(time.Second), settled.Round(time.Second), time.Since(began).Round(time.Second))
}

// run lets all clients work. The function it returns ends that, once each report is acknowledged.
func (s *system) run(ctx context.Context) (finish func() error) {
	working, stop := context.WithCancel(ctx)
	hard, giveUp := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	book := func(err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			faults = append(faults, err)
		}
	}
	for _, c := range s.callers {
		wg.Go(func() { c.run(working, callTick) })
	}
	for _, p := range s.publishers {
		wg.Go(func() { book(p.run(working, hard, publishTick)) })
	}
	return func() error {
		stop()
		timer := time.AfterFunc(settlePatience, giveUp)
		defer timer.Stop()
		defer giveUp()
		wg.Wait()
		for _, c := range s.callers {
			book(c.settle(hard))
		}
		select {
		case err := <-s.fatal:
			book(err)
		default:
		}
		if len(faults) > 0 {
			return fmt.Errorf("clients: %v", faults)
		}
		return nil
	}
}

// judgeDrops compares what the Reporters say they did with what the stored reports tell: a Reporter acknowledges or drops
// each report, and each drop is told once.
func (s *system) judgeDrops(v *verdict) {
	for _, c := range s.callers {
		n := c.counts()
		if n.Created != n.Acknowledged+n.Dropped || n.Pending != 0 {
			v.fault("%s: reports do not add up: %+v", c.name, n)
		}
		if v.told[c.name] != n.Dropped {
			v.fault("%s dropped %d reports, and those stored tell of %d", c.name, n.Dropped, v.told[c.name])
		}
	}
}

// report prints the result and fails the test unless nothing is lost, doubled or wrong and everything happened.
func (s *system) report(t *testing.T, log *faultLog, v *verdict, h *holdings) {
	t.Helper()
	total, byKind := 0, make(map[string]int)
	for target, n := range log.done {
		total += n
		byKind[string(target.kind)] += n
	}
	for _, target := range targets {
		if log.done[target] == 0 {
			t.Errorf("coverage: no %s of %s", target.kind, target.name)
		}
	}
	kinds := make([]string, 0, len(byKind))
	for k, n := range byKind {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, n))
	}
	slices.Sort(kinds)
	fmt.Printf("%s faults (%s): %s reports acknowledged, lost %d doubled %d\n",
		thousands(total), strings.Join(kinds, ", "), thousands(v.acknowledged), len(v.lost), len(v.doubled))
	var dropped uint64
	var clientReconnects uint64
	for _, c := range s.callers {
		dropped += c.counts().Dropped
		clientReconnects += c.conn.Stats().Reconnects
	}
	for _, p := range s.publishers {
		clientReconnects += p.conn.Stats().Reconnects
	}
	covered := []struct {
		what string
		n    int64
	}{
		{"duplicate publishes", int64(s.oracle.duplicates)},
		{"redeliveries", s.happened.redeliveries.Load()},
		{"client reconnects", int64(clientReconnects)},
		{"ingest reconnects", s.happened.reconnects.Load()},
		{"insert retries", s.happened.retries.Load()},
		{"reports left to wait for the right time", s.happened.doubts.Load()},
		{"ingest killed between insert and acknowledgement", s.happened.selfKills.Load()},
		{"clickhouse killed between insert and acknowledgement", s.happened.serverKills.Load()},
		{"resent after the window", s.happened.resent.Load()},
		{"drops told by a later report", int64(dropped)},
		{"rated calls", int64(v.rated)},
		{"regions shown", int64(v.shown)},
		{"regions withheld", int64(v.withheld)},
	}
	var parts []string
	for _, c := range covered {
		parts = append(parts, fmt.Sprintf("%s %d", c.what, c.n))
		if c.n == 0 {
			t.Errorf("coverage: %s never happened", c.what)
		}
	}
	fmt.Printf("coverage: %s; rows %d for %d reports, clickhouse restarts %d, acknowledged messages that came back from a full disk %d\n",
		strings.Join(parts, ", "), h.counts.Rows, h.counts.Reports, s.server.Restarts(), s.happened.orphans.Load())
	if !v.faultless() {
		t.Error(v)
	}
}

// thousands is n with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
