package registry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files in the directory of the schema.
const (
	registryFile = "registry.yaml"
	releasedDir  = "released"
)

// Load reads registry.yaml in the directory of the schema.
func Load(dir string) (*Registry, error) {
	text, err := read(filepath.Join(dir, registryFile))
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// LoadReleases reads the released versions in the directory of the schema, in order.
func LoadReleases(dir string) ([]*Release, error) {
	paths, err := filepath.Glob(filepath.Join(dir, releasedDir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	releases := make([]*Release, 0, len(paths))
	for version := 1; version <= len(paths); version++ {
		text, err := read(releasePath(dir, uint16(version)))
		if err != nil {
			return nil, fmt.Errorf("releases must be numbered from 1 without a gap: %w", err)
		}
		release, err := ParseRelease(text)
		if err != nil {
			return nil, fmt.Errorf("version %d: %w", version, err)
		}
		releases = append(releases, release)
	}
	return releases, nil
}

// WriteRelease writes the registry's version to the directory of the schema, once it is sure that the version keeps all
// that older ones promise. It may be released again with more fields, and is the next one after those that are there
// otherwise.
func (r *Registry) WriteRelease(dir string) error {
	releases, err := LoadReleases(dir)
	if err != nil {
		return err
	}
	if next := len(releases) + 1; int(r.Version) != next && int(r.Version) != next-1 {
		return fmt.Errorf("release version %d: %d versions are released; the next is %d", r.Version, len(releases), next)
	}
	// That new fields are missing in the release is what it is for; everything else must hold.
	c := &checker{r: r}
	for i, release := range releases {
		if int(release.Version) != i+1 {
			return fmt.Errorf("release version %d: %s says it is version %d", r.Version, releasePath(dir, uint16(i+1)), release.Version)
		}
		c.release(release)
	}
	c.retired(releases)
	if len(c.faults) > 0 {
		return errors.Join(c.faults...)
	}
	text, err := r.Release().Marshal()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, releasedDir), 0o755); err != nil {
		return err
	}
	return os.WriteFile(releasePath(dir, r.Version), text, 0o644)
}

func releasePath(dir string, version uint16) string {
	return filepath.Join(dir, releasedDir, fmt.Sprintf("%d.yaml", version))
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, MaxSize+1))
}
