package training

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// Dataset is the usable segments, in the order they were added. The zero Dataset is empty and ready to use.
type Dataset struct {
	// Origins is where the calls took place, as they were selected: for the record, and part of the fingerprint.
	Origins []telemetry.Origin

	rows    []row
	days    []int // ascending, without repeats
	refused Refused
}

// row is one decision and what came of it.
type row struct {
	call       uint32
	day        int
	context    model.Context
	action     model.Action
	outcome    model.Outcome
	propensity uint32
	policy     uint32
	arm        uint8
	seconds    uint8
	died       bool
}

// Refused counts the segments a Dataset did not take, by the first fault found in each.
type Refused struct {
	MissingPropensity    int `json:"missingPropensity"`    // 0: the segment does not say how its action was chosen
	ImpossiblePropensity int `json:"impossiblePropensity"` // above certainty
	NoQuality            int `json:"noQuality"`            // no MOS, though the call lived: nothing to learn from
	Invalid              int `json:"invalid"`              // model.Segment.Validate refuses something else
}

// Total is the number of segments refused.
func (r Refused) Total() int {
	return r.MissingPropensity + r.ImpossiblePropensity + r.NoQuality + r.Invalid
}

// String lists the counts above 0, "none" if there are none.
func (r Refused) String() string {
	var parts []string
	for _, p := range []struct {
		count int
		name  string
	}{
		{r.MissingPropensity, "without propensity"},
		{r.ImpossiblePropensity, "with impossible propensity"},
		{r.NoQuality, "without quality"},
		{r.Invalid, "invalid"},
	} {
		if p.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.count, p.name))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// Add takes a segment, or refuses and counts it. The ordinal tells calls apart within this Dataset and means nothing
// beyond it: both legs of a call share one where that is known. Day counts days since the Unix epoch. Died says that
// the call failed or dropped in this segment, which then counts as the worst quality.
func (d *Dataset) Add(callOrdinal uint32, day int, seg model.Segment, died bool) {
	switch err := seg.Validate(); {
	case seg.Propensity == 0:
		d.refused.MissingPropensity++
	case seg.Propensity > model.PropensityScale:
		d.refused.ImpossiblePropensity++
	case err != nil:
		d.refused.Invalid++
	case seg.Outcome.MOS == 0 && !died:
		d.refused.NoQuality++
	default:
		d.rows = append(d.rows, row{
			call: callOrdinal, day: day, context: seg.Context, action: seg.Action, outcome: seg.Outcome,
			propensity: seg.Propensity, policy: seg.Policy, arm: seg.Arm, seconds: seg.Seconds,
			died: died,
		})
		if at, found := slices.BinarySearch(d.days, day); !found {
			d.days = slices.Insert(d.days, at, day)
		}
	}
}

// Len is the number of segments taken.
func (d *Dataset) Len() int { return len(d.rows) }

// Calls is the number of different call ordinals among them.
func (d *Dataset) Calls() int {
	calls := make(map[uint32]struct{})
	for i := range d.rows {
		calls[d.rows[i].call] = struct{}{}
	}
	return len(calls)
}

// Refused is the count of the segments that were not taken.
func (d *Dataset) Refused() Refused { return d.refused }

