package telemetry

import (
	"encoding/hex"
	"time"

	"github.com/attune-calls/attune/model"
)

// StackVersion says what the statistics behind a report mean, because media stacks change that between releases.
//
// History: 1 = packets and bytes as the policy interceptor counts them on the wire, headers included; loss and delay
// from RTCP receiver reports (RFC 3550 6.4) and from the far end's playout counters, quality from the E-model
// (codec.Fullband). 2 = the same, quality from the measured surface (codec.Measured).
const StackVersion = 2

// Bounds of a report. What exceeds them is refused before it is parsed any further.
const (
	MaxReportSize   = 64 << 10 // bytes of one encoded report
	MaxSegments     = 256      // segments of one report
	MaxLostReports  = 1<<16 - 1
	MaxLostSegments = 1<<16 - 1
	MaxRating       = 5
)

// The JetStream stream and subject that reports travel on.
const (
	Stream   = "CALLS"
	Subjects = "calls.v1.>"
	Subject  = "calls.v1.report"
)

// ReportID is 16 random bytes that name one report and nothing else. The zero ReportID is not valid.
type ReportID [16]byte

// String is the id in hexadecimal.
func (id ReportID) String() string { return hex.EncodeToString(id[:]) }

// MessageID is the Nats-Msg-Id a report is published under: within its window JetStream stores one message per id.
func MessageID(id ReportID) string { return id.String() }

// RefusalReasons is how many reasons for refusing a policy a report counts. They are the reasons of package
// policy/delivery, in its order.
const RefusalReasons = 8

// HourOf is the only form in which a report tells a time.
func HourOf(t time.Time) uint32 {
	hours := t.Unix() / 3600
	if hours < 0 || hours > int64(^uint32(0)) {
		return 0
	}
	return uint32(hours)
}

// situation is the static part of a context: what does not depend on the call so far.
type situation struct {
	network   model.NetworkType
	metered   model.Metered
	region    model.Region
	device    model.DeviceClass
	timeOfDay model.TimeOfDay
	reach     model.Reach
}

// is tells whether s is situationOf(c), without making it.
func (s *situation) is(c *model.Context) bool {
	return s.network == c.Network && s.metered == c.Metered && s.region == c.Region && s.device == c.Device &&
		s.timeOfDay == c.TimeOfDay && s.reach == c.Reach
}

func situationOf(c *model.Context) situation {
	return situation{c.Network, c.Metered, c.Region, c.Device, c.TimeOfDay, c.Reach}
}

func (s situation) describe(c *model.Context) {
	c.Network, c.Metered, c.Region = s.network, s.metered, s.region
	c.Device, c.TimeOfDay, c.Reach = s.device, s.timeOfDay, s.reach
}

// staticContext is c without its measurements.
func staticContext(c model.Context) model.Context {
	var static model.Context
	situationOf(&c).describe(&static)
	return static
}
