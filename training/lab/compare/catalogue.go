package compare

import (
	"slices"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/network"
)

// ladder pairs rates with the audio bandwidth that suits them, as in model.DefaultCatalogue.
var ladder = []struct {
	kbps uint8
	band model.AudioBandwidth
}{
	{6, model.BandwidthNarrow},
	{8, model.BandwidthNarrow},
	{12, model.BandwidthWide},
	{16, model.BandwidthWide},
	{24, model.BandwidthSuperWide},
	{32, model.BandwidthFull},
	{48, model.BandwidthFull},
	{64, model.BandwidthFull},
}

// leastFECKbps is the least rate of the ladder at which libopus sends in-band redundancy at all.
const leastFECKbps = 24

// Catalogue is SiteCatalogue for networks with one relay site: 234 actions.
func Catalogue() model.Catalogue { return SiteCatalogue(1) }

// SiteCatalogue is what the oracle tries and the best static action is chosen from on networks with so many relay sites,
// 1 to network.MaxSites: a grid over what policy.SafeEnvelope admits, model.DefaultAction among them.
//
//   - direct: 8 rates x 4 frame lengths x (nothing, FEC for 10 and 25 % loss where libopus makes any, RED of 1 and 2),
//     FEC for 40 % with the shortest frames, DTX with 20 and 60 ms, and G.711
//   - relayed over UDP, which leads over the same access network: 8 rates x 20 and 60 ms x (nothing, RED of 1)
//   - relayed over TCP and over TLS, which repair loss themselves: 8 rates x 4 frame lengths
//
// Several sites share the room that the relayed actions of one have, so that there are never more than
// model.MaxCatalogue: the same for each site, at fewer rates, from three sites on with 20 and 60 ms only, and from four
// on without RED.
func SiteCatalogue(sites int) model.Catalogue {
	g := grids[max(1, min(sites, len(grids)))-1]
	envelope := policy.SafeEnvelope()
	var c model.Catalogue
	add := func(a model.Action) {
		if envelope.Check(a) == nil && !slices.Contains(c, a) {
			c = append(c, a)
		}
	}
	relayed := func(a model.Action, t model.Transport) {
		if !slices.Contains(g.kbps, a.BitrateKbps) || !slices.Contains(g.frames, a.FrameMillis) {
			return
		}
		a.Transport = t
		for site := range max(1, sites) {
			a.Site = lab.RelaySite + model.Site(site)
			add(a)
		}
	}
	add(model.DefaultAction())
	for _, frame := range []uint8{20, 40, 60, 120} {
		for _, step := range ladder {
			plain := model.Action{
				Codec: model.CodecOpus, BitrateKbps: step.kbps, Bandwidth: step.band, FrameMillis: frame,
				Transport: model.TransportDirect,
			}
			add(plain)
			for _, loss := range []uint8{10, 25, 40} {
				fec := plain
				fec.ExpectedLoss = loss
				if step.kbps >= leastFECKbps && (loss < 40 || frame == 20) {
					add(fec)
				}
			}
			for depth := uint8(1); depth <= envelope.MaxREDDepth; depth++ {
				red := plain
				red.Codec, red.REDDepth = model.CodecOpusRED, depth
				add(red)
				if g.red && depth == 1 && (frame == 20 || frame == 60) {
					relayed(red, model.TransportRelayUDP)
				}
			}
			if frame == 20 || frame == 60 {
				silent := plain
				silent.DTX = true
				add(silent)
				relayed(plain, model.TransportRelayUDP)
			}
			relayed(plain, model.TransportRelayTCP)
			relayed(plain, model.TransportRelayTLS)
		}
	}
	for _, t := range envelope.Transports {
		a := model.Action{Codec: model.CodecPCMU, BitrateKbps: 64, Bandwidth: model.BandwidthNarrow, FrameMillis: 20, Transport: t}
		if t != model.TransportDirect {
			a.Site = lab.RelaySite
		}
		if sites <= 1 || t == model.TransportDirect || t == model.TransportRelayUDP {
			add(a)
		}
	}
	return c
}

// grid is the relayed actions of each site.
type grid struct {
	kbps, frames []uint8
	red          bool
}

// grids is by the number of sites, from 1 on.
var grids = [network.MaxSites]grid{
	{[]uint8{6, 8, 12, 16, 24, 32, 48, 64}, []uint8{20, 40, 60, 120}, true},
	{[]uint8{8, 16, 24, 32, 64}, []uint8{20, 40, 60, 120}, true},
	{[]uint8{8, 16, 24, 32, 64}, []uint8{20, 60}, true},
	{[]uint8{8, 16, 32, 64}, []uint8{20, 60}, false},
	{[]uint8{8, 24, 64}, []uint8{20, 60}, false},
	{[]uint8{8, 24, 64}, []uint8{20, 60}, false},
}
