package telemetry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry/internal/redact"
)

// sender is the goroutine that owns the connection and the spool. Every report goes through the spool, and is in its file
// before it is sent. The sender is in one of two states. Online, it publishes what is in the spool and waits for the
// acknowledgements in the order of sending. At the first fault it goes offline: nothing is on the way any more, and new
// reports only go to the spool, until a pause is over and the connection is up.
type sender struct {
	*session
	spool *spool

	online  bool
	flights []flight      // of the reports spool.waiting[:len(flights)]
	retryAt time.Time     // offline: when to try again
	pause   time.Duration // the next pause

	status     <-chan nats.Status // tells of a new connection; nil without a nats.Conn
	complained bool               // the last write of the spool failed
	closed     bool               // Close was called
	stop       bool               // the time for Close is over, or consent has ended
}

// flight is a report on its way.
type flight struct {
	*entry
	future   jetstream.PubAckFuture // nil: failed
	deadline time.Time
	// oversized: the server will never take it.
	oversized bool
}

func (s *sender) run() error {
	if conn := s.cfg.Publisher.Conn(); conn != nil {
		status := conn.StatusChanged(nats.CONNECTED)
		defer conn.RemoveStatusListener(status)
		s.status = status
	}
	s.preview(s.spool.waiting)
	for !s.stop && (!s.closed || s.cfg.Spool == "" || s.connected()) {
		s.store()
		if due := !time.Now().Before(s.retryAt); s.online || due && s.connected() {
			s.online = true
			s.fill()
		} else if due {
			s.rest()
		}
		if s.closed && s.idle() {
			break
		}
		s.wait()
	}
	if s.withdrawn.Load() {
		return s.forget()
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
		s.stop = true
	case <-s.discard:
		s.stop = true
	}
}

// fill sends what is in the spool, as far as the window allows.
func (s *sender) fill() {
	for s.online && len(s.flights) < min(s.cfg.Window, len(s.spool.waiting)) && !s.withdrawn.Load() {
		s.send(s.spool.waiting[len(s.flights)])
	}
}

// send publishes one report. A fault makes it a flight that has failed.
func (s *sender) send(e *entry) {
	f := flight{entry: e, deadline: time.Now().Add(s.cfg.AckTimeout)}
	fault := nats.ErrDisconnected
	if s.connected() {
		f.future, fault = s.cfg.Publisher.PublishMsgAsync(&nats.Msg{
			Subject: s.cfg.Subject, Data: e.data,
			Header: nats.Header{jetstream.MsgIDHeader: []string{MessageID(e.id)}},
		})
	}
	if fault == nil {
		s.flights = append(s.flights, f)
		s.tally(func(c *Counts) { c.Sent++ })
		return
	}
	f.future, f.oversized = nil, oversized(fault)
	s.flights = append(s.flights, f)
	s.suspend(fault)
}

// acknowledged settles the oldest flight.
func (s *sender) acknowledged(ack *jetstream.PubAck) {
	s.flights = s.flights[1:]
	s.pause = s.cfg.RetryMin
	s.countAck(ack)
	s.spool.resolve(1, nil)
	s.tidy()
}

func (s *sender) countAck(ack *jetstream.PubAck) {
	s.tally(func(c *Counts) {
		c.Acknowledged++
		if ack.Duplicate {
			c.Duplicates++
		}
	})
}

// suspend goes offline because of a fault. Answers that have come meanwhile still count.
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

// settle ends all flights: what has not arrived waits again.
func (s *sender) settle() {
	var failed []*entry
	for _, f := range s.flights {
		ack, err := f.answer()
		switch {
		case ack != nil:
			s.countAck(ack)
		case f.oversized || oversized(err):
			s.spool.count(1 + f.lost)
			s.tally(func(c *Counts) { c.Dropped++ })
			s.cfg.Logger.Error("report given up: the server takes no message of its size", "bytes", len(f.data))
		default:
			failed = append(failed, f.entry)
		}
	}
	s.tally(func(c *Counts) { c.Failed += uint64(len(failed)) })
	s.spool.resolve(len(s.flights), failed)
	s.flights = nil
	s.tidy()
}

// tidy deletes the file when nothing waits any more.
func (s *sender) tidy() {
	if len(s.spool.waiting) == 0 {
		s.complain(s.spool.save())
	}
}

// store moves what is queued into the spool and saves it. Online the spool takes no more than it has room for, the rest
// stays queued; offline it makes room.
func (s *sender) store() {
	room := int64(math.MaxInt64)
	if s.online {
		room = s.cfg.SpoolLimit - s.spool.bytes
	}
	fresh, lost := s.take(room)
	s.spool.count(lost)
	dropped, err := s.spool.add(fresh, !s.online)
	if err != nil {
		s.cfg.Logger.Error("lost reports cannot be told", "error", err)
	}
	defer s.tally(func(c *Counts) { // once they are on disk
		c.Spooled += uint64(len(fresh))
		c.Dropped += uint64(dropped)
	})
	s.preview(s.spool.waiting[max(0, len(s.spool.waiting)-len(fresh)):])
	if !s.spool.unsaved() {
		return
	}
	err = s.spool.save()
	s.complain(err)
	if err != nil {
		if plain := s.spool.retract(); plain != nil {
			s.preview([]*entry{plain})
		}
	}
}

// preview shows reports, before they are stored or sent, to whoever asked to see them.
func (s *sender) preview(entries []*entry) {
	if s.cfg.Preview == nil {
		return
	}
	for _, e := range entries {
		s.cfg.Preview(slices.Clone(e.data))
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
	s.online = false
	if open := s.end(); open > 0 {
		s.cfg.Logger.Warn("calls have not ended: their reports are lost", "calls", open)
	}
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

// forget drops everything that is not on its way, and leaves nothing on the device: the user has withdrawn consent.
func (s *sender) forget() error {
	s.settle()
	s.void()
	return s.spool.discard()
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
