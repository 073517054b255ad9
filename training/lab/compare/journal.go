package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// journalFormat is the version of the journal's layout:
//
//	1  the first
//	2  the rounds of the search for the best static actions
//	3  calls that the oracle does not make are spared
const journalFormat = 3

// saveEvery is how much work an interruption may cost.
const saveEvery = 5 * time.Second

// state is all that a comparison knows after its first Next calls. Numbers survive JSON to the bit.
type state struct {
	Format      int         `json:"format"`
	Fingerprint string      `json:"fingerprint"` // of the Config
	Search      search      `json:"search"`
	Next        int         `json:"next"`
	Seeds       [][][]sums  `json:"seeds"`               // by seed, slice and contender
	Current     [][]tally   `json:"current"`             // of the seed under way, by slice and contender
	Chosen      [][]int64   `json:"chosen"`              // by slice and action of the catalogue; not of single networks
	BySegment   []scheduled `json:"bySegment,omitempty"` // by slice
	Spared      int64       `json:"spared,omitempty"`    // calls that the oracles did not have to make
}

// MarshalJSON writes the distribution as pairs of bin and count.
func (t tally) MarshalJSON() ([]byte, error) {
	s := storedTally{plainTally: plainTally(t)}
	for i, n := range t.bins {
		if n > 0 {
			s.Bins = append(s.Bins, [2]uint32{uint32(i), n})
		}
	}
	return json.Marshal(s)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (t *tally) UnmarshalJSON(text []byte) error {
	var s storedTally
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*t = tally(s.plainTally)
	for _, bin := range s.Bins {
		if bin[0] >= qualityBins {
			return fmt.Errorf("bin %d of %d", bin[0], qualityBins)
		}
		if t.bins == nil {
			t.bins = make([]uint32, qualityBins)
		}
		t.bins[bin[0]] = bin[1]
	}
	return nil
}

type plainTally tally

type storedTally struct {
	plainTally
	Bins [][2]uint32
}

// open begins anew, or where the journal ends.
func (r *runner) open() error {
	r.saved = time.Now()
	fingerprint, err := r.fingerprint()
	if err != nil {
		return err
	}
	r.state = state{Format: journalFormat, Fingerprint: fingerprint}
	for s := range r.slices {
		r.state.Current = append(r.state.Current, make([]tally, len(r.config.Contenders)))
		r.state.Chosen = append(r.state.Chosen, nil)
		if !r.slices[s].network {
			r.state.Chosen[s] = make([]int64, len(r.config.Catalogue))
		}
		if r.has(oracleBySegment) {
			r.state.BySegment = append(r.state.BySegment, scheduled{})
		}
	}
	if !r.config.Resume || r.config.Journal == "" {
		return nil
	}
	text, err := os.ReadFile(r.config.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var kept state
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err == nil {
		err = r.fits(&kept)
	}
	if err != nil {
		return fmt.Errorf("continue from %s: %w", r.config.Journal, err)
	}
	r.state = kept
	return nil
}

func (r *runner) fits(kept *state) error {
	switch {
	case kept.Format != journalFormat:
		return fmt.Errorf("format %d, this program reads %d; start anew without resuming", kept.Format, journalFormat)
	case kept.Fingerprint != r.state.Fingerprint:
		return errors.New("it is of another comparison: networks, policies, speech, seeds, calls or program differ; start anew without resuming")
	case kept.Next < 0 || kept.Next > r.config.Calls*r.config.Seeds || len(kept.Seeds) != kept.Next/r.config.Calls ||
		len(kept.Current) != len(r.slices) || len(kept.Chosen) != len(r.slices) ||
		len(kept.BySegment) != len(r.state.BySegment), !kept.Search.fits(len(r.config.Catalogue)):
		return errors.New("it is damaged; start anew without resuming")
	}
	for s := range r.slices {
		if len(kept.Current[s]) != len(r.config.Contenders) || len(kept.Chosen[s]) != len(r.state.Chosen[s]) {
			return errors.New("it is damaged; start anew without resuming")
		}
	}
	return nil
}

func (s *search) fits(actions int) bool {
	outside := func(c contested) bool { return c.Index < 0 || c.Index >= actions }
	return s.Rounds >= 0 && s.Rounds < len(searchRounds) && (s.Rounds > 0) == (len(s.Left) > 0) && !slices.ContainsFunc(s.Left, outside)
}

// save writes the journal: the new one in full, or the old one stays.
func (r *runner) save() error {
	r.saved = time.Now()
	if r.config.Journal == "" {
		return nil
	}
	text, err := json.Marshal(r.state)
	if err != nil {
		return fmt.Errorf("keep journal: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(r.config.Journal), ".journal-")
	if err != nil {
		return fmt.Errorf("keep journal: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), r.config.Journal)
	}
	if err != nil {
		return fmt.Errorf("keep journal: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Discard removes the journal of a comparison whose result is safe.
func Discard(journal string) error {
	if err := os.Remove(journal); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove journal: %w", err)
	}
	return nil
}

// fingerprint is a hash over everything that decides the result: networks with their recordings, speech, policies, this
// program.
func (r *runner) fingerprint() (string, error) {
	h := sha256.New()
	c := &r.config
	fmt.Fprintln(h, program(), c.Calls, c.Seeds, c.Seed, c.Duration, c.Speech)
	if err := errors.Join(c.Frames.WriteContent(h), c.Suite.WriteContent(h)); err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	for i := range c.Contenders {
		fmt.Fprintln(h, c.Contenders[i].Identity())
	}
	var actions strings.Builder
	for _, a := range c.Catalogue {
		actions.WriteString(a.String() + "\n")
	}
	fmt.Fprint(h, actions.String(), searchRounds)
	if r.has(oracleBySegment) {
		fmt.Fprint(h, segmentCandidates, mostSegments)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// program tells this program from others: by the revision it was built of or, where that does not tell, by its content.
var program = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if revision := settings["vcs.revision"]; revision != "" && settings["vcs.modified"] == "false" {
			return revision
		}
	}
	path, err := os.Executable()
	if err != nil {
		return err.Error()
	}
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close() //nolint:errcheck // only read from
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(h.Sum(nil))
})
