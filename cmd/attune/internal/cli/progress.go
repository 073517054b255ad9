package cli

import (
	"fmt"
	"sync"
	"time"
)

// watch shows on a terminal, on standard error, what text says while long work goes on. Stop ends it and clears the line;
// it may be called again.
func (s *settings) watch(text func() string) (stop func()) {
	if !terminal(s.err) {
		return func() {}
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(s.err, "\r\x1b[K%s", text())
			case <-ended:
				fmt.Fprint(s.err, "\r\x1b[K")
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(ended)
		<-gone
	})
}

// lasting is the text of work that cannot tell how far it is.
func lasting(what string) func() string {
	began := time.Now()
	return func() string { return fmt.Sprintf("%s, %v", what, time.Since(began).Round(time.Second)) }
}
