package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publisher is what a Reporter needs of JetStream; jetstream.JetStream is one. See NewPublisher.
type Publisher interface {
	// PublishMsgAsync sends a message and returns at once; the future tells whether the stream took it.
	PublishMsgAsync(msg *nats.Msg, opts ...jetstream.PublishOpt) (jetstream.PubAckFuture, error)
	// Conn is the connection, so that nothing is sent while it is down; nil means it is always up.
	Conn() *nats.Conn
}

// MaxWindow is the largest number of reports a Reporter has on the way at once. JetStream is fastest with about this
// many, and slower with thousands.
const MaxWindow = 256

// ReporterConfig configures a Reporter.
type ReporterConfig struct {
	// Enabled is the user's consent. False, the default, collects, sends and writes nothing, and deletes what an earlier
	// Reporter left in Spool. Reporter.SetEnabled follows the user's later choices.
	Enabled bool
	// Publisher is where reports go. Required when Enabled, and for SetEnabled(true).
	Publisher Publisher
	// Subject is what reports are published on. Default: Subject.
	Subject string

	// Spool is the file that holds every report from before it is sent until it is acknowledged, also across a restart or a
	// crash. The same name with ".next" and with ".lock" is used as well. Default: none, memory only. No two Reporters may
	// share one.
	Spool string
	// SpoolLimit bounds the waiting reports, in bytes; beyond it the oldest are dropped and counted. The file itself may
	// grow to twice that before it is rewritten. Default 1 MiB, at least 256 KiB.
	SpoolLimit int64
	// Queue bounds the reports between Call.End and the network; beyond it the oldest are dropped and counted.
	// Default 1024.
	Queue int
	// Window bounds the reports sent and not yet acknowledged. Default and largest: MaxWindow.
	Window int
	// AckTimeout is how long to wait for an acknowledgement before the report is sent again. Default 10 s.
	AckTimeout time.Duration
	// RetryMin and RetryMax bound the pause after a fault; it doubles from one to the other. Default 250 ms and 15 s.
	RetryMin, RetryMax time.Duration

	// Refusals, when set, is asked at the end of each call for the policies refused since it was last asked, by the
	// reasons of package policy/delivery. It must not block.
	Refusals func() [RefusalReasons]uint8
	// Preview, when set, is given the exact bytes of each report before they are stored or sent, and those of a report that
	// an earlier Reporter left; NewView takes them apart. The bytes are a copy. It runs on the Reporter's own goroutine, so
	// calls do not wait for it, but sending and Close do. A report is shown twice where the disk fails and it therefore goes
	// without the count of lost ones: the later bytes under an id are those sent.
	Preview func(report []byte)
	// Logger is told of faults, without any content of a report. Default: none.
	Logger *slog.Logger
}

const (
	defaultSpoolLimit = 1 << 20
	minSpoolLimit     = 4 * MaxReportSize
	maxSpoolLimit     = maxSpoolFile / 4
	defaultQueue      = 1024
	maxQueue          = 1 << 20
)

func (c *ReporterConfig) setDefaults() {
	c.Subject = cmp.Or(c.Subject, Subject)
	c.SpoolLimit = cmp.Or(c.SpoolLimit, defaultSpoolLimit)
	c.Queue = cmp.Or(c.Queue, defaultQueue)
	c.Window = cmp.Or(c.Window, MaxWindow)
	c.AckTimeout = cmp.Or(c.AckTimeout, defaultAckTimeout)
	c.RetryMin = cmp.Or(c.RetryMin, 250*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, max(15*time.Second, c.RetryMin))
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate reports every fault, with its field. Zero fields mean their defaults.
func (c *ReporterConfig) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Enabled && c.Publisher == nil {
		fault("Publisher is missing: give a jetstream.JetStream, or set Enabled to false")
	}
	if c.SpoolLimit != 0 && (c.SpoolLimit < minSpoolLimit || c.SpoolLimit > maxSpoolLimit) {
		fault("SpoolLimit %d is outside %d..%d bytes", c.SpoolLimit, minSpoolLimit, maxSpoolLimit)
	}
	if c.Queue < 0 || c.Queue > maxQueue {
		fault("Queue %d is outside 1..%d", c.Queue, maxQueue)
	}
	if c.Window < 0 || c.Window > MaxWindow {
		fault("Window %d is outside 1..%d", c.Window, MaxWindow)
	}
	if c.AckTimeout < 0 {
		fault("AckTimeout %v is negative", c.AckTimeout)
	}
	if c.RetryMin < 0 || c.RetryMax < 0 || c.RetryMax != 0 && c.RetryMax < c.RetryMin {
		fault("RetryMin %v and RetryMax %v: want 0 <= RetryMin <= RetryMax", c.RetryMin, c.RetryMax)
	}
	return errors.Join(faults...)
}

// Counts are a Reporter's totals since it was made. At every moment
// Created + Recovered == Acknowledged + Dropped + Pending.
type Counts struct {
	Created      uint64 // reports of calls that ended
	Recovered    uint64 // reports an earlier Reporter left in the spool
	Sent         uint64 // times a report was handed to the connection
	Acknowledged uint64 // reports the stream has stored
	Duplicates   uint64 // of these, the ones the stream had stored before
	Spooled      uint64 // reports of calls that came to the spool, on their way to the connection
	Failed       uint64 // times a report that was to be sent was not acknowledged, and went on waiting
	Dropped      uint64 // reports given up: no room, larger than the server takes, damaged, the call never ended, or consent withdrawn
	Pending      uint64 // reports still waiting
}
