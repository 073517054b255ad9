package sim_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
)

// TestSetUpTakesAsLong compares the time until media flow with that of a real call, where a round trip takes long. ICE
// repeats its checks every 0.2 s, and a real call waits for one now and then.
func TestSetUpTakesAsLong(t *testing.T) {
	const most = 250 * time.Millisecond
	for _, transport := range []model.Transport{
		model.TransportDirect, model.TransportRelayUDP, model.TransportRelayTCP, model.TransportRelayTLS,
	} {
		const interval, seed = 4 * time.Second, 3
		holder := always(t, opus(16, wide, 20, 0, transport))
		var inReal time.Duration
		synctest.Test(t, func(t *testing.T) {
			var ended time.Time // the first segment, which began with the first packet
			r := lab.Call(t.Context(), lab.Plan{
				Profile: profiles["satellite"], Seed: seed, Duration: interval + time.Second, Speech: voice(2),
				Parties: func(context.Context) (caller, callee lab.Party, release func(), err error) {
					follow := func(e policy.Event) {
						if e.Kind == policy.EventSegment && ended.IsZero() {
							ended = e.At
						}
					}
					return lab.Party{Policy: holder, Events: follow}, lab.Party{Policy: holder}, nil, nil
				},
			})
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			inReal = ended.Sub(r.Began) - interval
		})
		p := plan(t, "satellite", seed, policy.WithSource(holder))
		p.Duration, p.LinksSeeds = time.Second, lab.LinksSeeds(seed)
		simulated := mustCall(t, p).Setup
		t.Logf("%-9v %v in real, %v simulated", transport, inReal.Round(time.Millisecond), simulated.Round(time.Millisecond))
		if d := inReal - simulated; d < -most || d > most {
			t.Errorf("%v: a real call was set up in %v, a simulated one in %v", transport, inReal, simulated)
		}
	}
}
