package sim

import (
	"encoding/binary"
	"io"
)

// WriteContent writes the speech, so that it can be told from other speech by a hash.
func (f *Frames) WriteContent(w io.Writer) error {
	return binary.Write(w, binary.LittleEndian, f.speech)
}
