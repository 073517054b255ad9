package getstats_test

import (
	"strings"
	"testing"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
)

func ids(reports []telemetry.Report) map[telemetry.ReportID]bool {
	set := map[telemetry.ReportID]bool{}
	for _, r := range reports {
		set[r.ID] = true
	}
	return set
}

// The same dump gives the same ids however it is packed, and without the key nobody can say which.
func TestSameKeySameReports(t *testing.T) {
	dump := call(30).internals()
	first, again := mustRead(t, dump), mustRead(t, compress(dump))
	for i := range first {
		if first[i].ID != again[i].ID {
			t.Error("the same dump gives other ids")
		}
	}
	all := first
	for range 2 {
		_, err := getstats.Read(strings.NewReader(dump), getstats.Config{Quality: codec.Measured{}}, func(r *telemetry.Report) error {
			all = append(all, *r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(ids(all)); n != len(all) {
		t.Errorf("%d ids of %d reports: without a key ids repeat", n, len(all))
	}
}

// Streams and connections that count the same are not the same.
func TestEqualNumbersAreTwoReports(t *testing.T) {
	c := call(30).connection()
	for name, line := range stats(c) {
		if metric, ok := strings.CutPrefix(name, "IT01A-"); ok {
			stats(c)["IT07A-"+metric] = line
		}
	}
	reports := mustRead(t, saved(c, c))
	if n := len(ids(reports)); len(reports) != 6 || n != 6 {
		t.Errorf("%d ids of %d reports, want 6 of 6", n, len(reports))
	}
}
