package getstats

import "testing"

// LimitNumbers makes a dump too large earlier, until the test ends, so that a test need not fill all that there is room for.
func LimitNumbers(t testing.TB, numbers int) {
	before := maxNumbers
	maxNumbers = numbers
	t.Cleanup(func() { maxNumbers = before })
}
