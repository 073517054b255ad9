package sim_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
)

// always is a policy of one action.
func always(t testing.TB, a model.Action) *policy.Holder {
	t.Helper()
	d := policy.Document{
		Format: policy.Format, FeatureSpec: model.FeatureSpec, Version: 1,
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		Catalogue: model.Catalogue{a}, Sites: lab.Sites(2), Price: model.DefaultPrice(), IntervalSeconds: 4,
		Envelope: policy.SafeEnvelope(),
		Arms:     []policy.Arm{{Name: "a", Weight: policy.WeightScale, Default: map[model.NetworkType]int{model.NetworkUnknown: 0}}},
	}
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := new(policy.Holder)
	h.Store(p)
	return h
}

// heard sums up the segments of calls.
type heard struct {
	mos, mosSeconds, loss, lossSeconds float64
	failed                             int
}

func (h *heard) add(segments []model.Segment, failed bool) {
	if failed {
		h.failed++
	}
	for _, s := range segments {
		seconds := float64(max(s.Seconds, 1))
		if s.Outcome.MOS > 0 {
			h.mos += seconds * model.ScaleMOS.Value(s.Outcome.MOS)
			h.mosSeconds += seconds
		}
		if s.Outcome.LossAfter > 0 {
			h.loss += seconds * model.ScaleOutcomeLoss.Value(s.Outcome.LossAfter)
			h.lossSeconds += seconds
		}
	}
}

func (h *heard) means() (mos, loss float64) { return h.mos / h.mosSeconds, h.loss / h.lossSeconds }

func action(kbps uint8, band model.AudioBandwidth, frame, fec uint8, transport model.Transport) model.Action {
	a := model.Action{
		Codec: model.CodecOpus, BitrateKbps: kbps, Bandwidth: band, FrameMillis: frame, ExpectedLoss: fec, Transport: transport,
	}
	if transport != model.TransportDirect {
		a.Site = lab.RelaySite
	}
	return a
}

// TestClocksAgree holds the simulation to real calls (pion, libopus, sockets of package vnet) over the same networks.
// Their random numbers differ, so both are means over several seeds.
func TestClocksAgree(t *testing.T) {
	const (
		duration  = 40 * time.Second
		real      = 2  // calls, of two legs each
		simulated = 40 // they cost little
		mostMOS   = 0.15
		mostLoss  = 0.01
	)
	speech := voice(12)
	for _, name := range []string{"ethernet", "wifi", "4g"} {
		for _, a := range []model.Action{
			action(32, model.BandwidthFull, 20, 10, model.TransportDirect),
			action(24, model.BandwidthSuperWide, 60, 25, model.TransportDirect),
			action(32, model.BandwidthFull, 20, 0, model.TransportRelayTCP),
		} {
			var inReal, inVirtual heard
			holder := always(t, a)
			for seed := range uint64(real) {
				synctest.Test(t, func(t *testing.T) {
					party := lab.Party{Policy: holder}
					r := lab.Call(t.Context(), lab.Plan{
						Profile: profile(t, name), Seed: seed, Duration: duration, Speech: speech,
						Parties: func(context.Context) (lab.Party, lab.Party, func(), error) { return party, party, nil, nil },
					})
					for _, leg := range r.Legs() {
						var segments []model.Segment
						for _, s := range leg.Segments {
							segments = append(segments, s.Segment)
						}
						inReal.add(segments, leg.Failed)
					}
				})
			}
			for seed := range uint64(simulated) {
				p := plan(t, name, seed, policy.WithSource(holder))
				p.Duration = duration
				r := mustCall(t, p)
				inVirtual.add(r.Caller.Segments, r.Caller.Dropped)
				inVirtual.add(r.Callee.Segments, r.Callee.Dropped)
			}
			mos, loss := inReal.means()
			simMOS, simLoss := inVirtual.means()
			t.Logf("%-9s %-42v MOS real %.2f simulated %.2f, loss after repair %.2f %% and %.2f %%", name, a, mos, simMOS, 100*loss, 100*simLoss)
			if !(math.Abs(simMOS-mos) <= mostMOS) || !(math.Abs(simLoss-loss) <= mostLoss) || inReal.failed+inVirtual.failed > 0 {
				t.Errorf("%s, %v: the clocks disagree, or calls failed (%d real, %d simulated legs)", name, a, inReal.failed, inVirtual.failed)
			}
		}
	}
}
