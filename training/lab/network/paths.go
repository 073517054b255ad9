package network

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
)

// Paths is what lies beyond the access networks of a call. The zero Paths is a well-connected core: a short constant
// delay, nothing else, and one relay site in it.
//
// The directions here are stretches: they come on top of both access networks. Only the propagation has to be given;
// without a capacity a stretch has no limit and no queue.
type Paths struct {
	// Direct is the stretch between the two access networks, the same each way; nil = the core.
	Direct *Direction `json:"direct,omitempty"`
	// Sites are the relay sites; the first is site 1. None = one site, reached across the core.
	Sites []Site `json:"sites,omitempty"`
}

// Site is a relay site as peers on a network reach it. A relayed call crosses the stretch of one peer up and that of the
// other down; each peer has its own.
type Site struct {
	Name string    `json:"name"`
	Up   Direction `json:"up"`   // from a peer's access network to the site
	Down Direction `json:"down"` // from the site to a peer's access network
}

// MaxSites is how many relay sites a network may have.
const MaxSites = 6

// Site is how a relay site is reached; nil across the core.
func (p *Paths) Site(id model.Site) *Site {
	if id < 1 || int(id) > len(p.Sites) {
		return nil
	}
	return &p.Sites[id-1]
}

// SiteCount is how many relay sites a call on this network can use.
func (p *Profile) SiteCount() int { return max(1, len(p.Paths.Sites)) }

// Links starts both directions between one peer and the site. Traces of both start at the same place.
func (s *Site) Links(seed uint64) (up, down *Link) { return pair(&s.Up, &s.Down, seed) }

// DirectLinks starts both ways of the stretch between the two access networks of a call; both are nil across the core.
func (p *Paths) DirectLinks(seed uint64) (there, back *Link) {
	if p.Direct == nil {
		return nil, nil
	}
	return pair(p.Direct, p.Direct, seed)
}

// pair starts two directions with their traces at the same place, which is anywhere in the longer one: the shorter one has
// begun again by then.
func pair(up, down *Direction, seed uint64) (first, second *Link) {
	period := time.Duration(1)
	for _, t := range []*Trace{up.Capacity.Trace, down.Capacity.Trace} {
		if t != nil {
			period = max(period, t.period)
		}
	}
	start := time.Duration(rand.New(rand.NewPCG(seed, 0x7472616365)).Int64N(int64(period)))
	first, second = newLink(*up, mix(seed, 1), start), newLink(*down, mix(seed, 2), start)
	if up.Propagation.Series == down.Propagation.Series { // a round trip is both halves of one
		second.varying.first = first.varying.first
	}
	return first, second
}

// directions are all there are, with their JSON paths.
func (p *Paths) directions() []namedDirection {
	var all []namedDirection
	if p.Direct != nil {
		all = append(all, namedDirection{"paths.direct", p.Direct})
	}
	for i := range p.Sites {
		at := fmt.Sprintf("paths.sites[%d]", i)
		all = append(all, namedDirection{at + ".up", &p.Sites[i].Up}, namedDirection{at + ".down", &p.Sites[i].Down})
	}
	return all
}

type namedDirection struct {
	path      string
	direction *Direction
}

// ReadRecordings opens the files that stretches name, relative to a folder. Load does it for those of a profile.
func (p *Paths) ReadRecordings(dir string) error {
	for _, d := range p.directions() {
		if err := d.direction.readRecordings(dir); err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
	}
	return nil
}

func (p *Paths) validate(fault func(string, ...any)) {
	if len(p.Sites) > MaxSites {
		fault("paths.sites has %d entries, want at most %d", len(p.Sites), MaxSites)
	}
	names := map[string]bool{}
	for i := range p.Sites {
		name := p.Sites[i].Name
		if name == "" || strings.ContainsAny(name, `/\ `) || names[name] {
			fault("paths.sites[%d].name %q: want a word without blanks or slashes that no other site has", i, name)
		}
		names[name] = true
	}
	for _, d := range p.directions() {
		d.direction.validate(d.path, true, fault)
	}
}
