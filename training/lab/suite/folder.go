package suite

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/attune-calls/attune/training/lab/network"
)

// FolderOptions says how folders of recordings become a suite.
type FolderOptions struct {
	// SkipBad leaves files out that cannot be read, and lists them, instead of failing.
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
// recordings, picked by a hash of the name, are held out. READMEs and licences are listed as documents. Any other files
// that cannot be read are an error that names all of them, or with SkipBad entries of the list. Links are followed.
func FromFolders(dirs []string, o FolderOptions) (*Suite, []Skipped, error) {
	if o.ValidationShare == 0 {
		o.ValidationShare = DefaultValidationShare
	}
	if math.IsNaN(o.ValidationShare) || o.ValidationShare > 1 {
		return nil, nil, fmt.Errorf("validation share %v is above 1", o.ValidationShare)
	}
	s := &Suite{Name: "folders", About: "Recordings of " + strings.Join(dirs, ", ") + "."}
	var skipped []Skipped
	var bad []error
	for _, dir := range dirs {
		c := collection{skipBad: o.SkipBad, pairs: map[string]*group{}, seen: map[string]bool{}}
		if err := c.open(dir); err != nil {
			return nil, skipped, err
		}
		skipped, bad = append(skipped, c.skipped...), append(bad, c.bad...)
		if len(c.groups) == 0 && len(c.bad) == 0 {
			return nil, skipped, fmt.Errorf("no recording in %s: want traces, loss masks or round trip times", dir)
		}
		for _, g := range c.groups {
			s.Networks = append(s.Networks, g.network())
		}
	}
	if len(bad) > 0 {
		return nil, skipped, fmt.Errorf("%w\nmend or remove what is named, or skip what cannot be read (--skip-bad)", errors.Join(bad...))
	}
	s.nameApart()
	s.split(max(o.ValidationShare, 0))
	if err := s.Validate(); err != nil {
		return nil, skipped, err
	}
	return s, skipped, nil
}

// collection is what a folder holds.
type collection struct {
	skipBad bool
	root    string // its base name stands before the paths of files
	groups  []*group
	pairs   map[string]*group
	skipped []Skipped
	bad     []error
	seen    map[string]bool // folders, by what links lead to
}

// open reads every file below a folder, or the one file that it is, in the order of their names.
func (c *collection) open(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	c.root = filepath.Base(real)
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return fmt.Errorf("networks: %w", err)
	case info.IsDir():
		return c.folder(dir, c.root)
	}
	c.file(dir, c.root)
	return nil
}

// folder reads what is in a folder; relative is its path from the one that was given.
func (c *collection) folder(path, relative string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	if c.seen[real] {
		return nil
	}
	c.seen[real] = true
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		path, relative := filepath.Join(path, entry.Name()), filepath.Join(relative, entry.Name())
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if err := c.folder(path, relative); err != nil {
				return err
			}
			continue
		}
		c.file(path, relative)
	}
	return nil
}

func (c *collection) file(path, relative string) {
	recording, err := loadRecording(path)
	if err != nil {
		document := isDocument(filepath.Base(path))
		if document || c.skipBad {
			c.skipped = append(c.skipped, Skipped{Path: path, Reason: err.Error(), Document: document})
		} else {
			c.bad = append(c.bad, fmt.Errorf("%s: %w", path, err))
		}
		return
	}
	stem, way := DirectionOf(relative)
	if recording.Profile != nil {
		way = Unsaid
	}
	g := c.pairs[stem]
	if way == Unsaid || g == nil || !g.put(way, recording) {
		g = &group{stem: stem}
		g.put(way, recording)
		c.groups = append(c.groups, g)
		if way != Unsaid {
			c.pairs[stem] = g
		}
	}
}

func loadRecording(path string) (*network.Recording, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a file")
	}
	r, err := network.LoadRecording(path)
	if err == nil && r.Profile != nil && r.Profile.Name == "" {
		return nil, errors.New("the profile has no name")
	}
	return r, err
}

// isDocument tells what comes with a data set from its data: by the first word of the name and an ending that no recording
// has.
func isDocument(name string) bool {
	upper := strings.ToUpper(name)
	word := upper
	if i := strings.IndexAny(upper, "._- "); i > 0 {
		word = upper[:i]
	}
	switch word {
	case "README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CHANGELOG", "CITATION":
		return !slices.Contains(recordingEndings, strings.ToLower(filepath.Ext(name)))
	}
	return strings.HasSuffix(upper, ".MD")
}

// recordingEndings are what names of recordings end in, but .txt, which ends documents too.
var recordingEndings = []string{".json", ".log", ".dat", ".csv", ".trace", ".mahimahi", ".mask", ".rtt", ".up", ".down", ".uplink", ".downlink"}

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
