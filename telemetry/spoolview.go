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
	Lost    int      // reports given up or damaged, which the next report sent will tell of
	Damaged int      // bytes that cannot be read: damaged, or not written completely
}

// ReadSpool reads the spool file of a Reporter, which may be running: it takes no lock and changes nothing. The file has
// every report that the Reporter is sending or going to send. A spool that holds nothing has no file: that gives an error
// that is os.ErrNotExist.
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
	left, err := playSpool(content)
	if err != nil {
		return Spooled{}, fmt.Errorf("read spool %s: %w", path, err)
	}
	return Spooled{Reports: left.reports, Lost: left.lost, Damaged: left.unread}, nil
}