// Fingerprint is the SHA-256, in hex, over the origins, the number of segments and all their columns in the order they were added:
// two runs with equal fingerprints saw the same data.
func (d *Dataset) Fingerprint() string {
	h := sha256.New()
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(d.Origins)))
	for _, o := range d.Origins {
		b = append(b, byte(o))
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(d.rows)))
	h.Write(b)
	for i := range d.rows {
		r := &d.rows[i]
		b = binary.LittleEndian.AppendUint32(b[:0], r.call)
		b = binary.LittleEndian.AppendUint64(b, uint64(r.day))
		c := &r.context
		b = append(b, byte(c.Network), byte(c.Metered), byte(c.Region), byte(c.Region>>8), byte(c.Device), byte(c.TimeOfDay),
			byte(c.Reach), byte(c.RoundTripTime), byte(c.Jitter), byte(c.Loss), byte(c.Burst), byte(c.Bandwidth))
		b = appendAction(b, c.Previous)
		b = appendAction(b, r.action)
		o := &r.outcome
		b = append(b, byte(o.MOS), byte(o.LossBefore), byte(o.LossAfter), byte(o.Concealed), byte(o.RoundTripTime),
			byte(o.JitterBufferDelay), byte(o.Rate), byte(flag(r.died)), r.arm, r.seconds)
		b = binary.LittleEndian.AppendUint32(b, r.propensity)
		b = binary.LittleEndian.AppendUint32(b, r.policy)
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func appendAction(b []byte, a model.Action) []byte {
	return append(b, byte(a.Codec), a.BitrateKbps, byte(a.Bandwidth), a.FrameMillis, a.ExpectedLoss, a.REDDepth,
		byte(flag(a.DTX)), byte(a.Transport), byte(a.Site))
}

func flag(v bool) int {
	if v {
		return 1
	}
	return 0
}

// ErrTooFewRows says that a Dataset is too small to train on.
var ErrTooFewRows = errors.New("too few segments to train on")

func (d *Dataset) enough(minRows, minCalls int) error {
	rows, calls := d.Len(), d.Calls()
	if rows >= minRows && calls >= minCalls {
		return nil
	}
	return fmt.Errorf("%w: %d usable segments of %d calls, need at least %d of %d (refused: %v); make more calls or check that clients report",
		ErrTooFewRows, rows, calls, minRows, minCalls, d.refused)
}

// examples prices the outcomes, looks ahead to the horizon, and weights the rows.
//
// The logging policy takes its default in most rows, and everything else rarely; an unweighted fit would spend itself
// on the default. Each row therefore weighs min(1/propensity, clip), normalized to a mean of 1: all actions count about
// equally up to the clip, which keeps a few rare draws from ruling the fit (Ionides 2008). A clip of 1 is no weighting.
func (d *Dataset) examples(price model.Price, clip float64, horizonSeconds int) []example {
	examples := make([]example, len(d.rows))
	total := 0.0
	for i := range d.rows {
		r := &d.rows[i]
		weight := min(model.PropensityScale/float64(r.propensity), clip)
		total += weight
		examples[i] = example{
			row: r, reward: float32(price.Reward(r.context.Metered, r.outcome, r.died)), weight: float32(weight),
		}
	}
	mean := float32(total / float64(len(examples)))
	for i := range examples { // in order: what follows a row is not averaged yet
		examples[i].weight /= mean
		examples[i].reward = ahead(examples[i:], float32(horizonSeconds))
	}
	return examples
}

// ahead is the mean reward, by time, of the first row and of those after it in its leg that kept its action, until the
// horizon. What the logging policy went on to do instead is not the action's doing: to average over that too would mark
// down an action for the default that followed it. A call that died is as bad as that for the rest of the horizon.
func ahead(rows []example, horizon float32) float32 {
	var sum, seconds float32
	for i := range rows {
		r := &rows[i]
		left := horizon - seconds
		if left <= 0 || i > 0 && (r.call != rows[0].call || r.action != rows[0].action || r.context.Previous != r.action) {
			break
		}
		length := min(max(float32(r.seconds), 1), left)
		if r.died {
			length = left
		}
		sum += r.reward * length
		seconds += length
	}
	return sum / seconds
}

// example is a row as a fit sees it.
type example struct {
	*row
	reward float32
	weight float32
}

// moments are the weighted mean and standard deviation of the rewards. A constant reward has deviation 1, so that
// dividing by it is safe.
func moments(examples []example) (mean, deviation float64) {
	var weights, sum, squares float64
	for _, e := range examples {
		weights += float64(e.weight)
		sum += float64(e.weight) * float64(e.reward)
	}
	mean = sum / weights
	for _, e := range examples {
		squares += float64(e.weight) * (float64(e.reward) - mean) * (float64(e.reward) - mean)
	}
	if deviation = math.Sqrt(squares / weights); deviation < 1e-3 {
		deviation = 1
	}
	return mean, deviation
}
