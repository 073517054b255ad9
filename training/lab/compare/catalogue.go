package compare

import (
	"slices"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
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

// Catalogue is what the oracle tries and the best static action is chosen from: a grid over what policy.SafeEnvelope
// admits, 234 actions, model.DefaultAction among them.
//
//   - direct: 8 rates x 4 frame lengths x (nothing, FEC for 10 and 25 % loss where libopus makes any, RED of 1 and 2),
//     FEC for 40 % with the shortest frames, DTX with 20 and 60 ms, and G.711
//   - relayed over UDP, which leads over the same access network: 8 rates x 20 and 60 ms x (nothing, RED of 1)
//   - relayed over TCP and over TLS, which repair loss themselves: 8 rates x 4 frame lengths
func Catalogue() model.Catalogue {
	envelope := policy.SafeEnvelope()
	var c model.Catalogue
	add := func(a model.Action) {
		if a.Transport != model.TransportDirect {
			a.Site = lab.RelaySite
		}
		if envelope.Check(a) == nil && !slices.Contains(c, a) {
			c = append(c, a)
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
				if red.Transport = model.TransportRelayUDP; depth == 1 && (frame == 20 || frame == 60) {
					add(red)
				}
			}
			if frame == 20 || frame == 60 {
				silent, relayed := plain, plain
				silent.DTX, relayed.Transport = true, model.TransportRelayUDP
				add(silent)
				add(relayed)
			}
			for _, t := range []model.Transport{model.TransportRelayTCP, model.TransportRelayTLS} {
				relayed := plain
				relayed.Transport = t
				add(relayed)
			}
		}
	}
	for _, t := range envelope.Transports {
		add(model.Action{
			Codec: model.CodecPCMU, BitrateKbps: 64, Bandwidth: model.BandwidthNarrow, FrameMillis: 20, Transport: t,
		})
	}
	return c
}
