package ingest

import (
	"maps"
	"sync"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// Stats is what an Ingest has done since it began. What another process did, or this one before a restart, is not in it:
// ask the warehouse for totals.
type Stats struct {
	Messages   uint64 // taken from the stream, further deliveries included; a pack is one
	Received   uint64 // reports in them
	Stored     uint64 // reports inserted, each id once as far as this Ingest remembers
	Rejected   map[telemetry.RejectReason]uint64
	Duplicates uint64 // reports left out because they were stored just before
	Waiting    uint64 // single reports of a newer schema that went back to the stream and have not been stored since, at most 65,536
	Returned   uint64 // reports of a newer schema in packs, each delivery, that were to go back to the stream as messages of their own
	Doubted    uint64 // reports, each delivery, that would be refused for their hour while clocks disagree: they come again
	Lapsed     uint64 // messages that the stream deleted before anybody had stored them, as far as this Ingest has seen
	Withheld   uint64 // of Stored: without their region, because too few reports of the day had it
	Revealed   uint64 // of Withheld: inserted again with their region, when enough others had come
	Expired    uint64 // rows of reports deleted for their age, by this Ingest
	Batches    uint64 // blocks stored
}

// tally guards the counts that Stats copies.
type tally struct {
	mu       sync.Mutex
	stats    Stats
	waiting  map[uint64]time.Time // numbers of the messages in Stats.Waiting, and when the stream received them
	made     time.Time            // the stream
	seen     uint64               // numbers of it up to this one are not looked at again
	rejected map[telemetry.RejectReason]uint64
}

// maxWaiting bounds the numbers that are remembered of messages that wait.
const maxWaiting = 1 << 16

// Stats tells what has been done so far. Received = Stored + Rejected + Duplicates + Returned + Doubted + deliveries
// that wait.
func (i *Ingest) Stats() Stats {
	i.stats.mu.Lock()
	defer i.stats.mu.Unlock()
	s := i.stats.stats
	s.Waiting = uint64(len(i.stats.waiting))
	s.Rejected = maps.Clone(i.stats.rejected)
	if s.Rejected == nil {
		s.Rejected = map[telemetry.RejectReason]uint64{}
	}
	return s
}

// count books the block in hand, which is stored and not yet acknowledged.
func (w *worker) count(began time.Time) {
	b := &w.block
	var all counts
	withheld := uint64(0)
	oldest := began
	for i := range b.messages {
		m := &b.messages[i]
		all.received += m.counts.received
		all.copies += m.counts.copies
		all.doubted += m.counts.doubted
		if m.received.Before(oldest) {
			oldest = m.received
		}
	}
	for _, yes := range b.cells.withheld {
		if yes {
			withheld++
		}
	}
	revealed := uint64(len(b.reports) - b.own)

	t := &w.stats
	t.mu.Lock()
	if t.waiting == nil {
		t.waiting, t.rejected = make(map[uint64]time.Time), make(map[telemetry.RejectReason]uint64)
	}
	for i := range b.messages {
		switch m := &b.messages[i]; {
		case m.fate != fateNewer:
			delete(t.waiting, m.sequence)
		case len(t.waiting) < maxWaiting:
			t.waiting[m.sequence] = m.received
		}
	}
	for _, r := range b.rejects {
		t.rejected[r.Reason]++
	}
	s := &t.stats
	s.Messages += uint64(len(b.messages))
	s.Received += all.received
	s.Stored += uint64(b.own)
	s.Duplicates += all.copies
	s.Doubted += all.doubted
	s.Returned += uint64(len(b.newer))
	s.Withheld += withheld
	s.Revealed += revealed
	s.Batches++
	waiting := len(t.waiting)
	t.mu.Unlock()

	m := w.metrics
	m.messages.Add(float64(len(b.messages)))
	m.received.Add(float64(all.received))
	m.stored.Add(float64(b.own))
	m.duplicates.Add(float64(all.copies))
	m.doubted.Add(float64(all.doubted))
	m.returned.Add(float64(len(b.newer)))
	m.withheld.Add(float64(withheld))
	m.revealed.Add(float64(revealed))
	for _, r := range b.rejects {
		m.rejected.WithLabelValues(r.Reason.String()).Inc()
	}
	m.waiting.Set(float64(waiting))
	m.batches.Inc()
	m.batchSeconds.Observe(time.Since(began).Seconds())
	m.lagSeconds.Observe(time.Since(oldest).Seconds())
}

// reportDropped books reports that were deleted for their age.
func (i *Ingest) reportDropped(d warehouse.Dropped) {
	if d.Partitions == 0 {
		return
	}
	i.cfg.Logger.Info("deleted what is past its time", "weeks", d.Partitions, "reports", d.Reports, "rejects", d.Rejects)
	i.metrics.expired.Add(float64(d.Reports))
	i.stats.mu.Lock()
	defer i.stats.mu.Unlock()
	i.stats.stats.Expired += d.Reports
}
