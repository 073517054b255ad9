// Code generated from telemetry/schema/registry.yaml by telemetry/schema/generate; DO NOT EDIT.

package telemetry

import "github.com/attune-calls/attune/model"

// SchemaVersion is the version of the schema this package writes and the newest it reads.
//
// History: 1 = the first; 2 = imports; ratings leave the device randomized, as stars and problem instead of rating
// and problems.
const SchemaVersion = 2

// Report is one leg of one call: what one client sent and how it was heard.
type Report struct {
	// Schema: version of this schema that the writer knew; 1..65535 version.
	Schema uint16

	// ID is random, for this report only.
	ID ReportID

	// Hour: hour in which the call began, the only time in a report; 473352..1139567 hours since 1970-01-01 00:00 UTC.
	Hour uint32

	// Origin: where the call took place.
	Origin Origin

	// Stack: what the media stack's statistics mean: StackVersion of the writer; 0..255 version.
	Stack uint8

	// Stage: how far the call got.
	Stage model.Stage

	// Dropped: it ended although nobody hung up.
	Dropped bool

	// Duration: time with media, on ScaleDuration.
	Duration model.Bucket

	// Rating: stars a user gave, as a client of version 1 wrote them; cleared by Upgrade before anything is stored; 0..5
	// stars.
	Rating uint8

	// Problems: what a user said was wrong, as a client of version 1 wrote it; cleared by Upgrade before anything is
	// stored.
	Problems uint16

	// Refusals: policies this client refused since its last report, by reason; 0..255 policies.
	Refusals [RefusalReasons]uint8

	// Context: where the call began. Only its static fields are carried: Network, Metered, Region, Device, TimeOfDay and
	// Reach.
	Context model.Context

	// Segments: the decisions of the call and what came of each, in the order of the call; at most MaxSegments.
	Segments []model.Segment

	// LostSegments: segments of this call left out because it had too many; 0..65535 segments.
	LostSegments uint32

	// LostReports: reports this client could not keep before this one; 0..65535 reports.
	LostReports uint32

	// Stars: randomized on the device: stars a user gave, 0 = not rated; 0..5 stars.
	Stars uint8

	// Problem: randomized on the device: answer about one thing that may have been wrong, drawn by lot; see package
	// response.
	Problem uint8
}

// Origin is where the call took place.
type Origin uint8

// The values of Origin.
const (
	OriginUnknown    Origin = 0 // not told
	OriginCall       Origin = 1 // in real time, over a network
	OriginSimulation Origin = 2 // computed, in virtual time
	OriginImport     Origin = 3 // read from a team's own history
)

// OriginCount is the number of values of Origin, the unknown one included.
const OriginCount = 4

func (o Origin) String() string {
	if !o.Valid() {
		return "invalid"
	}
	return listOrigin[o]
}

// Valid reports whether o is one of the declared values.
func (o Origin) Valid() bool { return int(o) < OriginCount }

// What a user may say was wrong: the bits that Call.Rate takes.
const (
	ProblemEcho      uint16 = 1 << 0 // I heard myself
	ProblemNoise     uint16 = 1 << 1 // there was noise
	ProblemSilence   uint16 = 1 << 2 // I could not hear the other side
	ProblemUnheard   uint16 = 1 << 3 // the other side could not hear me
	ProblemCuts      uint16 = 1 << 4 // words were missing
	ProblemDistorted uint16 = 1 << 5 // voices sounded metallic or distorted
	ProblemDelay     uint16 = 1 << 6 // answers came late
	ProblemEnded     uint16 = 1 << 7 // the call ended by itself

	ProblemMask uint16 = 1<<8 - 1 // every declared flag
)

// ScaleDuration divides duration into buckets.
var ScaleDuration = &model.Scale{
	Name: "duration", Unit: "s", Lower: 0, Upper: 7200,
	Steps: []float64{2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 3600},
}
