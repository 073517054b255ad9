package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// clocks compares the clock of this machine with those of the stream and of the warehouse, because two things that
// cannot be undone go by it: whether a report is too old or of the future, and which weeks are deleted. While one of the
// three differs from another by more than maxClockGap, neither is done. Reports that are right by every clock are stored
// all the same; those that would be refused for their hour stay in the stream and come again, and so does all else as
// soon as the clocks agree.
//
// Where all three are one machine they are one clock, and nobody is left to notice that it is wrong.
type clocks struct {
	own  func() time.Time
	ask  func(context.Context) ([]witness, error) // the clocks of others
	log  *slog.Logger
	gap  func(seconds float64) // told how far apart they are
	wait time.Duration         // for an answer, at most

	mu        sync.Mutex
	asked     time.Time // last time; with the monotonic clock, which nobody can set
	witnesses []witness // nil: nobody has answered yet
	apart     bool      // when they were last compared
	told      time.Time // when that was last logged
}

// witness is what another machine's clock said.
type witness struct {
	name   string
	said   time.Time
	before time.Time // it was asked, by the monotonic clock
}

const (
	maxClockGap = time.Hour       // as exact as the hour of a report is
	askEvery    = time.Minute     // while they agree
	askAgain    = 2 * time.Second // while they do not, or somebody does not answer
	askWait     = 5 * time.Second // for an answer, at most, and at most a quarter of AckWait
	tellEvery   = time.Minute
)

// instant is what time it is, by all clocks.
type instant struct {
	own              time.Time
	earliest, latest time.Time // equal to own when the clocks agree
	agreed           bool
}

// look tells the time. The others are asked when their last answer is older than within, or they seem to disagree.
func (c *clocks) look(ctx context.Context, within time.Duration) instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	var fault error
	at, gap := c.compare()
	if since := time.Since(c.asked); c.asked.IsZero() || since >= within || !at.agreed && since >= askAgain {
		fault = c.askAll(ctx)
		at, gap = c.compare()
		at.agreed = at.agreed && (fault == nil || within > 0)
	}
	c.gap(gap.Seconds())
	c.tell(at, fault)
	return at
}

func (c *clocks) askAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	answers, err := c.ask(ctx)
	c.asked = time.Now()
	if err == nil {
		c.witnesses = answers
	}
	return err
}

// compare goes by the last answers and the time since.
func (c *clocks) compare() (at instant, gap time.Duration) {
	at.own = c.own()
	at.earliest, at.latest = at.own, at.own
	for _, w := range c.witnesses {
		now := w.said.Add(time.Since(w.before))
		if now.Before(at.earliest) {
			at.earliest = now
		}
		if now.After(at.latest) {
			at.latest = now
		}
	}
	gap = at.latest.Sub(at.earliest)
	if at.agreed = c.witnesses != nil && gap <= maxClockGap; at.agreed {
		at.earliest, at.latest = at.own, at.own
	}
	return at, gap
}

// tell logs that clocks disagree, now and then, and that they agree again.
func (c *clocks) tell(at instant, fault error) {
	switch {
	case at.agreed && c.apart:
		c.apart = false
		c.log.Info("the clocks agree again: reports are judged by their hour, and deleted at their age")
	case !at.agreed && (!c.apart || time.Since(c.told) >= tellEvery):
		c.apart, c.told = true, time.Now()
		attributes := []any{"own", at.own.UTC().Format(time.RFC3339)}
		for _, w := range c.witnesses {
			attributes = append(attributes, w.name, w.said.Add(time.Since(w.before)).UTC().Format(time.RFC3339))
		}
		if fault != nil {
			attributes = append(attributes, "err", fault)
		}
		c.log.Warn("the clocks of this machine, the stream and the warehouse are not known to agree: nothing is refused for its hour and "+
			"nothing is deleted for its age until they do; set the wrong one (NTP)", attributes...)
	}
}

// askClocks asks the stream and the warehouse for the time.
func (i *Ingest) askClocks(ctx context.Context) ([]witness, error) {
	stream := witness{name: "stream", before: time.Now()}
	s, err := i.cfg.JetStream.Stream(ctx, streamName)
	if err != nil {
		return nil, fmt.Errorf("ask the stream for the time: %w%s", err, hint(err))
	}
	stream.said = s.CachedInfo().TimeStamp
	store := witness{name: "warehouse", before: time.Now()}
	if store.said, err = i.cfg.Warehouse.Now(ctx); err != nil {
		return nil, fmt.Errorf("ask the warehouse for the time: %w", err)
	}
	answers := []witness{store}
	if !stream.said.IsZero() { // a server that does not say
		answers = append(answers, stream)
	}
	return answers, nil
}
