package edge

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats is what an Edge has done since it began.
type Stats struct {
	Received     uint64 // reports taken
	Acknowledged uint64 // answered: in the stream
	Duplicates   uint64 // answered: had been acknowledged before
	TooLarge     uint64 // answered: no message of this size is taken
	Failed       uint64 // told to send again, or not answered because the edge stopped
	Unanswerable uint64 // dropped: nobody to answer, or a reply subject outside ReplyPrefixes
	NotTaken     uint64 // not received: no room, their clients send again. Not part of Received
	Packs        uint64 // messages acknowledged by the stream
	Retries      uint64 // times a message was published again
}

// Pending is how many reports wait for the acknowledgement of their pack.
func (s Stats) Pending() uint64 {
	done := s.Acknowledged + s.Duplicates + s.TooLarge + s.Failed + s.Unanswerable
	return max(s.Received, done) - done
}

// tally holds the counts. Prometheus reads the same ones.
type tally struct {
	received, acknowledged, duplicates, tooLarge, failed, unanswerable, packs, retries atomic.Uint64

	filled, seconds prometheus.Histogram
}

// Stats tells what has been done so far.
func (e *Edge) Stats() Stats {
	t := &e.tally
	s := Stats{ // what is done first, so that Pending is never too small
		Acknowledged: t.acknowledged.Load(), Duplicates: t.duplicates.Load(), TooLarge: t.tooLarge.Load(),
		Failed: t.failed.Load(), Unanswerable: t.unanswerable.Load(), Packs: t.packs.Load(), Retries: t.retries.Load(),
		NotTaken: e.notTaken(),
	}
	s.Received = t.received.Load()
	return s
}

// notTaken is how many messages the connection dropped because the subscription had no room.
func (e *Edge) notTaken() uint64 {
	sub := e.sub.Load()
	if sub == nil {
		return 0
	}
	if dropped, err := sub.Dropped(); err == nil { // an error: the subscription has ended, what was known stays
		e.dropped.Store(uint64(dropped))
	}
	return e.dropped.Load()
}

// register makes the metrics. They have no labels: nothing here can tell one client from another.
func (e *Edge) register(registry prometheus.Registerer) error {
	t := &e.tally
	t.filled = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "attune_edge_pack_reports", Help: "Reports in a pack.",
		Buckets: []float64{1, 2, 5, 10, 20, 50, 75, 100, 200, 500},
	})
	t.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "attune_edge_pack_seconds", Help: "From a pack's first report to its clients' answers.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
	})
	if registry == nil {
		return nil
	}
	collectors := []prometheus.Collector{t.filled, t.seconds}
	for _, c := range []struct {
		name, help string
		value      func() uint64
	}{
		{"received_total", "Reports taken.", t.received.Load},
		{"acknowledged_total", "Reports answered after the acknowledgement of their pack.", t.acknowledged.Load},
		{"duplicates_total", "Reports answered as acknowledged before.", t.duplicates.Load},
		{"too_large_total", "Reports no message can hold.", t.tooLarge.Load},
		{"failed_total", "Reports whose clients were told to send again.", t.failed.Load},
		{"unanswerable_total", "Reports dropped because nobody could be answered.", t.unanswerable.Load},
		{"not_taken_total", "Reports there was no room for; their clients send again.", e.notTaken},
		{"packs_total", "Messages acknowledged by the stream.", t.packs.Load},
		{"retries_total", "Times a message was published again.", t.retries.Load},
	} {
		collectors = append(collectors, prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: "attune_edge_" + c.name, Help: c.help}, func() float64 { return float64(c.value()) }))
	}
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}
