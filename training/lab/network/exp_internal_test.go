package network

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestExp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, x := range []float64{0, 1, -1, 0.5, math.Ln2, -math.Ln2, 699.9, -699.9, 700, -745, 710, math.Inf(1), math.Inf(-1)} {
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-12*want && got != want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if !math.IsNaN(exp(math.NaN())) {
		t.Error("exp(NaN) is a number")
	}
	for range 1_000_000 {
		x := 40 * (random.Float64() - 0.5)
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-13*want {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
}

func BenchmarkExp(b *testing.B) {
	for name, f := range map[string]func(float64) float64{"table": exp, "math": math.Exp} {
		b.Run(name, func(b *testing.B) {
			x, sum := -3.0, 0.0
			for b.Loop() {
				sum += f(x)
				x += 0.001
				if x > 3 {
					x = -3
				}
			}
			if sum == 0 {
				b.Error("no result")
			}
		})
	}
}
