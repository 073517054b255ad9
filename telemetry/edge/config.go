package edge

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/telemetry"
)

// Config is what an Edge needs. Front is required, all else has a default.
type Config struct {
	// Front is the connection clients' reports come in on, and their answers leave on.
	Front *nats.Conn
	// Back is the connection to the servers that hold the stream. Default: Front. Two connections let an edge stand
	// between a server that anyone may reach and a cluster that only edges may reach.
	Back *nats.Conn

	// Subject is where single reports are taken. Default telemetry.EdgeSubject. It must belong to no stream.
	Subject string
	// Queue is the name of the group of edges that share the work. Default "edge".
	Queue string
	// ReplyPrefixes are what the reply subject of a report may begin with; reports with another are dropped, because an
	// edge must not be made to publish on subjects its sender may not use. Default "_INBOX.", as clients have it that
	// set no prefix of their own, and "_R_.", which servers put in its place for clients in another account.
	ReplyPrefixes []string

	// MaxReports is the most reports in one pack. Default 100. A pack is never larger than telemetry.MaxPackSize.
	MaxReports int
	// MaxWait is the longest time a report waits for its pack to fill. Default 20 ms.
	MaxWait time.Duration
	// Window bounds the packs between the first report and the acknowledgement. When all are in use, no report is
	// taken. Default 64.
	Window int
	// MaxPending bounds the reports that wait while the window is full, in bytes. What does not fit is not taken and
	// counted; its client sends it again. Default 16 MiB. All reports in memory together take at most this and Window
	// packs.
	MaxPending int
	// AckTimeout is how long to wait for the acknowledgement of a pack before its clients are told to send again.
	// Default 5 s; it should be below the AckTimeout of the clients, 10 s.
	AckTimeout time.Duration
	// Remember is how many ids of acknowledged reports are kept, so that a report sent again shortly after is answered as
	// a duplicate and not stored twice. At 24 bytes each. Default 262,144.
	Remember int
	// StopWait is the longest time to finish what is in hand after Run's context ends. Default 5 s.
	StopWait time.Duration

	Logger  *slog.Logger // told of faults, without subjects, addresses or content. Default: none
	Metrics prometheus.Registerer
}

// accountReplyPrefix begins the subjects nats-server makes up for replies that leave an account.
const accountReplyPrefix = "_R_."

const (
	defaultQueue      = "edge"
	defaultMaxReports = 100
	defaultMaxWait    = 20 * time.Millisecond
	defaultWindow     = 64
	defaultMaxPending = 16 << 20
	defaultAckTimeout = 5 * time.Second
	defaultRemember   = 1 << 18
	defaultStopWait   = 5 * time.Second

	mostReports  = 10_000
	mostWindow   = 256 // JetStream is slower with more
	leastPending = telemetry.MaxPackSize
	mostRemember = 1 << 24
)

func (c *Config) setDefaults() {
	if c.Back == nil {
		c.Back = c.Front
	}
	c.Subject = cmp.Or(c.Subject, telemetry.EdgeSubject)
	c.Queue = cmp.Or(c.Queue, defaultQueue)
	if len(c.ReplyPrefixes) == 0 {
		c.ReplyPrefixes = []string{nats.InboxPrefix, accountReplyPrefix}
	}
	c.MaxReports = cmp.Or(c.MaxReports, defaultMaxReports)
	c.MaxWait = cmp.Or(c.MaxWait, defaultMaxWait)
	c.Window = cmp.Or(c.Window, defaultWindow)
	c.MaxPending = cmp.Or(c.MaxPending, defaultMaxPending)
	c.AckTimeout = cmp.Or(c.AckTimeout, defaultAckTimeout)
	c.Remember = cmp.Or(c.Remember, defaultRemember)
	c.StopWait = cmp.Or(c.StopWait, defaultStopWait)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate reports every fault with its field. A zero field is no fault where there is a default.
func (c *Config) Validate() error {
	var faults []error
	if c.Front == nil {
		faults = append(faults, errors.New("no connection: set Front to the one clients' reports come in on"))
	}
	for _, f := range []struct {
		name               string
		value, least, most int
	}{
		{"MaxReports", c.MaxReports, 1, mostReports},
		{"Window", c.Window, 1, mostWindow},
		{"MaxPending", c.MaxPending, leastPending, 1 << 30},
		{"Remember", c.Remember, 1, mostRemember},
	} {
		if f.value != 0 && (f.value < f.least || f.value > f.most) {
			faults = append(faults, fmt.Errorf("%s %d is outside %d..%d", f.name, f.value, f.least, f.most))
		}
	}
	for _, d := range []struct {
		name        string
		value, most time.Duration
	}{
		{"MaxWait", c.MaxWait, time.Second},
		{"AckTimeout", c.AckTimeout, time.Minute},
		{"StopWait", c.StopWait, time.Minute},
	} {
		if d.value < 0 || d.value > d.most {
			faults = append(faults, fmt.Errorf("%s %v is outside 0..%v", d.name, d.value, d.most))
		}
	}
	return errors.Join(faults...)
}
