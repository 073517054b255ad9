// Code generated from telemetry/schema/registry.yaml by telemetry/schema/generate; DO NOT EDIT.

package warehouse

import (
	"encoding/binary"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// callColumns are the columns of calls that come before the segments: name and type.
func callColumns() [][2]string {
	return [][2]string{
		{"id", "UUID"},
		{"day", "Date"}, // the day of hour, which the partitions and the sorting key use
		{"hour", "DateTime('UTC')"},
		{"schema", "UInt16"},
		{"stack", "UInt8"},
		{"origin", enum8(originNames)},
		{"network", enum8(networkNames)}, // where the call began, like the next six
		{"metered", enum8(meteredNames)},
		{"region", "FixedString(2)"}, // ZZ where it is withheld
		{"region_state", "UInt8"},    // 0 = withheld at ingest because too few reports share it, 1 = not given by the client, 2 = shown
		{"device", enum8(deviceNames)},
		{"time_of_day", enum8(timeOfDayNames)},
		{"reach", enum8(reachNames)},
		{"stage", enum8(stageNames)},
		{"dropped", "UInt8"},
		{"duration", "UInt8"},
		{"stars", "UInt8"},
		{"problem", "UInt8"},
		{"refusals", "Array(UInt8)"},
		{"lost_segments", "UInt32"},
		{"lost_reports", "UInt32"},
	}
}

// appendCalls fills the columns of callColumns one after the other.
func (b *blockWriter) appendCalls(block *Block) {
	b.appendID(block)
	b.appendDay(block)
	b.appendHour(block)
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint16 { return uint16(r.Schema) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint8 { return uint8(r.Stack) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) int8 { return int8(r.Origin) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) int8 { return int8(r.Context.Network) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) int8 { return int8(r.Context.Metered) })
	b.appendRegion(block)
	b.appendRegionState(block)
	appendColumn(b, block.Reports, func(r *telemetry.Report) int8 { return int8(r.Context.Device) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) int8 { return int8(r.Context.TimeOfDay) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) int8 { return int8(r.Context.Reach) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) int8 { return int8(r.Stage) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint8 { return oneIf(r.Dropped) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint8 { return uint8(r.Duration) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint8 { return uint8(r.Stars) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint8 { return uint8(r.Problem) })
	b.appendRefusals(block)
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint32 { return uint32(r.LostSegments) })
	appendColumn(b, block.Reports, func(r *telemetry.Report) uint32 { return uint32(r.LostReports) })
}

// segmentColumns lists the nested columns in table order. A change here changes the table: add a migration.
var segmentColumns = []segmentColumn{
	{name: "cause", names: causeNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Cause) }},
	{name: "network", names: networkNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Network) }}, // the context the decision saw, like the next ten
	{name: "metered", names: meteredNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Metered) }},
	{name: "region", names: regionNames, u16: func(s *model.Segment) *uint16 { return (*uint16)(&s.Context.Region) }},
	{name: "device", names: deviceNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Device) }},
	{name: "time_of_day", names: timeOfDayNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.TimeOfDay) }},
	{name: "reach", names: reachNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Reach) }},
	{name: "seen_round_trip_ms", scale: model.ScaleRoundTripTime, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.RoundTripTime) }},
	{name: "seen_jitter_ms", scale: model.ScaleJitter, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Jitter) }},
	{name: "seen_loss", scale: model.ScaleLoss, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Loss) }},
	{name: "seen_burst_ratio", scale: model.ScaleBurst, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Burst) }},
	{name: "seen_bandwidth_kbps", scale: model.ScaleBandwidth, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Bandwidth) }},
	{name: "previous_codec", names: codecNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.Codec) }}, // the action in force before, like the next eight; all zero at the start
	{name: "previous_bitrate_kbps", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.BitrateKbps) }},
	{name: "previous_audio_bandwidth", names: audioBandwidthNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.Bandwidth) }},
	{name: "previous_frame_ms", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.FrameMillis) }},
	{name: "previous_expected_loss", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.ExpectedLoss) }},
	{name: "previous_red_depth", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.REDDepth) }},
	{name: "previous_dtx", flag: func(s *model.Segment) *bool { return &s.Context.Previous.DTX }},
	{name: "previous_transport", names: transportNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.Transport) }},
	{name: "previous_site", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Context.Previous.Site) }},
	{name: "codec", names: codecNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.Codec) }}, // the action chosen, like the next eight
	{name: "bitrate_kbps", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.BitrateKbps) }},
	{name: "audio_bandwidth", names: audioBandwidthNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.Bandwidth) }},
	{name: "frame_ms", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.FrameMillis) }},
	{name: "expected_loss", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.ExpectedLoss) }},
	{name: "red_depth", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.REDDepth) }},
	{name: "dtx", flag: func(s *model.Segment) *bool { return &s.Action.DTX }},
	{name: "transport", names: transportNames, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.Transport) }},
	{name: "site", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Action.Site) }},
	{name: "propensity_millionths", u32: func(s *model.Segment) *uint32 { return &s.Propensity }},
	{name: "explored", flag: func(s *model.Segment) *bool { return &s.Explored }},
	{name: "policy", u32: func(s *model.Segment) *uint32 { return &s.Policy }},
	{name: "experiment", u32: func(s *model.Segment) *uint32 { return &s.Experiment }},
	{name: "arm", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Arm) }},
	{name: "seconds", u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Seconds) }},
	{name: "mos", scale: model.ScaleMOS, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Outcome.MOS) }},
	{name: "loss_before", scale: model.ScaleOutcomeLoss, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Outcome.LossBefore) }},
	{name: "loss_after", scale: model.ScaleOutcomeLoss, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Outcome.LossAfter) }},
	{name: "concealed", scale: model.ScaleOutcomeLoss, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Outcome.Concealed) }},
	{name: "round_trip_ms", scale: model.ScaleDelay, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Outcome.RoundTripTime) }},
	{name: "jitter_buffer_ms", scale: model.ScaleDelay, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Outcome.JitterBufferDelay) }},
	{name: "kbps", scale: model.ScaleRate, u8: func(s *model.Segment) *uint8 { return (*uint8)(&s.Outcome.Rate) }},
}

