package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/telemetry"
)

// metrics are the counts of Stats for Prometheus. The only labels are closed lists: nothing here can tell one client
// from another.
type metrics struct {
	messages, received, stored, duplicates, returned prometheus.Counter
	withheld, revealed, expired, batches             prometheus.Counter
	doubted, lapsed                                  prometheus.Counter
	rejected, retries                                *prometheus.CounterVec
	waiting, clockGap                                prometheus.Gauge
	batchSeconds, lagSeconds                         prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "attune_ingest_" + name, Help: help})
	}
	m := &metrics{
		messages:   counter("messages_total", "Messages taken from the stream, further deliveries included; a pack is one."),
		received:   counter("received_total", "Reports in the messages taken from the stream."),
		stored:     counter("stored_total", "Reports inserted into the warehouse."),
		duplicates: counter("duplicates_total", "Reports left out because they were stored just before."),
		returned:   counter("returned_total", "Reports of a newer schema in packs that went back to the stream as messages of their own."),
		withheld:   counter("withheld_total", "Reports stored without their region, because too few of the day had it."),
		revealed:   counter("revealed_total", "Withheld reports stored again with their region, when enough others had come."),
		expired:    counter("expired_total", "Rows of reports deleted for their age."),
		batches:    counter("batches_total", "Blocks stored."),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_ingest_rejected_total", Help: "Reports refused, by reason.",
		}, []string{"reason"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_ingest_retries_total", Help: "Faults that were waited out, by step: fetch, insert, publish, acknowledge, expire, watch.",
		}, []string{"step"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "attune_ingest_waiting", Help: "Reports of a newer schema that wait in the stream for a newer reader.",
		}),
		doubted: counter("doubted_total", "Deliveries of reports whose hour could not be judged, because clocks disagree: they come again."),
		lapsed:  counter("lapsed_total", "Messages that the stream deleted before anybody had stored them."),
		clockGap: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "attune_ingest_clock_gap_seconds", Help: "How far the clocks of this machine, the stream and the warehouse are apart.",
		}),
		batchSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "attune_ingest_batch_seconds", Help: "From a block taken in hand to a block stored.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}),
		lagSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "attune_ingest_lag_seconds", Help: "From the arrival in the stream of a block's oldest message to the block stored.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 18),
		}),
	}
	for reason := range telemetry.RejectReasonCount {
		m.rejected.WithLabelValues(telemetry.RejectReason(reason).String())
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.messages, m.received, m.stored, m.duplicates, m.returned, m.withheld, m.revealed, m.expired, m.batches,
		m.doubted, m.lapsed, m.clockGap, m.rejected, m.retries, m.waiting, m.batchSeconds, m.lagSeconds,
	} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
