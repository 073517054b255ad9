package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/attune-calls/attune/telemetry"
)

// The generator stands for many clients with few connections: each report is a request of its own, with a message id and
// a reply subject, and counts only when its answer says that it is stored.
const (
	connections = 4
	outstanding = 8192 // reports sent and not answered, in all
	probeEvery  = 97   // one report of so many is timed from end to end
	packReports = 100  // of a pack the generator makes itself
)

// way is how reports are sent.
type way struct {
	url, subject string
	packed       bool    // the generator packs them itself
	rate         float64 // reports/s; 0 = as fast as they are answered
}

// reports is how many a message has.
func (w *way) reports() uint64 {
	if w.packed {
		return packReports
	}
	return 1
}

// generator sends reports 0, 1, 2 and so on, and remembers which were acknowledged.
type generator struct {
	fleet *fleet
	way   way

	mu     sync.Mutex
	acked  bits
	resent int       // messages sent again: answered with an error, or not at all
	probes []instant // by report number / probeEvery
}

// instant is when a probe was due and when a query found it. Counted from when it was sent, a generator that is held up
// by what it measures would leave out just the delays that it is there to find.
type instant struct{ due, seen time.Time }

// bits is a set of report numbers.
type bits struct {
	words []uint64
	n     uint64
}

func (b *bits) add(n uint64) {
	for n/64 >= uint64(len(b.words)) {
		b.words = append(b.words, make([]uint64, max(1024, len(b.words)))...)
	}
	if word, bit := &b.words[n/64], uint64(1)<<(n%64); *word&bit == 0 {
		*word |= bit
		b.n++
	}
}

func (b *bits) has(n uint64) bool { return n/64 < uint64(len(b.words)) && b.words[n/64]>>(n%64)&1 == 1 }

// run sends for some time, and returns when everything sent is acknowledged.
func (g *generator) run(ctx context.Context, lasting time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, lasting+time.Minute)
	defer cancel()
	until := time.Now().Add(lasting)
	faults := make([]error, connections)
	var all sync.WaitGroup
	for i := range connections {
		conn, err := telemetry.ConnectWithin(ctx, 10*time.Second, g.way.url, "attune-bench", nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		all.Go(func() { faults[i] = g.send(ctx, conn, uint64(i), until) })
	}
	all.Wait()
	for _, fault := range faults {
		if fault != nil {
			return fault
		}
	}
	return nil
}

// lane is one connection and what is on its way there.
type lane struct {
	*generator
	conn   *nats.Conn
	inbox  string
	room   chan struct{} // holds a token for each message on its way
	data   []byte
	header nats.Header

	open  map[uint64]time.Time // when the message whose first report has the number was sent; under mu
	again []uint64             // to be sent again; under mu
}

func (g *generator) send(ctx context.Context, conn *nats.Conn, i uint64, until time.Time) error {
	l := &lane{
		generator: g, conn: conn, inbox: nats.NewInbox() + ".", header: nats.Header{nats.MsgIdHdr: []string{""}},
		room: make(chan struct{}, outstanding/connections/g.way.reports()), open: map[uint64]time.Time{},
	}
	sub, err := conn.Subscribe(l.inbox+"*", l.answered)
	if err != nil {
		return err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	began := time.Now()
	for k := uint64(0); time.Now().Before(until); k++ {
		due := time.Now()
		if g.way.rate > 0 {
			due = began.Add(time.Duration(float64(k*g.way.reports()) / (g.way.rate / connections) * float64(time.Second)))
			if ahead := time.Until(due); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
		}
		select {
		case l.room <- struct{}{}:
		default:
			if err := l.wait(ctx, cap(l.room)-1); err != nil {
				return err
			}
			l.room <- struct{}{}
		}
		if err := l.publish((k*connections+i)*g.way.reports(), due); err != nil {
			return err
		}
	}
	return l.wait(ctx, 0)
}

// answerWithin is when a report without an answer is sent again, as clients do.
const answerWithin = 10 * time.Second

// wait returns when at most n messages are on their way. Meanwhile it sends again what must be.
func (l *lane) wait(ctx context.Context, n int) error {
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for count := 0; len(l.room) > n; count++ {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("%d messages are not answered: %w", len(l.room), ctx.Err())
		}
		l.mu.Lock()
		if count%1000 == 999 {
			for first, sent := range l.open {
				if time.Since(sent) > answerWithin {
					l.again = append(l.again, first)
				}
			}
		}
		again := l.again
		l.again = nil
		l.resent += len(again)
		l.mu.Unlock()
		for _, first := range again {
			if err := l.publish(first, time.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish sends the message that begins with report n, which was to leave when it was due.
func (l *lane) publish(n uint64, due time.Time) (err error) {
	l.data = l.data[:0]
	switch {
	case l.way.packed:
		for i := range l.way.reports() {
			start := len(l.data)
			l.data = l.fleet.appendReport(l.data, n+i)
			report := append([]byte(nil), l.data[start:]...)
			l.data = telemetry.AppendToPack(l.data[:start], report)
		}
	case n%probeEvery == 0:
		if l.data, err = l.fleet.probe(l.data, n, n/probeEvery+1); err != nil {
			return err
		}
	default:
		l.data = l.fleet.appendReport(l.data, n)
	}
	l.header[nats.MsgIdHdr][0] = telemetry.MessageID(idOf(n))
	now := time.Now()
	l.mu.Lock()
	if _, again := l.open[n]; !again && n%probeEvery == 0 && !l.way.packed {
		for n/probeEvery >= uint64(len(l.probes)) {
			l.probes = append(l.probes, instant{})
		}
		l.probes[n/probeEvery].due = due
	}
	l.open[n] = now
	l.mu.Unlock()
	return l.conn.PublishMsg(&nats.Msg{Subject: l.way.subject, Reply: l.inbox + strconv.FormatUint(n, 36), Header: l.header, Data: l.data})
}

// answered notes the answer to a message.
func (l *lane) answered(m *nats.Msg) {
	n, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, l.inbox), 36, 64)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[n]; !open {
		return // answered before
	}
	if !strings.HasPrefix(string(m.Data), `{"stream":`) || strings.Contains(string(m.Data), `"error"`) {
		l.again = append(l.again, n)
		return
	}
	delete(l.open, n)
	for i := range l.way.reports() {
		l.acked.add(n + i)
	}
	<-l.room
}

// acknowledged is how many reports were acknowledged.
func (g *generator) acknowledged() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acked.n
}
