package loop_test

import (
	"path/filepath"
	"testing"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry/transparency"
)

// TestKeysBesideThatOfTheLog enters a request before there are keys of policies, in the directory of both.
func TestKeysBesideThatOfTheLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := transparency.GenerateKey(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time they are there
		if err := loop.EnsureKeys(dir); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := delivery.LoadKeys([]string{dir})
	if err != nil || len(keys) != 8 {
		t.Errorf("%d keys: %v", len(keys), err)
	}
	if _, err := transparency.LoadKey(dir); err != nil {
		t.Error(err)
	}
}
