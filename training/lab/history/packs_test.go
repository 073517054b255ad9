package history_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab/history"
)

// file is a history as a file of packs, and its reports.
func file(t testing.TB) (text []byte, reports [][]byte) {
	t.Helper()
	var b bytes.Buffer
	w := history.NewFileWriter(&b)
	packer := &history.Packer{Put: w.Put}
	c := config(t)
	c.Calls = 70
	if _, err := history.Make(t.Context(), c, func(_ telemetry.ReportID, data []byte) error {
		reports = append(reports, data)
		return packer.Add(data)
	}); err != nil {
		t.Fatal(err)
	}
	if err := packer.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), reports
}

func TestFileHoldsTheReports(t *testing.T) {
	text, want := file(t)
	var got [][]byte
	packs := 0
	err := history.ReadFile(bytes.NewReader(text), func(pack []byte) error {
		packs++
		return telemetry.EachInPack(pack, func(report []byte) error {
			got = append(got, slices.Clone(report))
			return nil
		})
	})
	if err != nil || packs != 2 {
		t.Fatalf("%d packs of %d reports, error %v", packs, len(want), err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for cut := range len(text) {
		whole := 0
		err := history.ReadFile(bytes.NewReader(text[:cut]), func([]byte) error { whole++; return nil })
		if err == nil && cut != len("ATTNPK..") && whole != 1 {
			t.Fatalf("cut after %d bytes: no error, and %d packs", cut, whole)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	text, _ := file(f)
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte("ATTNPK\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("ATTNPK\x00\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b bytes.Buffer
		w := history.NewFileWriter(&b)
		if err := history.ReadFile(bytes.NewReader(data), func(pack []byte) error {
			if len(pack) == 0 || len(pack) > telemetry.MaxPackSize {
				t.Fatalf("a pack of %d bytes", len(pack))
			}
			return w.Put(pack)
		}); err != nil {
			return
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		again := 0
		if err := history.ReadFile(&b, func([]byte) error { again++; return nil }); err != nil {
			t.Errorf("what was read does not read again: %v", err)
		}
	})
}
