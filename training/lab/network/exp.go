package network

import "math"

// exp is e^x with a relative error below 1e-13, several times as fast as math.Exp and, unlike it, computed in the same steps on
// every machine: e^x = 2^((k+1/2)/64) e^r with |r| <= ln 2/128, where the series of e^r needs four terms (Tang, "Table-driven
// implementation of the exponential function", ACM TOMS 15(2), 1989).
func exp(x float64) float64 {
	const far = 700 // beyond, the result or 2^(k/64) could leave the range of normal numbers
	if !(x > -far && x < far) {
		return math.Exp(x)
	}
	k := int64(x*(expSteps/math.Ln2)+far*2*expSteps) - far*2*expSteps // rounded down, without a call
	r := x - (float64(k)+0.5)*(math.Ln2/expSteps)
	series := 1 + r*(1+r*(0.5+r*(1.0/6+r*(1.0/24))))
	return math.Float64frombits(math.Float64bits(powers[k&(expSteps-1)]*series) + uint64(k>>expBits)<<52)
}

const (
	expBits  = 6
	expSteps = 1 << expBits
)

// powers are 2^((i+1/2)/64).
var powers = func() (p [expSteps]float64) {
	for i := range p {
		p[i] = math.Exp2((float64(i) + 0.5) / expSteps)
	}
	return p
}()
