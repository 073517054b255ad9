package network

import (
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// Mask is a recorded loss pattern: for each LossStep, whether the packet of that time was lost. It loops for ever; a
// Link starts at a place drawn from its seed. Packets closer together than LossStep share a fate. A Mask is immutable.
type Mask struct {
	name string
	lost []bool
}

// Name is what the mask was called when it was parsed: the base name of its file.
func (m *Mask) Name() string { return m.name }

// Duration is the length of one pass.
func (m *Mask) Duration() time.Duration { return time.Duration(len(m.lost)) * LossStep }

// Lost is the pattern, one entry for each LossStep.
func (m *Mask) Lost() []bool { return append([]bool(nil), m.lost...) }

// Mean is the share of packets lost.
func (m *Mask) Mean() float64 {
	n := 0
	for _, lost := range m.lost {
		if lost {
			n++
		}
	}
	return float64(n) / float64(len(m.lost))
}

// LoadMask reads a mask file; see ParseMask.
func LoadMask(path string) (*Mask, error) {
	data, err := readBounded(path, MaxTraceBytes)
	if err != nil {
		return nil, fmt.Errorf("load loss mask: %w", err)
	}
	return parseMask(data, filepath.Base(path))
}

// ParseMask reads a loss mask: a 0 or 1 for each 20 ms packet, 1 = lost, one or more a line, with blanks, commas or nothing
// between them, or a JSON list. Comments are left out (see ParseTrace). Anything else is an error that names the line. At
// most MaxTraceBytes are read.
func ParseMask(r io.Reader, name string) (*Mask, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("loss mask %s: %w", name, err)
	}
	return parseMask(data, name)
}

func parseMask(data []byte, name string) (*Mask, error) {
	m := &Mask{name: name}
	err := newText(flat(data)).each(func(_ int, line []byte) error {
		digits, ok := bits(line)
		if !ok {
			return fmt.Errorf("%s is not 0 (received) or 1 (lost)", quote(line))
		}
		for _, c := range digits {
			m.lost = append(m.lost, c == '1')
		}
		return nil
	})
	switch {
	case err != nil:
	case len(m.lost) == 0:
		err = fmt.Errorf("it is empty")
	case m.Duration() > maxTraceDuration:
		err = fmt.Errorf("it lasts %v, more than the %v allowed", m.Duration(), maxTraceDuration)
	}
	if err != nil {
		return nil, fmt.Errorf("loss mask %s: %w", name, err)
	}
	return m, nil
}

// readAll reads at most MaxTraceBytes.
func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxTraceBytes+1))
	if err == nil && len(data) > MaxTraceBytes {
		err = fmt.Errorf("longer than the %d bytes allowed", MaxTraceBytes)
	}
	return data, err
}

// maskPlayer plays a mask in a loop.
type maskPlayer struct {
	mask   *Mask
	offset time.Duration
}

func newMaskPlayer(m *Mask, random *rand.Rand) maskPlayer {
	return maskPlayer{m, time.Duration(random.IntN(len(m.lost))) * LossStep}
}

func (p *maskPlayer) lose(t time.Duration) bool {
	return p.mask.lost[int((t+p.offset)/LossStep)%len(p.mask.lost)]
}
