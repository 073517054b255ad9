package model

import (
	"math"
	"slices"
)

// Bucket is an index on a Scale: 0 = not measured, 1..Scale.Buckets() = the intervals from the lowest up.
type Bucket uint8

// Scale divides a measurement into buckets. A client only ever decides on, logs and reports bucket indices, so a
// number fine enough to tell one user from another never leaves the device.
type Scale struct {
	Name  string    // in the W3C webrtc-stats spelling, for example "roundTripTime"
	Unit  string    // of the bounds
	Lower float64   // of the first bucket
	Upper float64   // of the last bucket: larger values are counted there
	Steps []float64 // the bounds between buckets, ascending: n bounds make n+1 buckets

	index scaleIndex // makes Bucket fast; without it Bucket is right all the same
}

// scaleIndex finds a bucket without a search, and without a branch that depends on the number, which a processor would
// guess wrong. It divides the positive numbers into cells, each power of two into as many, which the first bits of a
// float64 spell out; those bits, read as an integer, grow with the number. The cells are so small that none holds more than
// one bound.
type scaleIndex struct {
	begin int64   // the cell of the first bound
	below []uint8 // by cell from there on: how many bounds are in the cells before it
	bound []int64 // the bits of the bounds, and of what no number reaches
}

// cellShift leaves the exponent and seven bits: 128 cells to each power of two.
const cellShift = 52 - 7

// bucket is Scale.Bucket, short enough to be inlined.
func (x *scaleIndex) bucket(v float64) Bucket {
	if v != v {
		return 0
	}
	bits := int64(math.Float64bits(v))
	bits &^= bits >> 63 // negative numbers are as good as 0
	cell := bits>>cellShift - x.begin
	cell &^= cell >> 63 // before the first cell: as good as in it
	over := int64(len(x.below)-1) - cell
	cell += over & (over >> 63) // after the last one
	below := x.below[cell]
	return Bucket(int64(below) + 2 + (bits-x.bound[below])>>63) // one less where the number is below the cell's bound
}

// indexed gives a scale its index: its bounds must be positive and at least 1 % apart.
func indexed(s *Scale) *Scale {
	x := &s.index
	for i, step := range append(slices.Clone(s.Steps), math.NaN()) {
		bits := int64(math.Float64bits(step))
		x.bound = append(x.bound, bits)
		if i == 0 {
			x.begin = bits >> cellShift
		}
		if i == len(s.Steps) {
			x.below = append(x.below, uint8(i)) // whatever is larger
			break
		}
		cell := int(bits>>cellShift - x.begin)
		if cell < len(x.below) {
			panic("scale " + s.Name + ": two bounds in a cell")
		}
		for len(x.below) <= cell {
			x.below = append(x.below, uint8(i))
		}
	}
	return s
}

// Buckets is the number of intervals; valid buckets are 0..Buckets().
func (s *Scale) Buckets() int { return len(s.Steps) + 1 }

// Valid reports whether b is an index on the scale.
func (s *Scale) Valid(b Bucket) bool { return int(b) <= s.Buckets() }

// Bucket finds the interval v falls into; a bound belongs to the interval above it. NaN is "not measured".
func (s *Scale) Bucket(v float64) Bucket {
	if len(s.index.below) > 0 {
		return s.index.bucket(v)
	}
	if math.IsNaN(v) {
		return 0
	}
	low := 0
	for low < len(s.Steps) && s.Steps[low] <= v {
		low++
	}
	return Bucket(low + 1)
}

// Value is the middle of a bucket, the number to calculate with; NaN for bucket 0 and for an index off the scale.
func (s *Scale) Value(b Bucket) float64 {
	if b == 0 || !s.Valid(b) {
		return math.NaN()
	}
	low, high := s.Lower, s.Upper
	if b > 1 {
		low = s.Steps[b-2]
	}
	if int(b) <= len(s.Steps) {
		high = s.Steps[b-1]
	}
	return (low + high) / 2
}

// linear makes a scale of equal buckets of the given width between lower and upper.
func linear(name, unit string, lower, upper, width float64) *Scale {
	s := &Scale{Name: name, Unit: unit, Lower: lower, Upper: upper}
	for i := 1; lower+float64(i)*width < upper-width/2; i++ {
		s.Steps = append(s.Steps, lower+float64(i)*width)
	}
	return indexed(s)
}

// geometric makes a scale whose n buckets grow by a constant factor from first to upper, after a bucket lower..first.
func geometric(name, unit string, lower, first, upper float64, n int) *Scale {
	s := &Scale{Name: name, Unit: unit, Lower: lower, Upper: upper}
	factor := math.Pow(upper/first, 1/float64(n))
	for i := range n {
		s.Steps = append(s.Steps, first*math.Pow(factor, float64(i)))
	}
	return indexed(s)
}

// The coarse scales of a Context: few buckets, so that each is met often enough to learn from.
var (
	ScaleRoundTripTime = indexed(&Scale{
		Name: "roundTripTime", Unit: "ms", Lower: 0, Upper: 2000,
		Steps: []float64{25, 50, 100, 150, 200, 300, 450, 700, 1200},
	})
	ScaleJitter = indexed(&Scale{
		Name: "jitter", Unit: "ms", Lower: 0, Upper: 200,
		Steps: []float64{2, 5, 10, 20, 30, 50, 100},
	})
	ScaleLoss = indexed(&Scale{
		Name: "fractionLost", Unit: "fraction", Lower: 0, Upper: 1,
		Steps: []float64{0.001, 0.005, 0.01, 0.02, 0.05, 0.10, 0.20, 0.35},
	})
	// ScaleBurst holds BurstR of ITU-T G.107: mean loss run over that of independent loss; 1 = independent.
	ScaleBurst = indexed(&Scale{
		Name: "burstRatio", Unit: "ratio", Lower: 0.8, Upper: 8,
		Steps: []float64{1.2, 1.6, 2.5, 4},
	})
	ScaleBandwidth = indexed(&Scale{
		Name: "availableBitrate", Unit: "kbps", Lower: 0, Upper: 1000,
		Steps: []float64{12, 20, 32, 48, 64, 100, 200, 500},
	})
)

// The finer scales of an Outcome.
var (
	// ScaleMOS: 80 buckets of 0.05 on the five-point scale of ITU-T P.800.
	ScaleMOS = linear("mosEstimate", "MOS", 1, 5, 0.05)
	// ScaleOutcomeLoss: a bucket for "none at all", then steps of about a quarter.
	ScaleOutcomeLoss = geometric("outcomeLoss", "fraction", 0, 0.0005, 1, 34)
	// ScaleDelay serves round trips and jitter-buffer delay: steps of about a sixth.
	ScaleDelay = geometric("delay", "ms", 0, 5, 5000, 46)
	// ScaleRate is what a leg sent on the wire, headers included: steps of about 8 %.
	ScaleRate = geometric("sentBitrate", "kbps", 0, 2, 600, 74)
)
