package telemetry_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/attune-calls/attune/telemetry"
)

func unpack(pack []byte) (reports [][]byte, err error) {
	err = telemetry.EachInPack(pack, func(report []byte) error {
		reports = append(reports, bytes.Clone(report))
		return nil
	})
	return reports, err
}

func TestPackGivesBackItsReports(t *testing.T) {
	var pack []byte
	var want [][]byte
	for seed := range uint64(50) {
		r := typicalReport(seed, int(seed))
		data, err := r.AppendMarshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		before := len(pack)
		pack = telemetry.AppendToPack(pack, data)
		if grown := len(pack) - before; grown != telemetry.PackedSize(len(data)) {
			t.Errorf("a report of %d bytes adds %d, PackedSize says %d", len(data), grown, telemetry.PackedSize(len(data)))
		}
		want = append(want, data)
	}
	got, err := unpack(pack)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d reports, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("report %d changed", i)
		}
	}
}

func TestLargestReportFitsAPack(t *testing.T) {
	pack := telemetry.AppendToPack(nil, make([]byte, telemetry.MaxReportSize))
	if len(pack) > telemetry.MaxPackSize {
		t.Errorf("%d bytes, at most %d are taken", len(pack), telemetry.MaxPackSize)
	}
}

func TestFaultyPacks(t *testing.T) {
	whole := telemetry.AppendToPack(telemetry.AppendToPack(nil, []byte("one")), []byte("two"))
	for name, test := range map[string]struct {
		pack   []byte
		reason telemetry.RejectReason
		taken  int
	}{
		"cut":        {whole[:len(whole)-1], telemetry.RejectMalformed, 1},
		"other form": {[]byte{1 << 3, 7}, telemetry.RejectMalformed, 0},
		"too large":  {make([]byte, telemetry.MaxPackSize+1), telemetry.RejectTooLarge, 0},
	} {
		taken, err := unpack(test.pack)
		var refused *telemetry.RejectError
		if !errors.As(err, &refused) || refused.Reason != test.reason || len(taken) != test.taken {
			t.Errorf("%s: %d reports and %v, want %d and %v", name, len(taken), err, test.taken, test.reason)
		}
	}
	stop := errors.New("stop")
	if err := telemetry.EachInPack(whole, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error of take: %v", err)
	}
}

func FuzzPack(f *testing.F) {
	f.Add(telemetry.AppendToPack(telemetry.AppendToPack(nil, []byte("one")), []byte("two")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, pack []byte) {
		reports, err := unpack(pack)
		if err != nil {
			return
		}
		var again []byte
		for _, r := range reports {
			again = telemetry.AppendToPack(again, r)
		}
		twice, err := unpack(again)
		if err != nil || len(twice) != len(reports) {
			t.Fatalf("%d reports, packed again %d, %v", len(reports), len(twice), err)
		}
	})
}
