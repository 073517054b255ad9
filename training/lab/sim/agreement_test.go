package sim_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/sim"
)

// always is a policy of one action.
func always(t testing.TB, a model.Action) *policy.Holder {
	t.Helper()
	d := policy.Document{
		Format: policy.Format, FeatureSpec: model.FeatureSpec, Version: 1,
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		Catalogue: model.Catalogue{a}, Sites: []policy.Site{lab.Site()}, Price: model.DefaultPrice(), IntervalSeconds: 4,
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
	mos, mosSeconds, loss, lossSeconds, squares float64
	failed, legs                                int
}

func (h *heard) add(segments []model.Segment, failed bool) {
	h.legs++
	if failed {
		h.failed++
	}
	for _, s := range segments {
		seconds := float64(max(s.Seconds, 1))
		if s.Outcome.MOS > 0 {
			mos := model.ScaleMOS.Value(s.Outcome.MOS)
			h.mos += seconds * mos
			h.squares += seconds * mos * mos
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
	const duration = 40 * time.Second
	actions := []model.Action{
		action(32, model.BandwidthFull, 20, 10, model.TransportDirect),
		action(12, model.BandwidthWide, 60, 0, model.TransportDirect),
		action(24, model.BandwidthSuperWide, 60, 25, model.TransportDirect),
		action(32, model.BandwidthFull, 20, 0, model.TransportRelayTCP),
	}
	seeds := uint64(10)
	names := []string{"3g", "4g-udp-throttled"}
	speech := voice(12)
	for _, name := range names {
		for _, a := range actions {
			var real, simulated heard
			holder := always(t, a)
			for seed := range seeds {
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
						real.add(segments, leg.Failed)
					}
				})
			}
			for seed := range 10 * seeds {
				p := plan(t, name, seed, policy.WithSource(holder), policy.WithQuality(codec.Fullband{}))
				p.Duration = duration
				r := mustCall(t, p)
				simulated.add(r.Caller.Segments, r.Caller.Dropped)
				simulated.add(r.Callee.Segments, r.Callee.Dropped)
			}
			mos, loss := real.means()
			simMOS, simLoss := simulated.means()
			t.Logf("%-16s %-44v MOS real %.2f sim %.2f (%+.2f)   loss after repair real %5.2f %% sim %5.2f %% (%+.2f)  failed %d/%d %d/%d", name, a,
				mos, simMOS, simMOS-mos, 100*loss, 100*simLoss, 100*(simLoss-loss), real.failed, real.legs, simulated.failed, simulated.legs)
			_ = math.Abs
		}
	}
}

var _ = sim.DefaultCore
