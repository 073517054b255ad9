package transparency

import (
	"encoding/json"
	"time"
)

// Format is the version of a Report's JSON.
//
// History: 1 = the first.
const Format = 1

// Report is everything the report says. Markdown, HTML and JSON render it and add nothing.
type Report struct {
	Format    int       `json:"format"`
	Program   string    `json:"program"`   // version of the program that wrote it
	Generated time.Time `json:"generated"` // UTC, whole seconds
	Since     Day       `json:"since"`     // the period: the first day
	Until     Day       `json:"until"`     // and the first day after it

	About  string   `json:"about"`  // what this system is
	Answer []string `json:"answer"` // to "what do you hold about me?"; paragraphs
	// Findings are what is not as it is promised, and what this program cannot explain. None is the normal case.
	Findings []Finding `json:"findings"`

	Promises   Promises   `json:"promises"`
	Held       Held       `json:"held"`
	Withheld   Withheld   `json:"withheld"`
	Randomized Randomized `json:"randomized"`
	Orders     []Order    `json:"orders"`
	Requests   Requests   `json:"requests"`
	Fields     []Field    `json:"fields"`
	Database   Database   `json:"database"`
	Streams    Streams    `json:"streams"`
	Policies   Policies   `json:"policies"`
	Limits     []string   `json:"limits"` // what this report cannot see
	Checks     []Check    `json:"checks"`
}

// Finding is something that is not as it should be.
type Finding struct {
	Serious bool   `json:"serious"` // a promise is broken, or something is stored that nobody has explained
	Where   string `json:"where"`
	What    string `json:"what"`
	Action  string `json:"action"` // what the operator should do
}

// Promises are the bounds in force.
type Promises struct {
	MinCell       int `json:"minCell"`       // k: fewer reports of one region and network on a day have their region withheld
	RetentionDays int `json:"retentionDays"` // no report is older than this
}

// Held counts the reports in the warehouse and what waits on the way there. A report stored twice counts once.
type Held struct {
	Reports  uint64     `json:"reports"` // all that exist, whatever their day
	Oldest   Day        `json:"oldest,omitempty"`
	Newest   Day        `json:"newest,omitempty"`
	Deletion *time.Time `json:"deletion,omitempty"` // when the oldest is deleted, at the latest; with it all of its week
	Waiting  *uint64    `json:"waiting,omitempty"`  // messages in the stream of reports; absent when it was not reached
	Bytes    uint64     `json:"bytes"`              // on disk, of all tables

	Refused       uint64        `json:"refused"` // all that are counted, whatever their day; nothing else of them is kept
	RefusedOldest Day           `json:"refusedOldest,omitempty"`
	Reasons       []ReasonCount `json:"reasons"` // in the period

	Days  []DayCount `json:"days"`  // of the period, with reports or refusals
	Weeks []DayCount `json:"weeks"` // the same by week; Day is its Monday
	Total DayCount   `json:"total"` // the same in all; no Day
}

// ReasonCount counts refused reports.
type ReasonCount struct {
	Reason  string `json:"reason"`
	Reports uint64 `json:"reports"`
}

// DayCount counts rows by table, and reports by what became of their region.
type DayCount struct {
	Day      Day    `json:"day,omitempty"`
	Reports  uint64 `json:"reports"` // rows of calls
	Withheld uint64 `json:"withheld"`
	NotGiven uint64 `json:"notGiven"`
	Shown    uint64 `json:"shown"`
	Rated    uint64 `json:"rated"`
	Refused  uint64 `json:"refused"` // rows of rejects
}

func (d *DayCount) add(o DayCount) {
	d.Reports += o.Reports
	d.Withheld += o.Withheld
	d.NotGiven += o.NotGiven
	d.Shown += o.Shown
	d.Rated += o.Rated
	d.Refused += o.Refused
}

// Withheld tells what is not stored, and not shown, because too few calls have it in common. All of the period.
type Withheld struct {
	Reports       uint64 `json:"reports"` // whose region is withheld
	NotGiven      uint64 `json:"notGiven"`
	Shown         uint64 `json:"shown"`
	Cells         uint64 `json:"cells"`        // (day, origin, region, network) whose region is stored
	SmallestCell  uint64 `json:"smallestCell"` // reports in the smallest of them
	Groups        uint64 `json:"groups"`       // of the daily view for people
	HiddenGroups  uint64 `json:"hiddenGroups"` // of them too small to be shown
	HiddenReports uint64 `json:"hiddenReports"`
}

// Randomized tells what is held of what users said about their calls.
type Randomized struct {
	Rated        uint64  `json:"rated"` // all that are held
	RatedPeriod  uint64  `json:"ratedPeriod"`
	StarsEpsilon float64 `json:"starsEpsilon"`
	StarsFactor  float64 `json:"starsFactor"` // e^epsilon
	StarsTruth   float64 `json:"starsTruth"`  // chance that the stars stored are those given
	FlagEpsilon  float64 `json:"flagEpsilon"`
	FlagFactor   float64 `json:"flagFactor"`
	FlagTruth    float64 `json:"flagTruth"`
	Flags        int     `json:"flags"` // of which one is asked
	Proves       string  `json:"proves"`
}

// Field is one field of a report, as the registry declares it.
type Field struct {
	Name       string   `json:"name"` // as Message.field
	Says       string   `json:"says"`
	Type       string   `json:"type"`
	Values     string   `json:"values"`     // what it can say
	Coarseness string   `json:"coarseness"` // how much that tells apart
	Purpose    string   `json:"purpose"`
	Columns    []string `json:"columns"` // of the warehouse; none for what is not stored
	Retired    string   `json:"retired,omitempty"`
	Review     Day      `json:"review,omitempty"`
	Expires    Day      `json:"expires,omitempty"`
}

