package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Reporter publishes the reports of a client's calls and keeps each until the stream has acknowledged it. One goroutine
// owns the connection and the spool; everything else only puts reports into a bounded queue.
type Reporter struct {
	cfg     ReporterConfig
	session atomic.Pointer[session] // nil while reporting is switched off

	change sync.Mutex // held while reporting is switched on or off, or ends
	closed bool       // guarded by change
	result error      // of Close; guarded by change

	mu     sync.Mutex
	counts Counts
}

// NewReporter recovers the spool and starts publishing. Close must be called. The connection need not be up. With
// Enabled false it deletes the spool and does nothing else. A file at Spool that is not a spool is left as it is, and is
// an error.
func NewReporter(cfg ReporterConfig) (*Reporter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure reporter: %w", err)
	}
	cfg.setDefaults()
	r := &Reporter{cfg: cfg}
	change := r.switchOff
	if cfg.Enabled {
		change = r.switchOn
	}
	if err := change(); err != nil {
		return nil, err
	}
	return r, nil
}

// SetEnabled follows the user's consent while the client runs; ReporterConfig.Enabled is what it begins with.
//
// False drops every report that waits, deletes the spool, and returns when that is done, which may take as long as one
// write to a connection that has stopped taking data. Calls that are going on are not reported, not even when reporting is
// switched on again before they end. What was handed to the connection before cannot be called back. Only reporting
// is concerned: policies work as before. An error says that something may be left on the device.
//
// True starts reporting of the calls that begin from then on. It is an error without a Publisher and after Close.
//
// It may be called at any time and from any goroutine, but not from a function of ReporterConfig.
func (r *Reporter) SetEnabled(enabled bool) error {
	r.change.Lock()
	defer r.change.Unlock()
	switch on := r.session.Load() != nil; {
	case !enabled:
		return r.switchOff()
	case on:
		return nil
	case r.closed:
		return errors.New("switch on reporting: the reporter is closed; make a new one")
	case r.cfg.Publisher == nil:
		return errors.New("switch on reporting: the reporter was made without a Publisher")
	default:
		return r.switchOn()
	}
}

func (r *Reporter) switchOn() error {
	s, err := newSession(r)
	if err == nil {
		r.session.Store(s)
	}
	return err
}

func (r *Reporter) switchOff() error {
	if s := r.session.Swap(nil); s != nil {
		s.withdrawn.Store(true)
		close(s.discard)
		<-s.done
		return s.result
	}
	if r.cfg.Spool == "" {
		return nil
	}
	return deleteSpool(r.cfg.Spool)
}

// Counts are the totals so far.
func (r *Reporter) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := r.counts
	counts.Pending = counts.Created + counts.Recovered - counts.Acknowledged - counts.Dropped
	return counts
}

// Close sends what is waiting until ctx is done, leaves the rest in the spool, and returns when the Reporter has let go
// of everything. When the connection is down and there is a spool it does not wait. Without a spool, or when the spool
// cannot be written, what was not acknowledged is lost, and Close says how much. The reports of calls that have not ended
// when it returns are lost too, and counted: the next report from this spool tells of them. It may overrun ctx by one
// write to a connection that has stopped taking data.
func (r *Reporter) Close(ctx context.Context) error {
	r.change.Lock()
	defer r.change.Unlock()
	if r.closed {
		return r.result
	}
	r.closed = true
	s := r.session.Load()
	if s == nil {
		return nil
	}
	close(s.closing)
	stop := context.AfterFunc(ctx, func() { close(s.abandon) })
	defer stop()
	<-s.done
	r.session.Store(nil)
	r.result = s.result
	return r.result
}

// tally changes the counts.
func (r *Reporter) tally(change func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.counts)
}
