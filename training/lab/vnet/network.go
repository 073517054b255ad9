package vnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// Defaults of Config.
const (
	DefaultCore        = 4 * time.Millisecond
	DefaultGranularity = time.Millisecond
)

// Config says how a Network behaves; the zero Config is useful.
type Config struct {
	// Seed drives all that is random. Two networks with the same seed treat the same packets alike; in real time no two
	// runs send quite the same packets.
	Seed uint64
	// Core is the one-way delay between any two access networks, or access network and server, where the profile of the
	// access network declares no paths of its own; 0 = DefaultCore.
	Core time.Duration
	// Granularity is how late a packet may be delivered for the sake of fewer wake-ups; 0 = DefaultGranularity. The
	// delays add up exactly all the same: only the last step waits.
	Granularity time.Duration
}

// Network connects hosts. It is safe for concurrent use; many may run side by side.
type Network struct {
	config   Config
	start    time.Time
	finished chan struct{}

	mu     sync.Mutex // guards everything below, the hosts and their connections
	hosts  map[netip.Addr]*Host
	closed bool
	events events
	wake   *time.Timer
	wakeAt time.Duration // when the timer fires
	moving bool          // the goroutine is at work and will set the timer itself
	stop   chan struct{}
}

// ErrNetworkClosed is what everything on a closed network returns. It is a net.ErrClosed too.
var ErrNetworkClosed = fmt.Errorf("virtual network is closed: %w", net.ErrClosed)

// New starts a network without hosts. It costs some microseconds and one goroutine.
func New(config Config) *Network {
	if config.Core <= 0 {
		config.Core = DefaultCore
	}
	if config.Granularity <= 0 {
		config.Granularity = DefaultGranularity
	}
	n := &Network{
		config:   config,
		start:    time.Now(),
		finished: make(chan struct{}),
		hosts:    make(map[netip.Addr]*Host),
		wake:     time.NewTimer(time.Hour),
		wakeAt:   never,
		stop:     make(chan struct{}),
	}
	n.wake.Stop()
	go n.run()
	return n
}

// AddHost connects a host with an IPv4 address behind an access network; a nil profile is a server that is connected to
// the core without limits.
func (n *Network) AddHost(ip string, profile *network.Profile) (*Host, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || !addr.Is4() || addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() {
		return nil, fmt.Errorf("add host %q: want a plain IPv4 address such as 10.0.0.1", ip)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("add host %s: %w", ip, ErrNetworkClosed)
	}
	if n.hosts[addr] != nil {
		return nil, fmt.Errorf("add host %s: the address is taken", ip)
	}
	h := newHost(n, addr)
	h.setProfile(profile)
	n.hosts[addr] = h
	return h, nil
}

// AddSite connects a server that is a relay site: hosts reach it as the paths of their profiles say.
func (n *Network) AddSite(ip string, site model.Site) (*Host, error) {
	h, err := n.AddHost(ip, nil)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h.site = site
	return h, nil
}

// Close disconnects everything: blocked calls return, packets under way vanish. It returns when the network's goroutine
// has ended. Closing twice is harmless.
func (n *Network) Close() error {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		for _, h := range n.hosts {
			h.shut()
		}
		n.events.drop()
		n.wake.Stop()
		close(n.stop)
	}
	n.mu.Unlock()
	<-n.finished
	return nil
}

// now is the network's time.
func (n *Network) now() time.Duration { return time.Since(n.start) }

// LinksSeed is the seed of the links (see network.Profile.Links) that a Network of a Seed gives the host of an address when
// it is added.
func LinksSeed(seed uint64, addr netip.Addr) uint64 { return linksSeed(seed, addr, 0) }

// linksSeed derives the seed of a host's links; a host that changes its network draws anew.
func linksSeed(seed uint64, addr netip.Addr, moves uint64) uint64 {
	a := addr.As4()
	id := uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3])
	return rand.NewPCG(seed, id<<16|moves).Uint64()
}

// send puts a packet on its way from a host.
func (n *Network) send(from *Host, p *packet) {
	now := n.now()
	to := n.hosts[p.to.Addr()]
	switch {
	case to == nil || n.closed:
		from.unreachable++
		p.free()
		return
	case to == from:
		n.schedule(event{at: now, kind: delivery, packet: p})
		return
	}
	at := now
	if from.up != nil {
		arrival, dropped := from.up.Send(now, p.wireBytes(), p.policed())
		if dropped != network.Delivered {
			p.free()
			return
		}
		at = arrival
	}
	if from.profile != nil && to.profile != nil && !from.profile.DirectPath(to.profile) {
		p.free() // no translator has a mapping for it
		return
	}
	if n.stretch(from, to) != nil {
		n.schedule(event{at: at, kind: entry, packet: p})
		return
	}
	n.leave(at+n.config.Core, to, p)
}

// enter sends a packet through the stretch beyond the access network of its sender.
func (n *Network) enter(at time.Duration, p *packet) {
	to := n.hosts[p.to.Addr()]
	link := n.stretch(n.hosts[p.from.Addr()], to)
	if link == nil { // one of the hosts has moved meanwhile
		n.leave(at+n.config.Core, to, p)
		return
	}
	arrival, dropped := link.Send(at, p.wireBytes(), p.policed())
	if dropped != network.Delivered {
		p.free()
		return
	}
	n.leave(arrival, to, p)
}

// leave lets a packet come out of what lies between the access networks.
func (n *Network) leave(at time.Duration, to *Host, p *packet) {
	if to.down == nil {
		n.schedule(event{at: at, kind: delivery, packet: p})
	} else {
		n.schedule(event{at: at, kind: descent, packet: p})
	}
}

// stretch is what the profiles declare between two hosts in place of the core; nil if nothing.
func (n *Network) stretch(from, to *Host) *network.Link {
	switch {
	case from.profile != nil && to.profile != nil:
		return from.direct(to)
	case from.profile != nil:
		return from.around(to.site).up
	case to.profile != nil:
		return to.around(from.site).down
	}
	return nil
}

// descend sends a packet down the access network of its receiver.
func (n *Network) descend(at time.Duration, p *packet) {
	to := n.hosts[p.to.Addr()]
	if to.down != nil {
		arrival, dropped := to.down.Send(at, p.wireBytes(), p.policed())
		if dropped != network.Delivered {
			p.free()
			return
		}
		at = arrival
	}
	n.schedule(event{at: at, kind: delivery, packet: p})
}
