package telemetry

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry/internal/redact"
)

// sender is the goroutine that owns the connection and the spool. It is in one of two states. Online, it publishes
// spooled and queued reports and waits for their acknowledgements in the order they were sent. At the first fault it
// goes offline: everything unanswered goes to the spool, nothing is on the way any more, and new reports are spooled
// until a pause is over and the connection is up.
type sender struct {
	*Reporter
	spool *spool

	online  bool
	flights []flight
	spooled int           // flights that are spool.waiting[:spooled]
	retryAt time.Time     // offline: when to try again
	pause   time.Duration // the next pause

	status     <-chan nats.Status // tells of a new connection; nil without a nats.Conn
	complained bool               // the last write of the spool failed
	closed     bool               // Close was called
	over       bool               // the time for Close is over
}

// flight is a report on its way.
type flight struct {
	*entry
	future   jetstream.PubAckFuture // nil: failed
	deadline time.Time
	spooled  bool
	// oversized: the server will never take it.
	oversized bool
}

func (s *sender) run() error {
	if conn := s.cfg.Publisher.Conn(); conn != nil {
		status := conn.StatusChanged(nats.CONNECTED)
		defer conn.RemoveStatusListener(status)
		s.status = status
	}
	for !s.over && (!s.closed || s.cfg.Spool == "" || s.connected()) {
		if due := !time.Now().Before(s.retryAt); s.online || due && s.connected() {
			s.online = true
			s.fill()
		} else if due {
			s.rest()
		}
		if !s.online {
			s.store()
		}
		if s.closed && s.idle() {
			break
		}
		s.wait()
	}
	return s.finish()
}

func (s *sender) connected() bool {
	conn := s.cfg.Publisher.Conn()
	return conn == nil || conn.IsConnected()
}

// idle reports whether nothing is left to do.
func (s *sender) idle() bool { return s.Counts().Pending == 0 }

// wait sleeps until there is something to do, and deals with the answer to the oldest flight.
func (s *sender) wait() {
	var ok <-chan *jetstream.PubAck
	var bad <-chan error
	var alarm <-chan time.Time
	until := s.retryAt
	if len(s.flights) > 0 {
		until, ok, bad = s.flights[0].deadline, s.flights[0].future.Ok(), s.flights[0].future.Err()
	}
	if len(s.flights) > 0 || !s.online && len(s.spool.waiting) > 0 {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		alarm = timer.C
	}
	closing := s.closing
	if s.closed {
		closing = nil
	}
	select {
	case ack := <-ok:
		s.acknowledged(ack)
	case err := <-bad:
		s.flights[0].future, s.flights[0].oversized = nil, oversized(err)
		s.suspend(err)
	case <-alarm:
		if len(s.flights) > 0 {
			s.suspend(fmt.Errorf("no acknowledgement within %v", s.cfg.AckTimeout))
		}
	case _, open := <-s.status:
		s.retryAt = time.Time{} // connected again
		if !open {
			s.status = nil
		}
	case <-s.wake:
	case <-closing:
		s.closed = true
	case <-s.abandon:
		s.over = true
	}
}

// fill sends spooled reports, then queued ones, as far as the window allows.
func (s *sender) fill() {
	for s.online && len(s.flights) < s.cfg.Window {
		s.learnLost()
		if len(s.spool.waiting) == s.spooled {
			fresh := s.take(1)
			if len(fresh) == 0 {
				return
			}
			if s.spool.lost == 0 {
				s.send(fresh[0], false)
				continue
			}
			// A report that tells lost ones goes through the spool, so that the count is told once and kept once.
			s.spool.push(fresh[0])
			s.tally(func(c *Counts) { c.Spooled++ })
		}
		if s.spool.lost > 0 {
			s.complain(s.spool.tell(s.spooled))
		}
		s.send(s.spool.waiting[s.spooled], true)
	}
}

// send publishes one report. A fault makes it a flight that has failed.
func (s *sender) send(e *entry, spooled bool) {
	f := flight{entry: e, spooled: spooled, deadline: time.Now().Add(s.cfg.AckTimeout)}
	var fault error
	if !s.connected() {
		fault = nats.ErrDisconnected
	} else {
		e.sent = true // after an error too: it may have left
		f.future, fault = s.cfg.Publisher.PublishMsgAsync(&nats.Msg{
			Subject: s.cfg.Subject, Data: e.data,
			Header: nats.Header{jetstream.MsgIDHeader: []string{MessageID(e.id)}},
		})
		if fault == nil {
			s.tally(func(c *Counts) { c.Sent++ })
		} else {
			f.future = nil
		}
	}
	s.flights = append(s.flights, f)
	if spooled {
		s.spooled++
	}
	if fault != nil {
		s.flights[len(s.flights)-1].oversized = oversized(fault)
		s.suspend(fault)
	}
}

