package sim

import (
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// beyond is what lies between the access networks of a call: the core, or the stretches that the profile declares. A
// stretch begins with its first use and goes on for the whole call, so that a call that moves away and comes back finds
// the same queue and the same loss process.
type beyond struct {
	profile *network.Profile
	core    time.Duration
	seed    uint64
	direct  [2]*network.Link // from each side; nil across the core
	sites   [2][]around      // of each side
}

// around is how one side reaches a relay site and is reached from it; both are nil across the core.
type around struct{ up, down *network.Link }

func newBeyond(profile *network.Profile, core time.Duration, seed uint64) beyond {
	b := beyond{profile: profile, core: core, seed: seed}
	if profile.Paths.Direct != nil {
		b.direct[caller], b.direct[callee] = profile.Paths.DirectLinks(b.seedOf(0, 0))
	}
	return b
}

// seedOf is the seed of a stretch: of the direct one for site 0.
func (b *beyond) seedOf(side int, site model.Site) uint64 {
	return rand.NewPCG(b.seed, 0x70617468<<16|uint64(side)<<8|uint64(site)).Uint64()
}

// site is how a side reaches a relay site.
func (b *beyond) site(side int, id model.Site) around {
	id = max(id, 1)
	declared := b.profile.Paths.Site(id)
	if declared == nil {
		return around{}
	}
	if b.sites[side] == nil {
		b.sites[side] = make([]around, len(b.profile.Paths.Sites))
	}
	a := &b.sites[side][id-1]
	if a.up == nil {
		a.up, a.down = declared.Links(b.seedOf(side, id))
	}
	return *a
}

// knows reports whether there is such a site. Site 0 is any.
func (b *beyond) knows(t policyTransport) bool {
	return t.transport == model.TransportDirect || int(t.site) <= b.profile.SiteCount()
}

// begin is where a call begins that wants to go by a transport: over the first relay site, where the one it wants is
// none. So do the clients of package lab.
func (b *beyond) begin(t policyTransport) policyTransport {
	if !b.knows(t) {
		t.site = 1
	}
	return t
}
