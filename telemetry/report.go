package telemetry

import (
	"encoding/hex"
	"time"

	"github.com/attune-calls/attune/model"
)

// SchemaVersion is the version of the schema this package writes and the newest it reads.
//
// History: 1 = the first; 2 = OriginImport, and ratings leave the device randomized (Stars and Problem instead of Rating
// and Problems).
const SchemaVersion = 2

// StackVersion says what the statistics behind a report mean, because media stacks change that between releases.
//
// History: 1 = packets and bytes as the policy interceptor counts them on the wire, headers included; loss and delay
// from RTCP receiver reports (RFC 3550 6.4) and from the far end's playout counters.
const StackVersion = 1

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

// Report is one leg of one call.
type Report struct {
	ID     ReportID
	Schema uint16 // SchemaVersion of the writer
	Stack  uint8  // StackVersion of the writer
	Hour   uint32 // in which the call began, in hours since 1970-01-01 00:00 UTC
	Origin Origin

	// Context is where the call began. Only its static fields are carried: Network, Metered, Region, Device,
	// TimeOfDay and Reach.
	Context model.Context

	Stage    model.Stage
	Dropped  bool         // it ended although nobody hung up
	Duration model.Bucket // on ScaleDuration: time with media

	// What the user said about the call, randomized on the device (package response): one answer proves nothing, many
	// can be counted. Both are given when the user rated the call, and 0 otherwise.
	Stars   uint8 // 1..MaxRating
	Problem uint8 // response.ProblemAnswer about one of the Problem flags

	// Rating and Problems are the user's own words, as a client of version 1 wrote them. Upgrade turns them into Stars and
	// Problem and clears them; a report of version 2 does not have them.
	Rating   uint8  // 1..MaxRating stars; 0 = not rated
	Problems uint16 // set of the Problem flags

	Refusals     [RefusalReasons]uint8 // policies this client refused since its last report, by reason
	LostSegments uint32                // segments of this call left out because it had more than MaxSegments
	LostReports  uint32                // reports this client had to give up before this one

	Segments []model.Segment // at most MaxSegments, in the order of the call
}

// Origin is where the call of a report took place.
type Origin uint8

// The values of Origin.
const (
	OriginUnknown    Origin = iota
	OriginCall              // in real time, over a network
	OriginSimulation        // computed, in virtual time
	OriginImport            // read from a team's own history
)

var originNames = [...]string{"unknown", "call", "simulation", "import"}

// OriginCount is the number of values of Origin, the unknown one included.
const OriginCount = len(originNames)

func (o Origin) String() string {
	if !o.Valid() {
		return "invalid"
	}
	return originNames[o]
}

// Valid reports whether o is one of the declared values.
func (o Origin) Valid() bool { return int(o) < OriginCount }

// What a user may say was wrong with a call: the bits that Call.Rate takes.
const (
	ProblemEcho      uint16 = 1 << iota // I heard myself
	ProblemNoise                        // there was noise
	ProblemSilence                      // I could not hear the other side
	ProblemUnheard                      // the other side could not hear me
	ProblemCuts                         // words were missing
	ProblemDistorted                    // voices sounded metallic or distorted
	ProblemDelay                        // answers came late
	ProblemEnded                        // the call ended by itself

	ProblemMask = ProblemEnded<<1 - 1 // every declared flag
)

// ScaleDuration is the time a call had media.
var ScaleDuration = &model.Scale{
	Name: "duration", Unit: "s", Lower: 0, Upper: 7200,
	Steps: []float64{2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 3600},
}

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