// acknowledged settles the oldest flight.
func (s *sender) acknowledged(ack *jetstream.PubAck) {
	oldest := s.flights[0]
	s.flights = s.flights[1:]
	s.pause = s.cfg.RetryMin
	s.countAck(ack)
	if oldest.spooled {
		s.spooled--
		s.spool.resolve(1, nil)
		if len(s.spool.waiting) == 0 {
			s.complain(s.spool.save())
		}
	}
}

func (s *sender) countAck(ack *jetstream.PubAck) {
	s.tally(func(c *Counts) {
		c.Acknowledged++
		if ack.Duplicate {
			c.Duplicates++
		}
	})
}

// suspend goes offline because of a fault. Answers that have come meanwhile still count; all other flights go to the
// spool.
func (s *sender) suspend(fault error) {
	s.cfg.Logger.Warn("reports wait", "fault", redact.Addresses(fault.Error()), "waiting", s.Counts().Pending)
	s.settle()
	s.online = false
	s.rest()
}

// rest puts off the next try.
func (s *sender) rest() {
	s.retryAt = time.Now().Add(s.pause)
	s.pause = min(2*s.pause, s.cfg.RetryMax)
}

// settle ends all flights.
func (s *sender) settle() {
	var again, fresh []*entry
	for _, f := range s.flights {
		ack, err := f.answer()
		switch {
		case ack != nil:
			s.countAck(ack)
		case f.oversized || oversized(err):
			s.spool.count(1 + f.lost)
			s.tally(func(c *Counts) { c.Dropped++ })
			s.cfg.Logger.Error("report given up: the server takes no message of its size", "bytes", len(f.data))
		case f.spooled:
			again = append(again, f.entry)
		default:
			fresh = append(fresh, f.entry)
		}
	}
	s.spool.resolve(s.spooled, again)
	s.flights, s.spooled = nil, 0
	s.keep(fresh)
}

// store moves everything queued into the spool.
func (s *sender) store() {
	s.learnLost()
	if queued := s.take(s.cfg.Queue); len(queued) > 0 {
		s.keep(queued)
	}
}

// keep adds entries to the spool, of which nothing may be on its way.
func (s *sender) keep(entries []*entry) {
	dropped, err := s.spool.add(entries)
	s.tally(func(c *Counts) {
		c.Spooled += uint64(len(entries))
		c.Dropped += uint64(dropped)
	})
	s.complain(err)
}

// learnLost tells the spool of reports dropped before they came to it.
func (s *sender) learnLost() {
	s.mu.Lock()
	lost := s.lost
	s.lost = 0
	s.mu.Unlock()
	if lost > 0 {
		s.spool.count(lost)
		s.spool.stale = s.spool.file != nil
	}
}

// complain logs a fault of the spool once, until a write works again: the reports stay in memory, and every later write
// tries again.
func (s *sender) complain(err error) {
	if err != nil && !s.complained {
		s.cfg.Logger.Error("reports are kept in memory only", "error", err)
	}
	s.complained = err != nil
}

// finish puts everything into the spool and lets go of it.
func (s *sender) finish() error {
	s.settle()
	s.store()
	left := len(s.spool.waiting)
	if err := s.spool.close(); err != nil {
		return fmt.Errorf("%d reports not acknowledged and not safe on disk: %w", left, err)
	}
	if left > 0 && s.cfg.Spool == "" {
		s.tally(func(c *Counts) { c.Dropped += uint64(left) })
		return fmt.Errorf("%d reports lost: not acknowledged in time, and no Spool is configured to keep them", left)
	}
	return nil
}

// answer is what has come for a flight by now: an acknowledgement, a fault, or neither.
func (f *flight) answer() (*jetstream.PubAck, error) {
	if f.future == nil {
		return nil, nil
	}
	select {
	case ack := <-f.future.Ok():
		return ack, nil
	case err := <-f.future.Err():
		return nil, err
	default:
		return nil, nil
	}
}

// codeMessageTooLarge is JetStream's error code for a message above the stream's max_msg_size.
const codeMessageTooLarge jetstream.ErrorCode = 10054

// oversized reports whether the server will never take this message.
func oversized(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &api) && api.ErrorCode == codeMessageTooLarge
}
