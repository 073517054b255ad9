package telemetry

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// MaxSpoolView is the largest spool file that ReadSpool reads, in bytes. A Reporter with the default SpoolLimit stays
// within 2 MiB.
const MaxSpoolView = 64 << 20

// Spooled is what a Reporter has put into its spool file.
type Spooled struct {
	Reports [][]byte // encoded, waiting to be sent, oldest first
	Lost    int      // reports given up, which the next report sent will tell of
	Torn    int      // bytes at the end that are not written completely, or damaged
}

// ReadSpool reads the spool file of a Reporter, which may be running: it takes no lock and changes nothing. What the
// Reporter has in memory only, such as a report on its way, is not in the file. A spool that holds nothing has no file:
// that gives an error that is os.ErrNotExist.
func ReadSpool(path string) (Spooled, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Spooled{}, fmt.Errorf("read spool: %w; a client that has nothing to send has none", err)
	}
	if err != nil {
		return Spooled{}, fmt.Errorf("read spool: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, MaxSpoolView+1))
	switch {
	case err != nil:
		return Spooled{}, fmt.Errorf("read spool %s: %w", path, err)
	case len(content) > MaxSpoolView:
		return Spooled{}, fmt.Errorf("read spool %s: more than %d bytes", path, MaxSpoolView)
	}
	reports, lost, good := playRecords(content)
	if good == 0 {
		return Spooled{}, fmt.Errorf("read spool %s: it does not begin like a spool file; is it one?", path)
	}
	return Spooled{Reports: reports, Lost: lost, Torn: len(content) - good}, nil
}
