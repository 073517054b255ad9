package suite

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/internal/strictjson"
	"github.com/attune-calls/attune/training/lab/network"
)

// MaxFileBytes bounds a suite file.
const MaxFileBytes = 1 << 20

// file is the JSON of a suite.
type file struct {
	Name     string         `json:"name"`
	About    string         `json:"about"`
	Networks []networkEntry `json:"networks"`
	Weights  []cell         `json:"weights"`
	Paths    *network.Paths `json:"paths"` // of networks that have none of their own
}

// networkEntry is a profile, perhaps with recordings in place of some of its figures.
type networkEntry struct {
	Name    string         `json:"name"`
	Profile string         `json:"profile"` // a committed profile, or a file relative to the suite's
	Source  string         `json:"source"`
	Region  model.Region   `json:"region"`
	Weight  *float64       `json:"weight"` // 1 without
	Split   Split          `json:"split"`
	Up      string         `json:"up"`    // capacity traces
	Down    string         `json:"down"`  // relative to the suite's file
	Mask    string         `json:"mask"`  // of the loss of the whole path
	RTT     string         `json:"rtt"`   // round trip times
	Paths   *network.Paths `json:"paths"` // in place of the profile's
}

// cell is the share of the calls that a network type and a region have together.
type cell struct {
	Type   model.NetworkType `json:"type"`
	Region *model.Region     `json:"region"` // any without
	Weight float64           `json:"weight"`
}

// Load opens a suite: "builtin" or the path of a JSON file. Paths inside the file are relative to it.
//
// The file has a name, an about, a list of networks and perhaps a list of weights. A network names a profile (a
// committed one or a file), its source, its region, its weight (1 without), its split ("train" without), and perhaps
// recordings that take the place of the profile's figures: "up" and "down" of the capacity, "mask" of the loss of the
// whole path, "rtt" of the delay. Weights give the share of the calls
// that a network type, or a type in a region, has; the networks of that type and region divide it by their own weights.
// With weights, each network belongs to exactly one of them and each of them has a network.
//
// "paths" is the relay sites and what lies beyond the access networks, as in a profile: of a network in place of those of
// its profile, of the file for all networks that have none.
//
// An unknown key, a missing source and a source on both sides of the split are errors that name the file and, where a
// single place is to blame, the line.
func Load(path string) (*Suite, error) {
	if path == BuiltinName {
		return Builtin(), nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("load suite: %w; want %q or the path of a suite file", err, BuiltinName)
	case info.IsDir():
		return nil, fmt.Errorf("load suite: %s is a folder; a folder of recordings goes to --networks", path)
	case info.Size() > MaxFileBytes:
		return nil, fmt.Errorf("load suite: %s has %d bytes, more than the %d allowed", path, info.Size(), MaxFileBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load suite: %w", err)
	}
	return parse(data, path)
}

// BuiltinName is what Load knows Builtin by.
const BuiltinName = "builtin"

func parse(data []byte, path string) (*Suite, error) {
	var f file
	if err := strictjson.Decode(data, &f); err != nil {
		return nil, fmt.Errorf("suite %s: %w", path, err)
	}
	if f.Paths != nil {
		if err := f.Paths.ReadRecordings(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("suite %s: %w", path, err)
		}
	}
	s := &Suite{Name: f.Name, About: f.About}
	if s.Name == "" {
		return nil, fmt.Errorf("suite %s: name is empty", path)
	}
	for i := range f.Networks {
		n, err := f.Networks[i].open(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("suite %s: networks[%d]: %w", path, i, err)
		}
		if f.Paths != nil && n.Profile.Paths.Direct == nil && len(n.Profile.Paths.Sites) == 0 {
			n.Profile.Paths = *f.Paths
		}
		s.Networks = append(s.Networks, n)
	}
	if err := s.Validate(); err != nil { // before share, which divides by weights
		return nil, fmt.Errorf("suite %s: %w", path, err)
	}
	if err := s.share(f.Weights); err != nil {
		return nil, fmt.Errorf("suite %s: %w", path, err)
	}
	return s, nil
}

func (e *networkEntry) open(dir string) (Network, error) {
	n := Network{Name: e.Name, Source: e.Source, Region: e.Region, Weight: 1, Split: e.Split}
	if e.Weight != nil {
		n.Weight = *e.Weight
	}
	profile := e.Profile
	if isPath(profile) {
		profile = relativeTo(dir, profile)
	}
	p, err := network.Load(profile)
	if err != nil {
		return n, err
	}
	var traces [2]*network.Trace
	for i, path := range []string{e.Up, e.Down} {
		if path == "" {
			continue
		}
		if traces[i], err = network.LoadTrace(relativeTo(dir, path)); err != nil {
			return n, err
		}
	}
	n.Profile, n.Type = p.WithTrace(traces[0], traces[1]), p.Network
	if e.Mask != "" {
		mask, err := network.LoadMask(relativeTo(dir, e.Mask))
		if err != nil {
			return n, err
		}
		apply(&network.Recording{Mask: mask}, n.Profile, &n.Profile.Down)
	}
	if e.RTT != "" {
		series, err := network.LoadSeries(relativeTo(dir, e.RTT))
		if err != nil {
			return n, err
		}
		apply(&network.Recording{Series: series}, n.Profile, &n.Profile.Down)
	}
	if e.Paths != nil {
		if err := e.Paths.ReadRecordings(dir); err != nil {
			return n, err
		}
		n.Profile.Paths = *e.Paths
	}
	if n.Name == "" {
		n.Name = p.Name
	}
	n.Profile.Name = n.Name
	return n, nil
}

// share divides the weights of the cells among their networks.
func (s *Suite) share(cells []cell) error {
	if len(cells) == 0 {
		return nil
	}
	members := make([][]*Network, len(cells))
	for i := range s.Networks {
		n, found := &s.Networks[i], -1
		for j, c := range cells {
			if c.Type != n.Type || c.Region != nil && *c.Region != n.Region {
				continue
			}
			if found >= 0 {
				return fmt.Errorf("network %s belongs to weights[%d] and to weights[%d]; give each type and region once", n.Name, found, j)
			}
			found = j
		}
		if found < 0 {
			return fmt.Errorf("network %s (%v, %v) has no entry in weights; add its type and region", n.Name, n.Type, n.Region)
		}
		members[found] = append(members[found], n)
	}
	for j, c := range cells {
		if len(members[j]) == 0 {
			return fmt.Errorf("weights[%d] (%v): no network is of that type and region", j, c.Type)
		}
		if math.IsNaN(c.Weight) || c.Weight <= 0 || c.Weight > maxWeight {
			return fmt.Errorf("weights[%d] (%v): weight %v, want more than 0 and at most %v", j, c.Type, c.Weight, maxWeight)
		}
		var total float64
		for _, n := range members[j] {
			total += n.Weight
		}
		for _, n := range members[j] {
			n.Weight *= c.Weight / total
		}
	}
	return nil
}

func isPath(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.ContainsRune(name, filepath.Separator)
}

func relativeTo(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	joined := filepath.Join(dir, path)
	if !strings.ContainsRune(joined, filepath.Separator) {
		joined = "." + string(filepath.Separator) + joined // a file, not a committed profile
	}
	return joined
}
