package model

import "math"

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
	shift uint8 // which leaves the bits that spell out a cell
	begin int64 // the cell of the first bound
	cells []scaleCell
}

// scaleCell is what a cell knows of its numbers.
type scaleCell struct {
	bound int64 // the bits of the bound in the cell, or of the next one; of the last cell, what no number reaches
	above int64 // the bucket of the numbers from the bound on
}

// The bits of a float64 after its exponent, and into how many cells they may divide a power of two: 1 to 256.
const (
	mantissaBits = 52
	mostCellBits = 8
)

// bucket is Scale.Bucket, short enough to be inlined.
func (x *scaleIndex) bucket(v float64) Bucket {
	if v != v {
		return 0
	}
	bits := int64(math.Float64bits(v))
	bits &^= bits >> 63 // negative numbers are as good as 0
	cell := min(max(bits>>(x.shift&63)-x.begin, 0), int64(len(x.cells)-1))
	c := &x.cells[cell]
	return Bucket(c.above + (bits-c.bound)>>63) // one less below the bound
}

// indexed gives a scale its index, with as few cells as tell its bounds apart: they must be positive and at least 1 %
// apart.
func indexed(s *Scale) *Scale {
	for bits := range mostCellBits + 1 {
		if s.index.divide(s.Steps, mantissaBits-uint8(bits)) {
			return s
		}
	}
	panic("scale " + s.Name + ": two bounds in a cell")
}

// divide makes the cells, unless two bounds would share one.
func (x *scaleIndex) divide(steps []float64, shift uint8) bool {
	*x = scaleIndex{shift: shift, begin: int64(math.Float64bits(steps[0])) >> shift}
	for i, step := range steps {
		bits := int64(math.Float64bits(step))
		cell := int(bits>>shift - x.begin)
		if cell < len(x.cells) {
			return false
		}
		for len(x.cells) <= cell {
			x.cells = append(x.cells, scaleCell{bits, int64(i + 2)})
		}
	}
	x.cells = append(x.cells, scaleCell{math.MaxInt64, int64(len(steps) + 2)})
	return true
}

// Buckets is the number of intervals; valid buckets are 0..Buckets().
func (s *Scale) Buckets() int { return len(s.Steps) + 1 }

// Valid reports whether b is an index on the scale.
func (s *Scale) Valid(b Bucket) bool { return int(b) <= s.Buckets() }

// Bucket finds the interval v falls into; a bound belongs to the interval above it. NaN is "not measured".
func (s *Scale) Bucket(v float64) Bucket {
	if len(s.index.cells) > 0 {
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
