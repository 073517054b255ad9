package suite

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/attune-calls/attune/training/lab/network"
)

// FolderOptions says how folders of recordings become a suite.
type FolderOptions struct {
	// SkipBad lists files that cannot be read instead of failing on the first one.
	SkipBad bool
	// ValidationShare is the part of the sources that is held out, rounded to whole sources in each folder; 0 stands for
	// DefaultValidationShare, and a negative one holds nothing out.
	ValidationShare float64
}

// DefaultValidationShare is the part of the sources that FromFolders holds out. It is chosen.
const DefaultValidationShare = 0.3

// Skipped is a file that FromFolders has not made a network of.
type Skipped struct {
	Path     string
	Reason   string
	Document bool // it documents the folder (a README, a licence) rather than being a bad recording
}

// FromFolders makes a network of each recording below some folders. A recording is a capacity trace, a loss mask, a
// series of round trip times or a network profile, recognised by its content (see network.Recognise). Two files whose
// names differ in up and down only, X.up and X.down, are the two directions of one network.
//
// A recording holds one thing only; everything else comes from a committed profile of the network type, see Base.
// The type is taken from the names of the file and its folder when they name exactly one, else a default is used; the
// About of each profile says which. Every recording counts the same: weight 1, region withheld.
//
// The source of a network is its recording, so the split never cuts one: files that are parts of one (X_part1, X_part2)
// share a source. In each folder DefaultValidationShare of the
// recordings, picked by a hash of the name, are held out. READMEs and licences are listed as documents. Any other file
// that cannot be read is an error that names the file, or with SkipBad an entry of the list.
func FromFolders(dirs []string, o FolderOptions) (*Suite, []Skipped, error) {
	if o.ValidationShare == 0 {
		o.ValidationShare = DefaultValidationShare
	}
	if math.IsNaN(o.ValidationShare) || o.ValidationShare > 1 {
		return nil, nil, fmt.Errorf("validation share %v is above 1", o.ValidationShare)
	}
	s := &Suite{Name: "folders", About: "Recordings of " + strings.Join(dirs, ", ") + "."}
	var skipped []Skipped
	for _, dir := range dirs {
		groups, left, err := collect(dir, o.SkipBad)
		if err != nil {
			return nil, skipped, err
		}
		skipped = append(skipped, left...)
		if len(groups) == 0 {
			return nil, skipped, fmt.Errorf("no recording in %s: want traces, loss masks or round trip times", dir)
		}
		for _, g := range groups {
			s.Networks = append(s.Networks, g.network())
		}
	}
	s.nameApart()
	s.split(max(o.ValidationShare, 0))
	if err := s.Validate(); err != nil {
		return nil, skipped, err
	}
	return s, skipped, nil
}

// collect reads every file below a folder, or the one file that it is, in the order of their names.
func collect(dir string, skipBad bool) ([]*group, []Skipped, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("networks: %w", err)
	}
	var groups []*group
	var skipped []Skipped
	pairs := make(map[string]*group)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("networks: %w", err)
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && path != root
		switch {
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir() || hidden:
			return nil
		}
		recording, err := loadRecording(path, entry)
		if err != nil {
			document := recording == nil && isDocument(entry.Name())
			if !document && !skipBad {
				return fmt.Errorf("%s: %w; mend or remove it, or skip what cannot be read (--skip-bad)", path, err)
			}
			skipped = append(skipped, Skipped{Path: path, Reason: err.Error(), Document: document})
			return nil
		}
		relative := filepath.Join(filepath.Base(root), relativePath(root, path))
		stem, way := DirectionOf(relative)
		if recording.Profile != nil {
			way = Unsaid
		}
		g := pairs[stem]
		if way == Unsaid || g == nil || !g.put(way, recording) {
			g = &group{stem: stem}
			g.put(way, recording)
			groups = append(groups, g)
			if way != Unsaid {
				pairs[stem] = g
			}
		}
		return nil
	})
	return groups, skipped, err
}

func relativePath(root, path string) string {
	relative, err := filepath.Rel(root, path)
	if err != nil || relative == "." {
		return ""
	}
	return relative
}

func loadRecording(path string, entry fs.DirEntry) (*network.Recording, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a file")
	}
	r, err := network.LoadRecording(path)
	if err == nil && r.Profile != nil && r.Profile.Name == "" {
		return nil, fmt.Errorf("%s: the profile has no name", entry.Name())
	}
	return r, err
}

// isDocument tells what comes with a data set from its data.
func isDocument(name string) bool {
	upper := strings.ToUpper(name)
	for _, begin := range []string{"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CHANGELOG", "CITATION"} {
		if strings.HasPrefix(upper, begin) {
			return true
		}
	}
	return strings.HasSuffix(upper, ".MD")
}

// nameApart gives each network the shortest name that no other has: the file in its folder, or the whole path.
func (s *Suite) nameApart() {
	short := func(path string) string {
		parts := strings.Split(path, "/")
		return strings.Join(parts[max(0, len(parts)-2):], "/")
	}
	count := make(map[string]int)
	for i := range s.Networks {
		count[short(s.Networks[i].Name)]++
	}
	taken := make(map[string]bool)
	for i := range s.Networks {
		n := &s.Networks[i]
		if count[short(n.Name)] == 1 {
			n.Name = short(n.Name)
		}
		for base, k := n.Name, 2; taken[n.Name]; k++ { // X.json beside X.txt, or a folder given twice
			n.Name = fmt.Sprintf("%s#%d", base, k)
		}
		taken[n.Name] = true
		n.Profile.Name = strings.NewReplacer("/", ":", `\`, ":", " ", "_").Replace(n.Name)
	}
}

// split holds a share of the sources of each folder out: those whose names have the lowest hashes, so that the choice
// does not follow the order of the names, which is often that of time or place.
func (s *Suite) split(share float64) {
	folders := make(map[string][]string)
	seen := make(map[string]bool)
	for i := range s.Networks {
		source := s.Networks[i].Source
		if folder := filepath.Dir(source); !seen[source] {
			folders[folder] = append(folders[folder], source)
		}
		seen[source] = true
	}
	held := make(map[string]bool)
	for _, sources := range folders {
		slices.SortFunc(sources, func(a, b string) int {
			x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
			return bytes.Compare(x[:], y[:])
		})
		for _, source := range sources[:int(math.Round(share*float64(len(sources))))] {
			held[source] = true
		}
	}
	for i := range s.Networks {
		if n := &s.Networks[i]; held[n.Source] {
			n.Split = Validation
		}
	}
}
