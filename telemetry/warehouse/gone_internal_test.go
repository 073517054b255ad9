package warehouse

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A table may go between two statements, and in the middle of one: those who wait for a lock see both.
func TestIsGone(t *testing.T) {
	for code, want := range map[int32]bool{codeUnknownTable: true, codeTableIsDropped: true, codeTableExists: false} {
		if err := fmt.Errorf("read: %w", &clickhouse.Exception{Code: code}); isGone(err) != want {
			t.Errorf("code %d: %v", code, !want)
		}
	}
	if isGone(nil) || isGone(errors.New("Table is dropped")) {
		t.Error("what is no answer of the server says nothing of a table")
	}
}
