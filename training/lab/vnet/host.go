package vnet

import (
	"net/netip"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/network/tcp"
)

// firstEphemeralPort begins the range from which ports are given out (RFC 6335).
const firstEphemeralPort = 49152

// Host is one machine on a Network. It implements transport.Net, for SettingEngine.SetNet of pion/webrtc and for
// pion/turn. It lives as long as its network.
type Host struct {
	network *Network
	addr    netip.Addr
	site    model.Site // of a server that is a relay site; otherwise 0

	// Guarded by network.mu.
	profile     *network.Profile
	up, down    *network.Link                // nil without limits
	peers       map[netip.Addr]*network.Link // direct stretches to other hosts; nil across the core
	sites       map[model.Site]around        // stretches to relay sites
	moves       uint64
	past        Stats // of access networks left behind
	udp         map[uint16]*udpConn
	listeners   map[uint16]*tcpListener
	conns       map[connKey]*tcpConn
	nextPort    uint16
	unreachable uint64
	overflow    uint64
}

// connKey tells the TCP connections of a host apart.
type connKey struct {
	port   uint16
	remote netip.AddrPort
}

func newHost(n *Network, addr netip.Addr) *Host {
	return &Host{
		network: n, addr: addr, nextPort: firstEphemeralPort,
		udp: make(map[uint16]*udpConn), listeners: make(map[uint16]*tcpListener), conns: make(map[connKey]*tcpConn),
	}
}

// IP is the host's address.
func (h *Host) IP() string { return h.addr.String() }

// Profile is the access network the host is on; nil without limits.
func (h *Host) Profile() *network.Profile {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	return h.profile
}

// SetProfile moves the host to another access network, as a phone that leaves Wi-Fi: the address stays, packets already
// on the way still arrive, queues start empty.
func (h *Host) SetProfile(profile *network.Profile) {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	h.setProfile(profile)
}

func (h *Host) setProfile(profile *network.Profile) {
	h.past = h.stats()
	h.profile = profile
	h.up, h.down = nil, nil
	h.peers, h.sites = make(map[netip.Addr]*network.Link), make(map[model.Site]around)
	if profile != nil {
		h.up, h.down = profile.Links(linksSeed(h.network.config.Seed, h.addr, h.moves))
	}
	h.moves++
}

// around is how a host reaches a relay site and is reached from it; nil across the core.
type around struct{ up, down *network.Link }

// around makes the stretches to a relay site when they are first used.
func (h *Host) around(site model.Site) around {
	declared := h.profile.Paths.Site(site)
	if declared == nil {
		return around{}
	}
	a, made := h.sites[site]
	if !made {
		a.up, a.down = declared.Links(linksSeed(h.network.config.Seed, h.addr, h.moves<<8|uint64(site)))
		h.sites[site] = a
	}
	return a
}

// direct is the stretch to another host behind an access network, as the profile of this one says.
func (h *Host) direct(to *Host) *network.Link {
	if h.profile.Paths.Direct == nil {
		return nil
	}
	link := h.peers[to.addr]
	if link == nil {
		link, _ = h.profile.Paths.DirectLinks(linksSeed(h.network.config.Seed, h.addr, h.moves<<8) ^ linksSeed(h.network.config.Seed, to.addr, 0))
		h.peers[to.addr] = link
	}
	return link
}

// Stats is what a host's access network has carried and what the host itself could not take.
type Stats struct {
	Up, Down    network.Counts // all 0 for a host without a profile
	Unreachable uint64         // packets for an address or a UDP port that nobody has
	Overflow    uint64         // UDP packets for a socket whose receive queue was full
}

// Stats counts from the host's beginning, over all its access networks.
func (h *Host) Stats() Stats {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	return h.stats()
}

func (h *Host) stats() Stats {
	s := h.past
	s.Unreachable, s.Overflow = h.unreachable, h.overflow
	add := func(sum *network.Counts, link *network.Link) {
		if link == nil {
			return
		}
		counts := link.Counts()
		for i := range counts.Packets {
			sum.Packets[i] += counts.Packets[i]
			sum.Bytes[i] += counts.Bytes[i]
		}
	}
	add(&s.Up, h.up)
	add(&s.Down, h.down)
	return s
}

// receive takes a packet off the network.
func (h *Host) receive(now time.Duration, p *packet) {
	if p.protocol == network.TCP {
		h.receiveTCP(now, p)
		p.free()
		return
	}
	socket := h.udp[p.to.Port()]
	switch {
	case socket == nil || (socket.remote.IsValid() && socket.remote != p.from):
		h.unreachable++
		p.free()
	case !socket.inbox.push(p):
		h.overflow++
		p.free()
	}
}

func (h *Host) receiveTCP(now time.Duration, p *packet) {
	s := p.segment
	s.Payload = p.payload
	key := connKey{p.to.Port(), p.from}
	if c := h.conns[key]; c != nil {
		c.receive(now, s)
		return
	}
	if l := h.listeners[p.to.Port()]; l != nil && s.SYN && !s.HasAck {
		h.newConn(key, tcp.Accept(now, &s), l).pump(now)
		return
	}
	if !s.RST {
		reset := newPacket(network.TCP, p.to, p.from, nil)
		reset.segment = tcp.Segment{Seq: s.Ack, RST: true}
		h.network.send(h, reset)
	}
}

// shut ends all sockets when the network closes.
func (h *Host) shut() {
	for _, socket := range h.udp {
		socket.inbox.close(ErrNetworkClosed)
	}
	for _, l := range h.listeners {
		l.fail(ErrNetworkClosed)
	}
	for _, c := range h.conns {
		c.fail(ErrNetworkClosed)
	}
}

// port finds a free port, or checks that the wanted one is free.
func (h *Host) port(wanted uint16, taken func(uint16) bool) (uint16, bool) {
	if wanted != 0 {
		return wanted, !taken(wanted)
	}
	for range 1<<16 - firstEphemeralPort {
		candidate := h.nextPort
		h.nextPort++
		if h.nextPort < firstEphemeralPort {
			h.nextPort = firstEphemeralPort
		}
		if !taken(candidate) {
			return candidate, true
		}
	}
	return 0, false
}
