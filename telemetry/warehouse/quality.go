package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// PoorMOS is the quality below which a call counts as poor: at and under it nearly all users are dissatisfied (R = 60
// in table B.1 of ITU-T G.107).
const PoorMOS = 3.1

// CallQuality is one call leg. Means are over the segments the filter selects, weighted by their seconds (at least one
// each); they are NaN where nothing was measured.
type CallQuality struct {
	Hour    uint32 // the call began, in hours since 1970-01-01 00:00 UTC
	Network model.NetworkType
	Metered model.Metered

	// Policy, Experiment and Arm decided for the longest time, and Action was in force for the longest time. They are
	// zero for a leg without a segment.
	Policy, Experiment uint32
	Arm                uint8
	Action             model.Action
	Mixed              bool // more than one policy, experiment or arm decided during the leg

	MOS        float64
	Kbps       float64 // sent on the wire, headers included
	LossBefore float64 // fraction of packets that never came
	LossAfter  float64 // fraction of audio missing after repair
	Seconds    uint32
	Segments   uint16

	// Died says that the call was dropped or never got as far as media.
	Died  bool
	Stars uint8 // the user's rating, 1..5; 0 = none
}

// NetworkQuality sums up the call legs of one origin and network type under one policy and arm. A call that died counts with
// model.WorstMOS, and as poor.
type NetworkQuality struct {
	Origin             telemetry.Origin
	Network            model.NetworkType
	Policy, Experiment uint32
	Arm                uint8
	Calls              uint64 // legs
	Judged             uint64 // legs with a quality: measured, or died
	Died               uint64
	MOS                float64 // mean over the judged legs; NaN when there is none
	MedianMOS          float64 // likewise; what a share of false reports below a half cannot move out of the true ones
	Kbps               float64 // mean over the legs that measured it
	LossAfter          float64 // likewise
	Poor               float64 // share of the judged legs with a quality below PoorMOS
}

// actionKey packs the fields of a segment's action into a number; unpackAction is its reverse.
var actionFields = []struct {
	column string
	bits   uint
}{
	{"codec", 4},
	{"bitrate_kbps", 8},
	{"audio_bandwidth", 4},
	{"frame_ms", 8},
	{"expected_loss", 8},
	{"red_depth", 4},
	{"dtx", 1},
	{"transport", 4},
	{"site", 8},
}

func packedAction() string {
	var arguments, columns, terms []string
	shift := uint(0)
	for i, f := range actionFields {
		arguments = append(arguments, fmt.Sprintf("a%d", i))
		columns = append(columns, "segment."+f.column)
		terms = append(terms, fmt.Sprintf("toUInt64(a%d) * %d", i, uint64(1)<<shift))
		shift += f.bits
	}
	return fmt.Sprintf("arrayMap((%s) -> %s, %s)",
		strings.Join(arguments, ", "), strings.Join(terms, " + "), strings.Join(columns, ", "))
}

func unpackAction(key uint64) model.Action {
	var v [9]uint8
	for i, f := range actionFields {
		v[i] = uint8(key & (1<<f.bits - 1))
		key >>= f.bits
	}
	return model.Action{
		Codec: model.Codec(v[0]), BitrateKbps: v[1], Bandwidth: model.AudioBandwidth(v[2]), FrameMillis: v[3],
		ExpectedLoss: v[4], REDDepth: v[5], DTX: v[6] == 1, Transport: model.Transport(v[7]), Site: model.Site(v[8]),
	}
}

// weightedMean is the mean of a bucket column over the segments that measured it, by their weights.
func weightedMean(column string, scale *model.Scale, weights string) string {
	total := "arraySum((b, v) -> if(b = 0, 0, v), segment." + column + ", " + weights + ")"
	return fmt.Sprintf("arraySum((b, v) -> if(b = 0, 0., v * %s[b]), segment.%s, %s) / %s AS %s",
		middles(scale), column, weights, total, column)
}

// longest is the position of the key with the greatest sum of weights, the first of equals; 0 for no keys. The second
// argument of the outer lambda is unused: 18.16 does not read a column that only occurs inside a lambda.
func longest(keys, weights string) string {
	totals := fmt.Sprintf("arrayMap((k, own) -> arraySum((other, v) -> if(other = k, v, 0), %s, %s), %s, %s)",
		keys, weights, keys, weights)
	return fmt.Sprintf("indexOf(%s, arrayReduce('max', %s))", totals, totals)
}

// callQuality is the SQL of one row per call leg. It repeats expressions instead of naming them, because 18.16 loses the
// names of a subquery that the outer query does not ask for; equal expressions are calculated once. A sample is a further
// condition on the report, from cellSample.
func callQuality(f Filter, sample string) string {
	weights := "arrayMap((s, p, e) -> if(" + f.segments("p", "e") +
		", toUInt32(greatest(s, 1)), toUInt32(0)), segment.seconds, segment.policy, segment.experiment)"
	arms := "arrayMap((p, e, a) -> cityHash64(p, e, a), segment.policy, segment.experiment, segment.arm)"
	actions := packedAction()
	arm := longest(arms, weights)
	query := `SELECT day, hour, origin, network, metered, region, lost_reports, stars,
    segment.policy[` + arm + `] AS policy,
    segment.experiment[` + arm + `] AS experiment,
    segment.arm[` + arm + `] AS arm,
    ` + actions + "[" + longest(actions, weights) + `] AS action,
    arrayUniq(` + arms + `) > 1 AS mixed,
    ` + weightedMean("mos", model.ScaleMOS, weights) + `,
    ` + weightedMean("kbps", model.ScaleRate, weights) + `,
    ` + weightedMean("loss_before", model.ScaleOutcomeLoss, weights) + `,
    ` + weightedMean("loss_after", model.ScaleOutcomeLoss, weights) + `,
    toUInt32(arraySum((s, v) -> if(v = 0, 0, s), segment.seconds, ` + weights + `)) AS total_seconds,
    toUInt16(arraySum(v -> v > 0, ` + weights + `)) AS segments,
    dropped OR stage IN ('offer', 'ice', 'dtls') AS died
FROM calls FINAL WHERE ` + f.calls() + sample
	if f.bySegment() {
		query += " AND arrayExists((p, e) -> " + f.segments("p", "e") + ", segment.policy, segment.experiment)"
	}
	return query
}

