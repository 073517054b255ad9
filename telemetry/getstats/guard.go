package getstats

import (
	"errors"
	"fmt"
	"io"
)

// Limits of what is read. A dump of a whole day of one call stays below them.
const (
	maxString = 8 << 20 // bytes of one JSON string: webrtc-internals writes a whole series as one
	maxDepth  = 32      // nesting of arrays and objects
	maxBytes  = 8 << 30 // of one dump, after decompression
)

// errLimit is wrapped by the faults of a dump that is larger than this package takes.
var errLimit = errors.New("too large")

// guard passes JSON through and stops at a string, a depth or a length that would cost too much memory or time to
// decode. It counts, it does not check: the decoder behind it does.
type guard struct {
	from    io.Reader
	read    int64
	length  int // of the string, the number or the white space in progress
	depth   int
	quoted  bool
	blank   bool // in white space
	escaped bool
	fault   error // that ended the reading
}

func (g *guard) Read(p []byte) (int, error) {
	if g.fault != nil {
		return 0, g.fault
	}
	n, err := g.from.Read(p)
	for i, b := range p[:n] {
		switch {
		case g.escaped:
			g.escaped = false
		case g.quoted && b == '\\':
			g.escaped = true
		case b == '"':
			g.quoted = !g.quoted
			g.length = 0
		case g.quoted:
		case b == '{' || b == '[':
			g.depth++
			g.length = 0
		case b == '}' || b == ']':
			g.depth--
			g.length = 0
		case b == ',' || b == ':':
			g.length = 0
		case b == ' ' || b == '\n' || b == '\r' || b == '\t':
			if !g.blank {
				g.blank, g.length = true, 0
			}
		}
		g.blank = g.blank && !g.quoted && (b == ' ' || b == '\n' || b == '\r' || b == '\t')
		g.length++
		at := g.read + int64(i)
		switch {
		case g.length > maxString:
			g.fault = fmt.Errorf("%w: a value of more than %d MiB at byte %d", errLimit, maxString>>20, at)
		case g.depth > maxDepth:
			g.fault = fmt.Errorf("%w: nested more than %d deep at byte %d", errLimit, maxDepth, at)
		case at >= maxBytes:
			g.fault = fmt.Errorf("%w: more than %d GiB", errLimit, int64(maxBytes)>>30)
		}
		if g.fault != nil {
			return i, g.fault
		}
	}
	g.read += int64(n)
	return n, err
}