// putSegments writes some segments into columns in wire format, which have room for them from element at on. A loop for
// each column, with nothing to call, is several times as fast as the accessors of segmentColumns.
func putSegments(columns [][]byte, segments []model.Segment, at int) {
	var out []byte
	out = columns[0][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Cause)
	}
	out = columns[1][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Network)
	}
	out = columns[2][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Metered)
	}
	out = columns[3][2*at:]
	for i := range segments {
		binary.LittleEndian.PutUint16(out[2*i:], uint16(segments[i].Context.Region))
	}
	out = columns[4][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Device)
	}
	out = columns[5][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.TimeOfDay)
	}
	out = columns[6][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Reach)
	}
	out = columns[7][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.RoundTripTime)
	}
	out = columns[8][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Jitter)
	}
	out = columns[9][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Loss)
	}
	out = columns[10][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Burst)
	}
	out = columns[11][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Bandwidth)
	}
	out = columns[12][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.Codec)
	}
	out = columns[13][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.BitrateKbps)
	}
	out = columns[14][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.Bandwidth)
	}
	out = columns[15][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.FrameMillis)
	}
	out = columns[16][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.ExpectedLoss)
	}
	out = columns[17][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.REDDepth)
	}
	out = columns[18][at:]
	for i := range segments {
		out[i] = oneIf(segments[i].Context.Previous.DTX)
	}
	out = columns[19][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.Transport)
	}
	out = columns[20][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Context.Previous.Site)
	}
	out = columns[21][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.Codec)
	}
	out = columns[22][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.BitrateKbps)
	}
	out = columns[23][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.Bandwidth)
	}
	out = columns[24][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.FrameMillis)
	}
	out = columns[25][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.ExpectedLoss)
	}
	out = columns[26][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.REDDepth)
	}
	out = columns[27][at:]
	for i := range segments {
		out[i] = oneIf(segments[i].Action.DTX)
	}
	out = columns[28][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.Transport)
	}
	out = columns[29][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Action.Site)
	}
	out = columns[30][4*at:]
	for i := range segments {
		binary.LittleEndian.PutUint32(out[4*i:], segments[i].Propensity)
	}
	out = columns[31][at:]
	for i := range segments {
		out[i] = oneIf(segments[i].Explored)
	}
	out = columns[32][4*at:]
	for i := range segments {
		binary.LittleEndian.PutUint32(out[4*i:], segments[i].Policy)
	}
	out = columns[33][4*at:]
	for i := range segments {
		binary.LittleEndian.PutUint32(out[4*i:], segments[i].Experiment)
	}
	out = columns[34][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Arm)
	}
	out = columns[35][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Seconds)
	}
	out = columns[36][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Outcome.MOS)
	}
	out = columns[37][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Outcome.LossBefore)
	}
	out = columns[38][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Outcome.LossAfter)
	}
	out = columns[39][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Outcome.Concealed)
	}
	out = columns[40][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Outcome.RoundTripTime)
	}
	out = columns[41][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Outcome.JitterBufferDelay)
	}
	out = columns[42][at:]
	for i := range segments {
		out[i] = uint8(segments[i].Outcome.Rate)
	}
}

// The names of the enumerations, in the order of their values.
var (
	originNames = []string{
		"unknown", "call", "simulation", "import",
	}
	networkNames = []string{
		"unknown", "ethernet", "wifi", "2g", "3g", "4g", "5g", "satellite",
	}
	meteredNames = []string{
		"unknown", "no", "yes",
	}
	deviceNames = []string{
		"unknown", "low", "mid", "high",
	}
	timeOfDayNames = []string{
		"unknown", "night", "morning", "afternoon", "evening",
	}
	reachNames = []string{
		"unknown", "udp", "tcp-only", "tls-only",
	}
	codecNames = []string{
		"unknown", "opus", "opus+red", "pcmu",
	}
	audioBandwidthNames = []string{
		"unknown", "narrowband", "mediumband", "wideband", "superwideband", "fullband",
	}
	transportNames = []string{
		"unknown", "direct", "relay-udp", "relay-tcp", "relay-tls",
	}
	stageNames = []string{
		"unknown", "offer", "ice", "dtls", "media", "ended",
	}
	causeNames = []string{
		"unknown", "start", "interval", "network", "policy",
	}
	regionNames = []string{
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
)
