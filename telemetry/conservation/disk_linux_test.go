package conservation

import (
	"fmt"
	"os"
	"syscall"
)

// disk is a small file system that can be made full.
type disk struct{ dir string }

const (
	diskSize = "1g" // memory is taken for what is in it only
	diskPage = 4096
)

func newDisk(dir string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+diskSize); err != nil {
		return nil, fmt.Errorf("mount a disk that can get full on %s: %w; run the test as root, or allow user namespaces", dir, err)
	}
	return &disk{dir}, nil
}

// fill makes the disk as large as what is on it and a few pages more. A disk that grows while this looks is asked again.
func (d *disk) fill(pages int64) error {
	var err error
	for range 20 {
		var state syscall.Statfs_t
		if err := syscall.Statfs(d.dir, &state); err != nil {
			return fmt.Errorf("look at disk %s: %w", d.dir, err)
		}
		used := (int64(state.Blocks) - int64(state.Bfree)) * state.Bsize
		if err = d.resize(fmt.Sprint(max(used+pages*diskPage, diskPage))); err == nil {
			return nil
		}
	}
	return err
}

// free gives the disk its size back.
func (d *disk) free() error { return d.resize(diskSize) }

func (d *disk) resize(size string) error {
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", syscall.MS_REMOUNT, "mode=0700,size="+size); err != nil {
		return fmt.Errorf("make disk %s %s large: %w", d.dir, size, err)
	}
	return nil
}

func (d *disk) unmount() error {
	if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount disk %s: %w", d.dir, err)
	}
	return nil
}
