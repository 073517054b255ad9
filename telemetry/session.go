package telemetry

import (
	"sync/atomic"
)

// session is the time from the user's consent to its end, or to Close: the calls that begin in it and their reports.
// What is not on its way when consent ends is never sent, and a call that began under one consent is not reported under
// a later one.
type session struct {
	*Reporter

	// Guarded by Reporter.mu.
	queued []*entry
	lost   int  // dropped from queued, not yet known to the spool
	open   int  // calls that have begun and not ended
	over   bool // the owner takes nothing any more

	withdrawn atomic.Bool   // consent has ended
	wake      chan struct{} // something was queued
	closing   chan struct{} // Close was called
	abandon   chan struct{} // the time Close had is over
	discard   chan struct{} // consent has ended
	done      chan struct{} // the owner has returned
	result    error         // of the owner; read after done
}

// newSession recovers the spool and starts its owner.
func newSession(r *Reporter) (*session, error) {
	spool, dropped, damaged, err := openSpool(r.cfg.Spool, r.cfg.SpoolLimit)
	if err != nil {
		return nil, err
	}
	if dropped > 0 {
		r.cfg.Logger.Warn("reports that waited in the spool are lost", "spool", r.cfg.Spool, "reports", dropped, "damaged", damaged)
	}
	r.tally(func(c *Counts) {
		c.Recovered += uint64(len(spool.waiting) + dropped)
		c.Dropped += uint64(dropped)
	})
	s := &session{
		Reporter: r, wake: make(chan struct{}, 1),
		closing: make(chan struct{}), abandon: make(chan struct{}), discard: make(chan struct{}), done: make(chan struct{}),
	}
	sender := &sender{session: s, spool: spool, online: true, pause: r.cfg.RetryMin}
	go func() {
		defer close(s.done)
		s.result = sender.run()
	}()
	return s, nil
}

// begin books a call, and says whether it will be reported.
func (s *session) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.open++
	return true
}

// queue takes the complete report of a call that has ended, encodes it and returns at once.
func (s *session) queue(report *Report) {
	data, err := report.AppendMarshal(make([]byte, 0, 128+24*len(report.Segments)))

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over { // counted by end, or void
		return
	}
	s.open--
	s.counts.Created++
	if err != nil { // Call keeps every report within the bounds that could cause it
		s.cfg.Logger.Error("report cannot be encoded", "error", err)
		s.drop(1)
		return
	}
	if len(s.queued) >= s.cfg.Queue {
		s.queued = s.queued[1:]
		s.drop(1)
	}
	s.queued = append(s.queued, &entry{id: report.ID, data: data})
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drop counts reports that were given up before they came to the spool. The caller holds mu.
func (s *session) drop(n int) {
	s.counts.Dropped += uint64(n)
	s.lost += n
}

// take removes and returns the oldest queued reports that fit into room bytes, and the number of those dropped since it
// was last called.
func (s *session) take(room int64) (taken []*entry, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.queued) && s.queued[n].cost() <= room {
		room -= s.queued[n].cost()
		n++
	}
	taken, s.queued = s.queued[:n:n], s.queued[n:]
	lost, s.lost = s.lost, 0
	return taken, lost
}

// end takes nothing from now on. The reports of calls that have not ended are lost, and counted as such.
func (s *session) end() (open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.counts.Created += uint64(s.open)
	s.drop(s.open)
	return s.open
}

// void takes nothing from now on, and forgets what there is.
func (s *session) void() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.queued, s.lost = true, nil, 0
	s.counts.Dropped = s.counts.Created + s.counts.Recovered - s.counts.Acknowledged
}
