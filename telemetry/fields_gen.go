// Code generated from telemetry/schema/registry.yaml by telemetry/schema/generate; DO NOT EDIT.

package telemetry

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/model"
)

// The field numbers of the message Report.
const (
	fieldSchema       protowire.Number = 1
	fieldIDHigh       protowire.Number = 2
	fieldIDLow        protowire.Number = 3
	fieldHour         protowire.Number = 4
	fieldOrigin       protowire.Number = 5
	fieldStack        protowire.Number = 6
	fieldStage        protowire.Number = 7
	fieldDropped      protowire.Number = 8
	fieldDuration     protowire.Number = 9
	fieldRating       protowire.Number = 10
	fieldProblems     protowire.Number = 11
	fieldRefusals     protowire.Number = 12
	fieldSituations   protowire.Number = 13
	fieldActions      protowire.Number = 14
	fieldDeciders     protowire.Number = 15
	fieldSegments     protowire.Number = 16
	fieldLostSegments protowire.Number = 17
	fieldLostReports  protowire.Number = 18
	fieldStars        protowire.Number = 19
	fieldProblem      protowire.Number = 20
)

// The field numbers of the message Pack.
const (
	fieldPackReports protowire.Number = 1
)

// The field numbers of the message Situation.
const (
	fieldSituationNetwork   protowire.Number = 1
	fieldSituationMetered   protowire.Number = 2
	fieldSituationRegion    protowire.Number = 3
	fieldSituationDevice    protowire.Number = 4
	fieldSituationTimeOfDay protowire.Number = 5
	fieldSituationReach     protowire.Number = 6
)

// The field numbers of the message Action.
const (
	fieldActionCodec        protowire.Number = 1
	fieldActionBitrateKbps  protowire.Number = 2
	fieldActionBandwidth    protowire.Number = 3
	fieldActionFrameMillis  protowire.Number = 4
	fieldActionExpectedLoss protowire.Number = 5
	fieldActionREDDepth     protowire.Number = 6
	fieldActionDTX          protowire.Number = 7
	fieldActionTransport    protowire.Number = 8
	fieldActionSite         protowire.Number = 9
)

// The field numbers of the message Decider.
const (
	fieldDeciderPolicy     protowire.Number = 1
	fieldDeciderExperiment protowire.Number = 2
	fieldDeciderArm        protowire.Number = 3
)

// The field numbers of the message Segments.
const (
	columnPropensity           = 1
	columnCause                = 2
	columnExplored             = 3
	columnSituation            = 4
	columnDecider              = 5
	columnAction               = 6
	columnPrevious             = 7
	columnSeconds              = 8
	columnContextRoundTripTime = 9
	columnContextJitter        = 10
	columnContextLoss          = 11
	columnContextBurst         = 12
	columnContextBandwidth     = 13
	columnMOS                  = 14
	columnLossBefore           = 15
	columnLossAfter            = 16
	columnConcealed            = 17
	columnRoundTripTime        = 18
	columnJitterBufferDelay    = 19
	columnRate                 = 20

	columnEnd = 21 // one past the last
)

// scaleOf gives a scale by its name in the registry.
func scaleOf(name string) *model.Scale {
	switch name {
	case "duration":
		return ScaleDuration
	case "roundTripTime":
		return model.ScaleRoundTripTime
	case "jitter":
		return model.ScaleJitter
	case "fractionLost":
		return model.ScaleLoss
	case "burstRatio":
		return model.ScaleBurst
	case "availableBitrate":
		return model.ScaleBandwidth
	case "mosEstimate":
		return model.ScaleMOS
	case "outcomeLoss":
		return model.ScaleOutcomeLoss
	case "delay":
		return model.ScaleDelay
	case "sentBitrate":
		return model.ScaleRate
	}
	return nil
}

var listOrigin = []string{
	"unknown", "call", "simulation", "import",
}

var listNetworkType = []string{
	"unknown", "ethernet", "wifi", "2g", "3g", "4g", "5g", "satellite",
}

var listMetered = []string{
	"unknown", "no", "yes",
}

var listDeviceClass = []string{
	"unknown", "low", "mid", "high",
}

var listTimeOfDay = []string{
	"unknown", "night", "morning", "afternoon", "evening",
}

var listReach = []string{
	"unknown", "udp", "tcp-only", "tls-only",
}

var listCodec = []string{
	"unknown", "opus", "opus+red", "pcmu",
}

var listAudioBandwidth = []string{
	"unknown", "narrowband", "mediumband", "wideband", "superwideband", "fullband",
}

var listTransport = []string{
	"unknown", "direct", "relay-udp", "relay-tcp", "relay-tls",
}

