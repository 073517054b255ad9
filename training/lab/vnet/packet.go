package vnet

import (
	"net/netip"
	"sync"

	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/network/tcp"
)

// maxPayload is the most a UDP packet carries on Ethernet; larger ones would need fragments, which no call sends.
const maxPayload = 1472

// packet is one datagram or segment under way. Packets are pooled: whoever takes one out of the network frees it.
type packet struct {
	protocol network.Protocol
	from, to netip.AddrPort
	segment  tcp.Segment // without payload
	payload  []byte      // part of space
	space    [maxPayload]byte
}

var packets = sync.Pool{New: func() any { return new(packet) }}

// newPacket copies the payload.
func newPacket(protocol network.Protocol, from, to netip.AddrPort, payload []byte) *packet {
	p := packets.Get().(*packet)
	p.protocol, p.from, p.to = protocol, from, to
	p.payload = p.space[:copy(p.space[:], payload)]
	return p
}

func (p *packet) free() { packets.Put(p) }

// policed is the protocol as operators tell it.
func (p *packet) policed() network.Protocol {
	if p.protocol == network.TCP && (p.to.Port() == 443 || p.from.Port() == 443) {
		return network.TCP443
	}
	return p.protocol
}

// wireBytes is the size on the wire, headers included.
func (p *packet) wireBytes() int {
	if p.protocol == network.TCP {
		return len(p.payload) + network.TCPHeaderBytes
	}
	return len(p.payload) + network.UDPHeaderBytes
}
