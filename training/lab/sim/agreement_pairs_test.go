package sim_test

import (
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

// pair is a network and an action to compare the clocks on.
type pair struct {
	network string
	action  model.Action
	quick   int // calls that are enough to tell by; 0 = more than there is time for in every run of the test
	much    int // how many times as many calls as the others it takes to tell by; 0 = 1
}

// Bandwidths, for short.
const (
	narrow    = model.BandwidthNarrow
	wide      = model.BandwidthWide
	superWide = model.BandwidthSuperWide
	full      = model.BandwidthFull
)

// pairs is every committed network with what is usual there, with what it cannot carry, and with all transports, frame
// durations and uses of redundancy among them.
var pairs = []pair{
	{"ethernet", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"ethernet", opus(24, superWide, 60, 25, model.TransportDirect), 1, 0},
	{"ethernet", opus(32, full, 20, 0, model.TransportRelayTCP), 1, 0},
	{"ethernet-fcc", opus(24, wide, 20, 0, model.TransportRelayUDP), 1, 0},

	{"wifi", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"wifi", opus(24, superWide, 60, 25, model.TransportDirect), 2, 0},
	{"wifi", redundant(1, opus(16, wide, 20, 0, model.TransportDirect)), 1, 0},
	{"wifi", opus(20, wide, 40, 0, model.TransportRelayUDP), 3, 0},
	{"wifi", opus(32, full, 20, 0, model.TransportRelayTCP), 2, 0},
	{"wifi", opus(16, wide, 60, 0, model.TransportRelayTLS), 2, 0},
	{"wifi-only-443", opus(32, full, 40, 0, model.TransportRelayTLS), 2, 0},
	{"wifi-lossgen", opus(24, superWide, 20, 25, model.TransportDirect), 0, 0},

	{"4g", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"4g", opus(24, superWide, 60, 25, model.TransportDirect), 1, 0},
	{"4g", redundant(2, opus(12, wide, 60, 0, model.TransportDirect)), 1, 0},
	{"4g", opus(48, full, 20, 0, model.TransportRelayUDP), 1, 0},
	{"4g", opus(32, full, 20, 0, model.TransportRelayTCP), 1, 0},
	{"4g-moving", opus(24, superWide, 60, 25, model.TransportRelayUDP), 1, 0},
	{"4g-att-driving", opus(16, wide, 60, 10, model.TransportDirect), 0, 3},

	{"4g-udp-throttled", opus(32, full, 20, 10, model.TransportDirect), 0, 12},
	{"4g-udp-throttled", opus(6, narrow, 120, 0, model.TransportDirect), 0, 2},
	{"4g-udp-throttled", opus(32, full, 20, 0, model.TransportRelayTCP), 1, 0},

	{"3g", opus(32, full, 20, 10, model.TransportDirect), 2, 0},
	{"3g", opus(16, wide, 60, 10, model.TransportDirect), 2, 0},
	{"3g", opus(32, full, 20, 0, model.TransportRelayTCP), 0, 0},
	{"3g", opus(12, wide, 120, 0, model.TransportRelayTLS), 0, 0},

	{"2g", opus(6, narrow, 120, 0, model.TransportDirect), 3, 0},
	{"2g", opus(8, narrow, 60, 20, model.TransportDirect), 0, 0},
	{"2g", opus(16, wide, 60, 0, model.TransportDirect), 0, 0},
	{"2g", opus(32, full, 20, 10, model.TransportDirect), 0, 3},
	{"2g", opus(12, wide, 60, 0, model.TransportRelayTCP), 0, 3},

	{"satellite", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"satellite", opus(16, wide, 60, 20, model.TransportRelayUDP), 2, 0},
	{"satellite", opus(24, wide, 40, 0, model.TransportRelayTCP), 2, 0},
}

func opus(kbps uint8, band model.AudioBandwidth, frame, fec uint8, transport model.Transport) model.Action {
	a := model.Action{
		Codec: model.CodecOpus, BitrateKbps: kbps, Bandwidth: band, FrameMillis: frame, ExpectedLoss: fec, Transport: transport,
	}
	if transport != model.TransportDirect {
		a.Site = lab.RelaySite
	}
	return a
}

// profiles is every committed network by its name.
var profiles = func() map[string]*network.Profile {
	all := make(map[string]*network.Profile)
	for _, n := range suite.Builtin().Networks {
		all[n.Name] = n.Profile
	}
	return all
}()
