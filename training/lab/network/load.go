package network

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/attune-calls/attune/training/lab/internal/strictjson"
)

//go:embed profiles/*.json
var builtin embed.FS

// MaxProfileBytes bounds a profile file.
const MaxProfileBytes = 1 << 20

// Builtin lists the names of the committed profiles, sorted.
func Builtin() []string {
	entries, err := fs.ReadDir(builtin, "profiles")
	if err != nil {
		panic(err) // the directory is part of the binary
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(names) // the order of the file names differs: "-" is before "."
	return names
}

// Load opens a profile by the name of a committed one or by the path of a JSON file. A path is told from a name by a
// slash or the ending .json. Errors name the file and, for a fault in the JSON, its line and field.
func Load(nameOrPath string) (*Profile, error) {
	if strings.HasSuffix(nameOrPath, ".json") || strings.ContainsRune(nameOrPath, filepath.Separator) {
		data, err := readBounded(nameOrPath, MaxProfileBytes)
		if err != nil {
			return nil, fmt.Errorf("load network profile: %w", err)
		}
		return parseProfile(data, nameOrPath, true)
	}
	data, err := builtin.ReadFile("profiles/" + nameOrPath + ".json")
	if err != nil {
		return nil, fmt.Errorf("load network profile %q: there is no such profile; choose one of %s, or give the path of a .json file",
			nameOrPath, strings.Join(Builtin(), ", "))
	}
	return ParseProfile(data, nameOrPath)
}

// ParseProfile reads one profile from strict JSON: an unknown or repeated key is an error. The name stands for the
// input in errors. A profile that refers to a trace file needs Load.
func ParseProfile(data []byte, name string) (*Profile, error) {
	return parseProfile(data, name, false)
}

func parseProfile(data []byte, name string, readTraces bool) (*Profile, error) {
	if len(data) > MaxProfileBytes {
		return nil, fmt.Errorf("network profile %s: %d bytes, more than the %d allowed", name, len(data), MaxProfileBytes)
	}
	var p Profile
	if err := strictjson.Decode(data, &p); err != nil {
		return nil, fmt.Errorf("network profile %s: %w", name, err)
	}
	if readTraces {
		for _, d := range []*Direction{&p.Up, &p.Down} {
			if err := d.readRecordings(filepath.Dir(name)); err != nil {
				return nil, fmt.Errorf("network profile %s: %w", name, err)
			}
		}
		if err := p.Paths.ReadRecordings(filepath.Dir(name)); err != nil {
			return nil, fmt.Errorf("network profile %s: %w", name, err)
		}
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("network profile %s: %w", name, err)
	}
	return &p, nil
}

// readRecordings opens the files that a direction names, relative to a folder.
func (d *Direction) readRecordings(dir string) error {
	absolute := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	var err error
	if file := d.Capacity.TraceFile; file != "" {
		if d.Capacity.Trace, err = LoadTrace(absolute(file)); err != nil {
			return err
		}
	}
	if file := d.Propagation.SeriesFile; file != "" {
		if d.Propagation.Series, err = LoadSeries(absolute(file)); err != nil {
			return err
		}
	}
	if file := d.Loss.MaskFile; file != "" {
		if d.Loss.Mask, err = LoadMask(absolute(file)); err != nil {
			return err
		}
	}
	return nil
}

// readBounded reads a whole file unless it is longer than limit.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read from
	var buffer bytes.Buffer
	if info, err := f.Stat(); err == nil {
		buffer.Grow(int(min(info.Size(), limit)) + bytes.MinRead) // once, not by doubling
	}
	if _, err := buffer.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	data := buffer.Bytes()
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is longer than the %d bytes allowed", path, limit)
	}
	return data, nil
}
