package fit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

// Options says what the profile is called and what it is built on.
type Options struct {
	// Name of the profile: a word without blanks and slashes. Required.
	Name string
	// Type is the network type. Unknown stands for the one that all file names tell, see suite.TypeOf, or an error.
	Type model.NetworkType
	// Source says where the recordings come from, for the source texts; empty = the names of the files only.
	Source string
}

// file is an opened recording.
type file struct {
	network.FittedFile
	path      string
	direction suite.Direction
	recording *network.Recording
}

// Profile fits a profile to files. Each is a capacity trace (X.up and X.down tell the direction, a name without is taken
// for down), a loss mask (taken for the whole path, and so for down alone), or round trip times (to the core and back).
// What no file tells is that of the committed profile of the network type. Files of the same kind are taken together;
// with more than one, every third is held out, beginning with the second by name.
func Profile(paths []string, o Options) (*network.Profile, error) {
	files, err := open(paths)
	if err != nil {
		return nil, fmt.Errorf("fit: %w", err)
	}
	if o.Type == model.NetworkUnknown {
		if o.Type, err = commonType(files); err != nil {
			return nil, fmt.Errorf("fit: %w", err)
		}
	}
	p := suite.Base(o.Type)
	p.Name = o.Name
	f := &fitter{profile: p, source: o.Source}
	for _, step := range []struct {
		of    string
		take  func(*file) bool
		apply func(of string, files []*file) error
	}{
		{"up.capacity", func(f *file) bool { return f.recording.Trace != nil && f.direction == suite.Up }, f.capacity},
		{"down.capacity", func(f *file) bool { return f.recording.Trace != nil && f.direction != suite.Up }, f.capacity},
		{"down.loss", func(f *file) bool { return f.recording.Mask != nil }, f.loss},
		{"propagation and jitter", func(f *file) bool { return f.recording.Series != nil }, f.delay},
	} {
		var taken []*file
		for _, file := range files {
			if step.take(file) {
				taken = append(taken, file)
			}
		}
		if len(taken) == 0 {
			continue
		}
		holdOut(taken)
		if err := step.apply(step.of, taken); err != nil {
			return nil, fmt.Errorf("fit %s: %w", step.of, err)
		}
	}
	p.Fit = &network.Fit{Parts: f.parts}
	var fitted []string
	for _, part := range f.parts {
		fitted = append(fitted, part.Of)
	}
	p.Fit.Files = listed(files)
	p.About = fmt.Sprintf("Fitted to %d recordings: %s. Everything else is that of the profile %s, whose file says what is measured and what is chosen.",
		len(files), strings.Join(fitted, ", "), suite.Base(o.Type).Name)
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("fit: %w", err)
	}
	return p, nil
}

// mostListed is how many files of a format a profile lists one by one.
const mostListed = 12

// listed describes the files. Many of one format become two entries, one for those held out; the hash is then that of
// the hashes of the files, in the order of their names.
func listed(files []*file) []network.FittedFile {
	counts := make(map[string]int)
	for _, f := range files {
		counts[f.Format]++
	}
	var list []network.FittedFile
	entries := make(map[network.FittedFile][]network.FittedFile) // by format and held out
	var order []network.FittedFile
	for _, f := range files {
		if counts[f.Format] <= mostListed {
			list = append(list, f.FittedFile)
			continue
		}
		key := network.FittedFile{Format: f.Format, HeldOut: f.HeldOut}
		if entries[key] == nil {
			order = append(order, key)
		}
		entries[key] = append(entries[key], f.FittedFile)
	}
	for _, key := range order {
		all := entries[key]
		sum := sha256.New()
		for _, f := range all {
			sum.Write([]byte(f.SHA256))
		}
		key.Name = fmt.Sprintf("%s to %s", all[0].Name, all[len(all)-1].Name)
		key.Count = len(all)
		key.SHA256 = hex.EncodeToString(sum.Sum(nil))
		list = append(list, key)
	}
	return list
}

// open reads all files, sorted by path.
func open(paths []string) ([]*file, error) {
	if len(paths) == 0 {
		return nil, errors.New("no files: give capacity traces, loss masks or round trip times")
	}
	var files []*file
	for _, path := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		r, err := network.LoadRecording(path)
		if err != nil {
			return nil, err
		}
		if r.Profile != nil {
			return nil, fmt.Errorf("%s is a profile, not a recording", path)
		}
		if r.Series != nil && r.Series.Lasting() {
			return nil, fmt.Errorf("%s is a matrix of round trip times between hosts, which tells no jitter; name it in propagation.series of a profile, "+
				"or give its folder to --networks", path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		f := &file{path: path, recording: r, FittedFile: network.FittedFile{
			Name: filepath.Base(path), Format: r.Format.String(), SHA256: hex.EncodeToString(sum[:]),
		}}
		_, f.direction = suite.DirectionOf(path)
		files = append(files, f)
	}
	return files, nil
}

// commonType is the network type that the names of all files tell.
func commonType(files []*file) (model.NetworkType, error) {
	found := model.NetworkUnknown
	for _, f := range files {
		t, ok := suite.TypeOf(filepath.ToSlash(f.path))
		if !ok || found != model.NetworkUnknown && found != t {
			return found, errors.New("the names of the files do not tell one network type; say it (--type)")
		}
		found = t
	}
	return found, nil
}

// holdOut marks every third file.
func holdOut(files []*file) {
	for i, f := range files {
		f.HeldOut = i%3 == 1
	}
}

// fitter gathers what was fitted.
type fitter struct {
	profile *network.Profile
	source  string
	parts   []network.FittedPart
}

// from names the files in a source text.
func (f *fitter) from(files []*file) string {
	var names []string
	for _, file := range files {
		if !file.HeldOut {
			names = append(names, file.Name)
		}
	}
	text := strings.Join(names, ", ")
	if len(names) > 3 {
		text = fmt.Sprintf("%s to %s (%d files)", names[0], names[len(names)-1], len(names))
	}
	if f.source != "" {
		text += " (" + f.source + ")"
	}
	return text
}

// divide splits the samples of some files into those to fit to and those held out: by file, or some blocks of the only
// one. Pieces stay apart, so that nothing is counted across their borders.
func divide[T any](files []*file, samples func(*file) []T) (fitTo, held [][]T, by string) {
	if len(files) == 1 {
		all := samples(files[0])
		for i := range blocks {
			block := all[i*len(all)/blocks : (i+1)*len(all)/blocks]
			if i%3 == 1 {
				held = append(held, block)
			} else {
				fitTo = append(fitTo, block)
			}
		}
		return fitTo, held, fmt.Sprintf("%d of %d blocks of the only file", len(held), blocks)
	}
	for _, f := range files {
		if f.HeldOut {
			held = append(held, samples(f))
		} else {
			fitTo = append(fitTo, samples(f))
		}
	}
	return fitTo, held, fmt.Sprintf("%d of %d files", len(held), len(files))
}

// blocks is how many pieces a single file is cut into. They are neighbours, so what is held out of a single file says
// less than a file that is held out. The number is chosen.
const blocks = 10

// count adds up lengths.
func count[T any](pieces [][]T) int {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

// Marshal writes a profile as the JSON that network.Load reads.
func Marshal(p *network.Profile) ([]byte, error) {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write profile %s: %w", p.Name, err)
	}
	data = append(data, '\n')
	if _, err := network.ParseProfile(data, p.Name); err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	return data, nil
}