var listStage = []string{
	"unknown", "offer", "ice", "dtls", "media", "ended",
}

var listCause = []string{
	"unknown", "start", "interval", "network", "policy",
}

var listRefusalReason = []string{
	"unknown", "signature", "threshold", "rollback", "expired", "format", "too large", "unreachable",
}

var listProblemFlag = []string{
	"echo", "noise", "silence", "unheard", "cuts", "distorted", "delay", "ended",
}

var listProblemAnswer = []string{
	"not-asked", "echo-no", "echo-yes", "noise-no", "noise-yes", "silence-no", "silence-yes", "unheard-no",
	"unheard-yes", "cuts-no", "cuts-yes", "distorted-no", "distorted-yes", "delay-no", "delay-yes", "ended-no",
	"ended-yes",
}

var listRegion = []string{
	"ZZ", "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA", "BB",
	"BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW", "BY", "BZ",
	"CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ",
	"DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR",
	"GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY",
	"HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO",
	"JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS",
	"LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR",
	"MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU",
	"NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO",
	"RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS",
	"ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV",
	"TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS", "YE", "YT",
	"ZA", "ZM", "ZW",
}

// fieldTable is the registry, field by field.
var fieldTable = [...]Field{
	{
		Message: "Report", Name: "schema", Number: 1, Type: "counter", Unit: "version", Min: 1, Max: 65535,
		Says:    "version of this schema that the writer knew",
		Purpose: "so that a reader knows how to read the rest, and keeps what it cannot read yet",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.schema"},
	},
	{
		Message: "Report", Name: "id_high", Number: 2, Type: "id",
		Says:    "first half of the random id of this report",
		Purpose: "so that a report that is delivered twice counts once; a new one is drawn for each report and used for nothing else",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.id"},
	},
	{
		Message: "Report", Name: "id_low", Number: 3, Type: "id",
		Says:    "second half of the random id of this report",
		Purpose: "so that a report that is delivered twice counts once; a new one is drawn for each report and used for nothing else",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.id"},
	},
	{
		Message: "Report", Name: "hour", Number: 4, Type: "counter", Unit: "hours since 1970-01-01 00:00 UTC", Min: 473352, Max: 1139567,
		Says:    "hour in which the call began, the only time in a report",
		Purpose: "networks are busier at some hours, policies are compared over the same hours, and old reports must be found to be deleted",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.day", "calls.hour"},
	},
	{
		Message: "Report", Name: "origin", Number: 5, Type: "enum", Names: listOrigin, Min: 0, Max: 3,
		Says:    "where the call took place",
		Purpose: "so that tests, simulations and imported history are never counted as calls of people",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.origin"},
	},
	{
		Message: "Report", Name: "stack", Number: 6, Type: "counter", Unit: "version", Min: 0, Max: 255,
		Says:    "what the media stack's statistics mean: StackVersion of the writer",
		Purpose: "media libraries change what they count; numbers of different meaning must not be mixed",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.stack"},
	},
	{
		Message: "Report", Name: "stage", Number: 7, Type: "enum", Names: listStage, Min: 0, Max: 5,
		Says:    "how far the call got",
		Purpose: "calls that never connect are the worst calls; the stage shows what to repair",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.stage"},
	},
	{
		Message: "Report", Name: "dropped", Number: 8, Type: "flag", Min: 0, Max: 1,
		Says:    "it ended although nobody hung up",
		Purpose: "a policy that drops calls must be found and taken back within a minute",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.dropped"},
	},
	{
		Message: "Report", Name: "duration", Number: 9, Type: "bucket", scale: "duration", Unit: "s", Min: 0, Max: 13,
		Says:    "time with media",
		Purpose: "to weigh calls, and because calls that are cut short point at bad quality",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.duration"},
	},
	{
		Message: "Report", Name: "rating", Number: 10, Type: "counter", Unit: "stars", Min: 0, Max: 5,
		Says:    "stars a user gave, as a client of version 1 wrote them; cleared by Upgrade before anything is stored",
		Purpose: "to check quality estimates against what people say",
		Since:   1, Retired: 2,
	},
	{
		Message: "Report", Name: "problems", Number: 11, Type: "flags", Names: listProblemFlag, Min: 0, Max: 255,
		Says:    "what a user said was wrong, as a client of version 1 wrote it; cleared by Upgrade before anything is stored",
		Purpose: "to check quality estimates against what people say",
		Since:   1, Retired: 2,
	},
	{
		Message: "Report", Name: "refusals", Number: 12, Type: "counter", Repeated: true, Each: listRefusalReason, Unit: "policies", Min: 0, Max: 255,
		Says:    "policies this client refused since its last report, by reason",
		Purpose: "a forged or broken policy must show up at once, wherever it is handed out",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.refusals"},
	},
	{
		Message: "Report", Name: "situations", Number: 13, Type: "table", Repeated: true, Of: "Situation", Min: 0, Max: 257,
		Says:    "where the call was made; the first is where it began",
		Purpose: "see the fields of Situation",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Report", Name: "actions", Number: 14, Type: "table", Repeated: true, Of: "Action", Min: 0, Max: 512,
		Says:    "the distinct ways the call was run, in order of first use",
		Purpose: "see the fields of Action",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Report", Name: "deciders", Number: 15, Type: "table", Repeated: true, Of: "Decider", Min: 0, Max: 256,
		Says:    "the distinct policies that decided, in order of first use",
		Purpose: "see the fields of Decider",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Report", Name: "segments", Number: 16, Type: "message", Of: "Segments", Min: 0, Max: 0,
		Says:    "the decisions of the call and what came of each",
		Purpose: "see the fields of Segments",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Report", Name: "lost_segments", Number: 17, Type: "counter", Unit: "segments", Min: 0, Max: 65535,
		Says:    "segments of this call left out because it had too many",
		Purpose: "so that a long call is not taken for a short one",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.lost_segments"},
	},
	{
		Message: "Report", Name: "lost_reports", Number: 18, Type: "counter", Unit: "reports", Min: 0, Max: 65535,
		Says:    "reports this client could not keep before this one",
		Purpose: "so that it is known how much is missing, and statistics do not lean towards good connections unnoticed",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.lost_reports"},
	},
	{
		Message: "Report", Name: "stars", Number: 19, Type: "counter", Unit: "stars", Min: 0, Max: 5,
		Says:    "randomized on the device: stars a user gave, 0 = not rated",
		Purpose: "to check quality estimates against what people say",
		Since:   2, Review: "2027-11-30", Expires: "2028-05-31", Epsilon: 2,
		Columns: []string{"calls.stars"},
	},
	{
		Message: "Report", Name: "problem", Number: 20, Type: "enum", Names: listProblemAnswer, Min: 0, Max: 16,
		Says:    "randomized on the device: answer about one thing that may have been wrong, drawn by lot",
		Purpose: "to check quality estimates against what people say",
		Since:   2, Review: "2027-11-30", Expires: "2028-05-31", Epsilon: 2,
		Columns: []string{"calls.problem"},
	},
	{
		Message: "Pack", Name: "reports", Number: 1, Type: "table", Repeated: true, Of: "Report", Min: 0, Max: 65544,
		Says:    "the reports as their clients wrote them",
		Purpose: "a stream that forces the disk before each acknowledgement takes few messages, whatever their size",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Situation", Name: "network", Number: 1, Type: "enum", Names: listNetworkType, Min: 0, Max: 7,
		Says:    "kind of network",
		Purpose: "what works best differs between kinds of network; this is what policies are learned for",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.network", "segment.network"},
	},
	{
		Message: "Situation", Name: "metered", Number: 2, Type: "enum", Names: listMetered, Min: 0, Max: 2,
		Says:    "whether bytes cost the user",
		Purpose: "bytes are priced higher where the user pays for them",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.metered", "segment.metered"},
	},
	{
		Message: "Situation", Name: "region", Number: 3, Type: "enum", Names: listRegion, Min: 0, Max: 249,
		Says:    "country",
		Purpose: "networks and relays differ by country; withheld for groups of fewer calls a day than the privacy limit",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.region", "calls.region_state", "segment.region"},
	},
	{
		Message: "Situation", Name: "device", Number: 4, Type: "enum", Names: listDeviceClass, Min: 0, Max: 3,
		Says:    "class of device",
		Purpose: "a slow device cannot run the costly encoder settings",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.device", "segment.device"},
	},
	{
		Message: "Situation", Name: "time_of_day", Number: 5, Type: "enum", Names: listTimeOfDay, Min: 0, Max: 4,
		Says:    "local quarter of the day",
		Purpose: "networks are busier in the evening; the policy may know that, without knowing the time",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.time_of_day", "segment.time_of_day"},
	},
	{
		Message: "Situation", Name: "reach", Number: 6, Type: "enum", Names: listReach, Min: 0, Max: 3,
		Says:    "which protocols get out",
		Purpose: "where UDP is blocked, only some ways of connecting can work",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"calls.reach", "segment.reach"},
	},
	{
		Message: "Action", Name: "codec", Number: 1, Type: "enum", Names: listCodec, Min: 0, Max: 3,
		Says:    "how speech is coded",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_codec", "segment.codec"},
	},
	{
		Message: "Action", Name: "bitrate_kbps", Number: 2, Type: "counter", Unit: "kbps", Min: 6, Max: 128,
		Says:    "bitrate of the encoder",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_bitrate_kbps", "segment.bitrate_kbps"},
	},
	{
		Message: "Action", Name: "bandwidth", Number: 3, Type: "enum", Names: listAudioBandwidth, Min: 0, Max: 5,
		Says:    "highest pitch that is sent",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_audio_bandwidth", "segment.audio_bandwidth"},
	},
	{
		Message: "Action", Name: "frame_millis", Number: 4, Type: "counter", Unit: "ms", Min: 0, Max: 120, Values: []uint64{0x14, 0x28, 0x3c, 0x78},
		Says:    "length of speech in one frame",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_frame_ms", "segment.frame_ms"},
	},
	{
		Message: "Action", Name: "expected_loss", Number: 5, Type: "counter", Unit: "percent", Min: 0, Max: 50,
		Says:    "loss that forward error correction prepares for; 0 = off",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_expected_loss", "segment.expected_loss"},
	},
	{
		Message: "Action", Name: "red_depth", Number: 6, Type: "counter", Unit: "frames", Min: 0, Max: 4,
		Says:    "earlier frames that each packet repeats",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_red_depth", "segment.red_depth"},
	},
	{
		Message: "Action", Name: "dtx", Number: 7, Type: "flag", Min: 0, Max: 1,
		Says:    "nothing is sent during silence",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_dtx", "segment.dtx"},
	},
	{
		Message: "Action", Name: "transport", Number: 8, Type: "enum", Names: listTransport, Min: 0, Max: 4,
		Says:    "way the packets take",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_transport", "segment.transport"},
	},
	{
		Message: "Action", Name: "site", Number: 9, Type: "counter", Unit: "number of a site", Min: 0, Max: 255,
		Says:    "relay site: its number in the policy's list; 0 = none",
		Purpose: "it is what a policy chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.previous_site", "segment.site"},
	},
	{
		Message: "Decider", Name: "policy", Number: 1, Type: "counter", Unit: "version", Min: 0, Max: 1048575,
		Says:    "version of the policy; 0 = the compiled-in default",
		Purpose: "to tell which policy did well; everybody gets the same policies, so it points at nobody",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.policy"},
	},
	{
		Message: "Decider", Name: "experiment", Number: 2, Type: "counter", Unit: "number of an experiment", Min: 0, Max: 1048575,
		Says:    "number of the experiment; 0 = none",
		Purpose: "to compare the arms of an experiment",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.experiment"},
	},
	{
		Message: "Decider", Name: "arm", Number: 3, Type: "counter", Unit: "number of an arm", Min: 0, Max: 255,
		Says:    "arm of the experiment, drawn on the device",
		Purpose: "to compare the arms of an experiment",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.arm"},
	},
	{
		Message: "Segments", Name: "propensity", Number: 1, Type: "counter", Repeated: true, Unit: "millionths", Min: 1, Max: 1000000,
		Says:    "chance with which the action was chosen; never absent",
		Purpose: "without it, no other policy could be judged from these calls",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.propensity_millionths"},
	},
	{
		Message: "Segments", Name: "cause", Number: 2, Type: "enum", Repeated: true, Names: listCause, Min: 0, Max: 4,
		Says:    "why the decision was made",
		Purpose: "decisions at the start know less than later ones; they are judged apart",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.cause"},
	},
	{
		Message: "Segments", Name: "explored", Number: 3, Type: "index", Repeated: true, Of: "Segments", Min: 0, Max: 255,
		Says:    "positions of the segments whose action was drawn by exploration",
		Purpose: "to keep the share of trials within its budget",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.explored"},
	},
	{
		Message: "Segments", Name: "situation", Number: 4, Type: "index", Repeated: true, Of: "Situation", Min: 0, Max: 256,
		Says:    "position in Report.situations",
		Purpose: "a device can move to another network during a call",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Segments", Name: "decider", Number: 5, Type: "index", Repeated: true, Of: "Decider", Min: 0, Max: 255,
		Says:    "position in Report.deciders",
		Purpose: "a new policy can arrive during a call",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Segments", Name: "action", Number: 6, Type: "index", Repeated: true, Of: "Action", Min: 0, Max: 511,
		Says:    "position in Report.actions",
		Purpose: "a policy changes its choice during a call",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Segments", Name: "previous", Number: 7, Type: "index", Repeated: true, Of: "Action", Min: 0, Max: 512,
		Says:    "action before: 1 + position in Report.actions, 0 = none; absent = the action of the position before, none for the first",
		Purpose: "what a change of settings costs depends on what was there before",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
	},
	{
		Message: "Segments", Name: "seconds", Number: 8, Type: "counter", Repeated: true, Unit: "s", Min: 0, Max: 120,
		Says:    "length",
		Purpose: "to weigh segments by how long they lasted",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.seconds"},
	},
	{
		Message: "Segments", Name: "context_round_trip_time", Number: 9, Type: "bucket", Repeated: true, scale: "roundTripTime", Unit: "ms", Min: 0, Max: 10,
		Says:    "known at the decision: time to the other side and back",
		Purpose: "it is what a policy knows when it chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.seen_round_trip_ms"},
	},
	{
		Message: "Segments", Name: "context_jitter", Number: 10, Type: "bucket", Repeated: true, scale: "jitter", Unit: "ms", Min: 0, Max: 8,
		Says:    "known at the decision: how unevenly packets came",
		Purpose: "it is what a policy knows when it chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.seen_jitter_ms"},
	},
	{
		Message: "Segments", Name: "context_loss", Number: 11, Type: "bucket", Repeated: true, scale: "fractionLost", Unit: "fraction", Min: 0, Max: 9,
		Says:    "known at the decision: packets that were lost",
		Purpose: "it is what a policy knows when it chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.seen_loss"},
	},
	{
		Message: "Segments", Name: "context_burst", Number: 12, Type: "bucket", Repeated: true, scale: "burstRatio", Unit: "ratio", Min: 0, Max: 5,
		Says:    "known at the decision: how much losses cluster; 1 = not at all (BurstR of ITU-T G.107)",
		Purpose: "it is what a policy knows when it chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.seen_burst_ratio"},
	},
	{
		Message: "Segments", Name: "context_bandwidth", Number: 13, Type: "bucket", Repeated: true, scale: "availableBitrate", Unit: "kbps", Min: 0, Max: 9,
		Says:    "known at the decision: bitrate the network seemed to allow",
		Purpose: "it is what a policy knows when it chooses",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.seen_bandwidth_kbps"},
	},
	{
		Message: "Segments", Name: "mos", Number: 14, Type: "bucket", Repeated: true, scale: "mosEstimate", Unit: "MOS", Min: 0, Max: 80,
		Says:    "came of it: estimated listening quality, 1 (bad) to 5 (excellent)",
		Purpose: "it is what a choice is judged by",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.mos"},
	},
	{
		Message: "Segments", Name: "loss_before", Number: 15, Type: "bucket", Repeated: true, scale: "outcomeLoss", Unit: "fraction", Min: 0, Max: 35,
		Says:    "came of it: packets that never came",
		Purpose: "it shows how well the repair of losses works",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.loss_before"},
	},
	{
		Message: "Segments", Name: "loss_after", Number: 16, Type: "bucket", Repeated: true, scale: "outcomeLoss", Unit: "fraction", Min: 0, Max: 35,
		Says:    "came of it: audio still missing after all repair",
		Purpose: "it shows how well the repair of losses works",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.loss_after"},
	},
	{
		Message: "Segments", Name: "concealed", Number: 17, Type: "bucket", Repeated: true, scale: "outcomeLoss", Unit: "fraction", Min: 0, Max: 35,
		Says:    "came of it: share of the sound that the player had to make up",
		Purpose: "it is the part of bad quality that people hear first",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.concealed"},
	},
	{
		Message: "Segments", Name: "round_trip_time", Number: 18, Type: "bucket", Repeated: true, scale: "delay", Unit: "ms", Min: 0, Max: 47,
		Says:    "came of it: time to the other side and back",
		Purpose: "delay makes people talk over each other",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.round_trip_ms"},
	},
	{
		Message: "Segments", Name: "jitter_buffer_delay", Number: 19, Type: "bucket", Repeated: true, scale: "delay", Unit: "ms", Min: 0, Max: 47,
		Says:    "came of it: delay that the player added to even out the packets",
		Purpose: "delay makes people talk over each other",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.jitter_buffer_ms"},
	},
	{
		Message: "Segments", Name: "rate", Number: 20, Type: "bucket", Repeated: true, scale: "sentBitrate", Unit: "kbps", Min: 0, Max: 75,
		Says:    "came of it: bitrate sent, headers included",
		Purpose: "bytes cost money and battery; a choice is judged by them as well",
		Since:   1, Review: "2027-11-30", Expires: "2028-05-31",
		Columns: []string{"segment.kbps"},
	},
}