// judgedQuality adds what a leg counts as: quality, poor, and whether it counts at all.
func judgedQuality(legs string, poorMOS float64) string {
	quality := "if(died, " + sqlFloat(model.WorstMOS) + ", mos)"
	return "SELECT *, " + quality + " AS quality, NOT isNaN(" + quality + ") AS judged, " +
		quality + " < " + sqlFloat(poorMOS) + " AS poor FROM (" + legs + ")"
}

// networkQuality is the SQL of one row per origin, network type, policy, experiment and arm, with the figures that at
// least minCell reports have a share in.
func networkQuality(f Filter, sample string, minCell int) string {
	return `SELECT origin, network, policy, experiment, arm, calls, judged_calls, died_calls, mean_quality,
    ` + summedQuality.median(minCell) + `,
    ` + summedQuality.trimmedMean(minCell) + `,
    mean_kbps, ` + summedKbps.median(minCell) + `,
    mean_loss_after, ` + summedLoss.median(minCell) + `, poor_share
FROM (SELECT origin, network, policy, experiment, arm, calls, judged_calls, died_calls,
    mean_quality, mean_kbps, mean_loss_after, poor_share,
    ` + summedQuality.split() + `, ` + summedKbps.split() + `, ` + summedLoss.split() + `
FROM (SELECT origin, network, policy, experiment, arm, count() AS calls, countIf(judged) AS judged_calls, countIf(died) AS died_calls,
    ` + summedQuality.mean(minCell) + `, ` + summedKbps.mean(minCell) + `, ` + summedLoss.mean(minCell) + `, ` + poorShare(minCell) + `,
    ` + summedQuality.collect() + `,
    ` + summedKbps.collect() + `,
    ` + summedLoss.collect() + `
FROM (` + judgedQuality(callQuality(f, sample), PoorMOS) + `)
GROUP BY origin, network, policy, experiment, arm` + having(minCell) + `))`
}

// CallQualities gives one row per call leg, copies left out, in the order of time. It is meant for confidence
// intervals and experiments: about 100 bytes of memory a leg.
func (w *Warehouse) CallQualities(ctx context.Context, f Filter) ([]CallQuality, error) {
	sample, err := w.cellSample(ctx, f)
	if err != nil {
		return nil, err
	}
	rows, err := w.conn.Query(sampled(ctx, sample), `SELECT toUInt32(intDiv(toUInt32(hour), 3600)), toUInt8(network), toUInt8(metered),
    policy, experiment, arm, action, mixed, mos, kbps, loss_before, loss_after, total_seconds, segments, died, stars
FROM (`+callQuality(f, sample)+`) ORDER BY hour, network, policy, experiment, arm, action, mos, kbps`)
	if err != nil {
		return nil, w.queryError("call qualities", err)
	}
	defer func() { _ = rows.Close() }()
	var list []CallQuality
	for rows.Next() {
		var q CallQuality
		var action uint64
		if err := rows.Scan(&q.Hour, (*uint8)(&q.Network), (*uint8)(&q.Metered), &q.Policy, &q.Experiment, &q.Arm, &action,
			&q.Mixed, &q.MOS, &q.Kbps, &q.LossBefore, &q.LossAfter, &q.Seconds, &q.Segments, &q.Died, &q.Stars); err != nil {
			return nil, w.queryError("call qualities", err)
		}
		q.Action = unpackAction(action)
		list = append(list, q)
	}
	if err := rows.Err(); err != nil {
		return nil, w.queryError("call qualities", err)
	}
	return list, nil
}

// NetworkQuality sums up the call legs by origin, network type, policy, experiment and arm, in that order.
func (w *Warehouse) NetworkQuality(ctx context.Context, f Filter) ([]NetworkQuality, error) {
	sample, err := w.cellSample(ctx, f)
	if err != nil {
		return nil, err
	}
	rows, err := w.conn.Query(sampled(ctx, sample), `SELECT toUInt8(origin), toUInt8(network), policy, experiment, arm, calls, judged_calls, died_calls,
    mean_quality, median_quality, mean_kbps, mean_loss_after, poor_share
FROM (`+networkQuality(f, sample, 1)+`) ORDER BY origin, network, policy, experiment, arm`)
	if err != nil {
		return nil, w.queryError("network quality", err)
	}
	defer func() { _ = rows.Close() }()
	var list []NetworkQuality
	for rows.Next() {
		var q NetworkQuality
		if err := rows.Scan((*uint8)(&q.Origin), (*uint8)(&q.Network), &q.Policy, &q.Experiment, &q.Arm, &q.Calls, &q.Judged, &q.Died,
			&q.MOS, &q.MedianMOS, &q.Kbps, &q.LossAfter, &q.Poor); err != nil {
			return nil, w.queryError("network quality", err)
		}
		list = append(list, q)
	}
	if err := rows.Err(); err != nil {
		return nil, w.queryError("network quality", err)
	}
	return list, nil
}

func (w *Warehouse) queryError(what string, err error) error {
	return fmt.Errorf("read %s from %s: %w%s", what, w.where, err, tableHint(err))
}
