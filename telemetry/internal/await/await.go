// Package await is for tests of programs that work by themselves: it waits for what they will do, and reads what they log
// meanwhile.
package await

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// patience is far beyond what any of it takes on a busy machine.
const patience = 40 * time.Second

// Eventually waits until the condition holds, and fails the test when it still does not after 40 s.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after %v: %s", patience, what)
		}
	}
}

// Log is a text that is read while it is written.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
