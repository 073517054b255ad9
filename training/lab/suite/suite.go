package suite

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// Suite is a list of networks. The order is part of its identity: Draw with the same generator gives the same networks.
type Suite struct {
	Name     string
	About    string // one or two sentences for people: where the networks and their weights come from
	Networks []Network
}

// Network is one network of a suite.
type Network struct {
	Name    string            // unique in the suite
	Source  string            // what it was recorded in or fitted to; all networks of one source are on one side of the split
	Type    model.NetworkType // that of the profile
	Region  model.Region      // where its calls are made; the zero value is "withheld"
	Weight  float64           // how often it is drawn, relative to the others
	Split   Split             // whether a policy may be trained on it
	Profile *network.Profile  // what both sides of a call are on
	Taken   []string          // what its recordings were taken for, for people; nil without any
}

// Split is a side of the division into training and validation.
type Split uint8

// The values of Split.
const (
	Train      Split = iota // a policy may learn from it
	Validation              // held out
)

func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Validation:
		return "validation"
	}
	return "invalid"
}

// MarshalText writes "train" or "validation".
func (s Split) MarshalText() ([]byte, error) {
	if s > Validation {
		return nil, fmt.Errorf("split %d is not on the list", s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads "train" or "validation".
func (s *Split) UnmarshalText(text []byte) error {
	switch string(text) {
	case "train":
		*s = Train
	case "validation":
		*s = Validation
	default:
		return fmt.Errorf("split %q is not one of train, validation", text)
	}
	return nil
}

// Validate reports every fault: a name that is empty or not unique, a weight that is not a positive number, a type that
// is not the profile's, an invalid profile, and a source on both sides of the split.
func (s *Suite) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(s.Networks) == 0 {
		fault("it has no networks")
	}
	names := make(map[string]bool)
	splits := make(map[string]Split)
	for i := range s.Networks {
		n := &s.Networks[i]
		if n.Name == "" || names[n.Name] {
			fault("network %d: name %q is empty or taken", i, n.Name)
		}
		names[n.Name] = true
		if n.Source == "" {
			fault("network %s: no source", n.Name)
		}
		if math.IsNaN(n.Weight) || n.Weight <= 0 || n.Weight > maxWeight {
			fault("network %s: weight %v, want more than 0 and at most %v", n.Name, n.Weight, maxWeight)
		}
		if !n.Region.Valid() {
			fault("network %s: region %d is off the list", n.Name, n.Region)
		}
		if n.Split > Validation {
			fault("network %s: split %d is off the list", n.Name, n.Split)
		}
		if split, seen := splits[n.Source]; seen && split != n.Split {
			fault("network %s: source %s is in both train and validation; a split goes by source", n.Name, n.Source)
		}
		splits[n.Source] = n.Split
		switch {
		case n.Profile == nil:
			fault("network %s: no profile", n.Name)
			continue
		case n.Type != n.Profile.Network:
			fault("network %s: type %v, but its profile is %v", n.Name, n.Type, n.Profile.Network)
		}
		if err := n.Profile.Validate(); err != nil {
			fault("network %s: %w", n.Name, err)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("suite %s: %w", s.Name, errors.Join(faults...))
	}
	return nil
}

const maxWeight = 1e9

// Draw picks a network by weight. It takes exactly one number from the generator. The suite has to be valid.
func (s *Suite) Draw(random *rand.Rand) Network { return s.At(random.Float64()) }

// At is the network at a place in 0..1, where each takes the room of its share of the weight. The suite has to be valid.
func (s *Suite) At(place float64) Network {
	var total float64
	for i := range s.Networks {
		total += s.Networks[i].Weight
	}
	place *= total
	for i := range s.Networks {
		if place -= s.Networks[i].Weight; place < 0 {
			return s.Networks[i]
		}
	}
	return s.Networks[len(s.Networks)-1] // rounding
}

// SiteCount is how many relay sites calls on some network of the suite can use.
func (s *Suite) SiteCount() int {
	most := 1
	for i := range s.Networks {
		most = max(most, s.Networks[i].Profile.SiteCount())
	}
	return most
}

// Train is the networks a policy may learn from.
func (s *Suite) Train() []Network { return s.side(Train) }

// Validation is the held-out networks. It may be empty.
func (s *Suite) Validation() []Network { return s.side(Validation) }

func (s *Suite) side(split Split) []Network {
	var side []Network
	for _, n := range s.Networks {
		if n.Split == split {
			side = append(side, n)
		}
	}
	return side
}
