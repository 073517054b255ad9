package compare_test

import (
	"testing"

	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/suite"
)

// BenchmarkOracle is what a comparison with the oracle mostly does: every action of the catalogue on networks of the
// suite.
func BenchmarkOracle(b *testing.B) {
	c := compare.Config{
		Suite: suite.Builtin(), Contenders: contenders(b, "oracle"), Frames: frames, Calls: 1, Seeds: 1,
	}
	mustRun(b, c)
	c.Calls = 8
	calls := int64(0)
	c.Progress = func(d compare.Done) { calls = d.Of }
	b.ReportAllocs()
	for b.Loop() {
		mustRun(b, c)
	}
	b.ReportMetric(float64(calls)*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