// Database is everything that exists in the warehouse.
type Database struct {
	Server         string      `json:"server"`
	Schema         uint32      `json:"schema"`
	Tables         []Table     `json:"tables"`
	OtherDatabases []string    `json:"otherDatabases"` // on the same server, not looked into
	ServerLogs     []ServerLog `json:"serverLogs"`     // what the server keeps about its own work
}

// ServerLog is a table that the server keeps about its own work.
type ServerLog struct {
	Table string `json:"table"`
	Rows  uint64 `json:"rows"`
}

// Table is one table or view.
type Table struct {
	Name         string   `json:"name"`
	Engine       string   `json:"engine"`
	View         bool     `json:"view"` // it stores nothing
	Known        bool     `json:"known"`
	Rows         uint64   `json:"rows"` // stored, copies included
	Bytes        uint64   `json:"bytes"`
	RemovedBytes uint64   `json:"removedBytes"` // deleted, and on disk for minutes more
	Partitions   uint64   `json:"partitions"`
	Columns      []Column `json:"columns"`
}

// Column is one column.
type Column struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Known   bool   `json:"known"` // to the registry, or to the program that made the table
	Purpose string `json:"purpose,omitempty"`
}

// Streams is every JetStream stream.
type Streams struct {
	Reached bool     `json:"reached"`
	Why     string   `json:"why,omitempty"` // it was not reached
	List    []Stream `json:"list"`
}

// Stream is one JetStream stream.
type Stream struct {
	Name       string        `json:"name"`
	Subjects   []string      `json:"subjects"`
	Purpose    string        `json:"purpose"` // empty for a stream that this program does not know
	Keeps      string        `json:"keeps"`   // its retention policy
	MaxAge     time.Duration `json:"maxAgeNanoseconds"`
	MaxBytes   int64         `json:"maxBytes"`    // negative: no limit
	MaxPerItem int64         `json:"maxPerValue"` // messages of one subject; negative: no limit
	Messages   uint64        `json:"messages"`
	Bytes      uint64        `json:"bytes"`
	Oldest     *time.Time    `json:"oldest,omitempty"` // when the oldest message arrived, to the hour
}

// Policies is what was published to clients.
type Policies struct {
	Known     bool     `json:"known"`
	Why       string   `json:"why,omitempty"` // it is not known
	InForce   uint32   `json:"inForce"`       // 0: the one compiled into clients
	Threshold int      `json:"threshold"`     // different keys that must sign
	Keys      int      `json:"keys"`          // of so many
	List      []Policy `json:"list"`
}

// Policy is one published policy: the same bytes for everybody.
type Policy struct {
	Version    uint32    `json:"version"`
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires"`
	Experiment uint32    `json:"experiment"` // 0: none
	Arms       int       `json:"arms"`
	Bytes      int       `json:"bytes"`
	SHA256     string    `json:"sha256"`
}

// The states of the log of requests.
const (
	LogVerified   = "verified"   // chain and signatures, against the keys given
	LogUnanchored = "unanchored" // chain and signatures, against the keys that the entries name
	LogAltered    = "altered"
	LogEmpty      = "empty"
)

// Requests tells who asked for data.
type Requests struct {
	State   string   `json:"state"`
	Fault   string   `json:"fault,omitempty"` // when it is altered
	Entries int      `json:"entries"`
	Head    string   `json:"head,omitempty"` // hash of the last entry: note it to see later that nothing was cut off
	Keys    []string `json:"keys"`           // public keys that the log was verified against

	Kinds         []KindCount         `json:"kinds"` // every kind, those without a request included
	Jurisdictions []JurisdictionCount `json:"jurisdictions"`
	List          []NumberedRequest   `json:"list"` // received or answered in the period
}

// KindCount counts the requests of one kind.
type KindCount struct {
	Kind   string `json:"kind"`
	Period int    `json:"period"` // received in the period
	Ever   int    `json:"ever"`
	Open   int    `json:"open"`   // of all, not answered yet
	Handed int    `json:"handed"` // of all, answered with stored reports
}

// JurisdictionCount counts the requests from one country.
type JurisdictionCount struct {
	Jurisdiction string `json:"jurisdiction"`
	Period       int    `json:"period"`
	Ever         int    `json:"ever"`
}

// Order is one kind of demand that a court can make, and the truthful answer.
type Order struct {
	Demand  string   `json:"demand"`
	Verdict string   `json:"verdict"` // in a few words
	Level   Level    `json:"level"`
	Why     []string `json:"why"`
}

// Level is how much an order obtains.
type Level string

// The values of Level.
const (
	LevelNothing Level = "nothing"
	LevelSome    Level = "some"    // something, or something from then on
	LevelAll     Level = "all"     // all that is listed in the report
	LevelUnknown Level = "unknown" // nobody can tell before the findings are cleared
)

// Check is how a reader obtains a figure without this program.
type Check struct {
	Figure  string `json:"figure"`
	Command string `json:"command"`
}

// Serious lists the findings that break a promise or that nobody can explain.
func (r *Report) Serious() []Finding {
	var list []Finding
	for _, f := range r.Findings {
		if f.Serious {
			list = append(list, f)
		}
	}
	return list
}

// JSON renders the report: indented, with a newline at the end.
func (r *Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}
