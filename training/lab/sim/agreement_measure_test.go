package sim_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/sim"
)

// quantity is what the clocks are compared by.
type quantity int

const (
	quality      quantity = iota // MOS
	lossRepaired                 // after repair, 0..1
	lossOnTheWay                 // before repair
	roundTrip                    // s
	playoutDelay                 // of the jitter buffer, s
	quantityCount
)

// heard sums up the segments of calls, each by its length.
type heard struct{ sums, seconds [quantityCount]float64 }

// event takes a segment of a leg, as it was measured before any quantization.
func (h *heard) event(e policy.Event) {
	if e.Kind != policy.EventSegment {
		return
	}
	m := &e.Measurement
	values := [quantityCount]float64{
		quality: m.MOS, lossRepaired: m.LossAfter, lossOnTheWay: m.LossBefore,
		roundTrip: m.RoundTripTime.Seconds(), playoutDelay: m.JitterBufferDelay.Seconds(),
	}
	for q, v := range values {
		if !math.IsNaN(v) && v >= 0 { // durations that were not measured are negative
			seconds := float64(max(e.Segment.Seconds, 1))
			h.sums[q] += seconds * v
			h.seconds[q] += seconds
		}
	}
}

func (h *heard) add(o *heard) {
	for q := range h.sums {
		h.sums[q] += o.sums[q]
		h.seconds[q] += o.seconds[q]
	}
}

// The clocks.
const (
	inRealTime = iota
	simulated
)

// sample is what came, by each clock, of calls on the same networks.
type sample [2]heard

// comparison is what came of a pair.
type comparison struct {
	pair
	wall    bool // the real calls were on the clock on the wall
	samples []sample
	failed  [2]int // legs
}

// String is a line for the log of a test.
func (c *comparison) String() string {
	line := fmt.Sprintf("%-6s %-17s %-46v", c.clock(), c.network, c.action)
	for _, q := range []struct {
		quantity
		name  string
		scale float64
	}{{quality, "MOS", 1}, {lossRepaired, "loss %", 100}, {lossOnTheWay, "before %", 100}, {roundTrip, "RTT ms", 1000}, {playoutDelay, "buffer ms", 1000}} {
		d := c.difference(q.quantity)
		line += fmt.Sprintf(" | %s %.2f %.2f %+.2f±%.2f", q.name, q.scale*c.mean(q.quantity, inRealTime).mean,
			q.scale*c.mean(q.quantity, simulated).mean, q.scale*d.mean, q.scale*d.standardError)
	}
	return fmt.Sprintf("%s | %d calls, legs failed %v", line, len(c.samples), c.failed)
}

// estimate is a mean with its standard error.
type estimate struct{ mean, standardError float64 }

// clock is what the real calls went by.
func (c *comparison) clock() string {
	if c.wall {
		return "wall"
	}
	return "bubble"
}

// mean is that of a quantity by a clock.
func (c *comparison) mean(q quantity, clock int) estimate {
	mean, residuals := c.ratio(q, clock)
	return estimate{mean, standardError(residuals)}
}

// difference is simulated less real. As both are of the same networks, its error is less than that of either.
func (c *comparison) difference(q quantity) estimate {
	inReal, residuals := c.ratio(q, inRealTime)
	virtual, others := c.ratio(q, simulated)
	floats.Sub(residuals, others)
	return estimate{virtual - inReal, standardError(residuals)}
}

// ratio is a mean over all the time in which a quantity was measured, and what each sample adds to its deviation (a ratio
// estimator by linearization; Cochran, Sampling Techniques, 3rd edition, section 6.4): calls in which little was measured
// count little.
func (c *comparison) ratio(q quantity, clock int) (mean float64, residuals []float64) {
	var total heard
	for i := range c.samples {
		total.add(&c.samples[i][clock])
	}
	mean = total.sums[q] / total.seconds[q]
	perSample := total.seconds[q] / float64(len(c.samples))
	for i := range c.samples {
		h := &c.samples[i][clock]
		residuals = append(residuals, (h.sums[q]-mean*h.seconds[q])/perSample)
	}
	return mean, residuals
}

func standardError(residuals []float64) float64 {
	return stat.StdDev(residuals, nil) / math.Sqrt(float64(len(residuals)))
}

// talkTime is how long the calls of a comparison last: some changes of any network's capacity.
const talkTime = 40 * time.Second

// replicas is how many simulated calls each real one is held to. They differ in the phases of the clocks and in the
// jitter, which so matter less to the difference.
const replicas = 8

// compare makes calls of a pair by both clocks, on networks of seeds from first on. Both live through the same capacities
// and spells of loss.
func (p pair) compare(t *testing.T, first uint64, calls int) *comparison {
	t.Helper()
	c := &comparison{pair: p}
	holder := always(t, p.action)
	for seed := first; seed < first+uint64(calls); seed++ {
		var real heard
		synctest.Test(t, func(t *testing.T) {
			var failed int
			real, failed = p.call(t.Context(), seed, holder)
			c.failed[inRealTime] += failed
		})
		c.simulate(t, seed, holder, real)
	}
	return c
}

// wallCalls is how many calls of all pairs are on the clock on the wall at once: they take about half of a core.
const wallCalls = 12

// compareOnTheWall makes the real calls on the clock on the wall, those of all pairs side by side.
func compareOnTheWall(t *testing.T, pairs []pair, calls int) []*comparison {
	t.Helper()
	all := make([]*comparison, len(pairs))
	real, failed := make([]heard, len(pairs)*calls), make([]int, len(pairs)*calls)
	holders := make([]*policy.Holder, len(pairs))
	for i, p := range pairs {
		holders[i] = always(t, p.action)
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, wallCalls)
	for k := range real { // those of a pair not all at the same time
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			real[k], failed[k] = pairs[k%len(pairs)].call(t.Context(), uint64(1+k/len(pairs)), holders[k%len(pairs)])
		})
	}
	running.Wait()
	for i, p := range pairs {
		all[i] = &comparison{pair: p, wall: true}
		for n := range calls {
			all[i].failed[inRealTime] += failed[n*len(pairs)+i]
			all[i].simulate(t, uint64(1+n), holders[i], real[n*len(pairs)+i])
		}
	}
	return all
}

// call makes a real one, and tells how many of its legs failed.
func (p pair) call(ctx context.Context, seed uint64, holder *policy.Holder) (sum heard, failed int) {
	var legs [2]heard // each is told its events by a goroutine of its own
	r := lab.Call(ctx, lab.Plan{
		Profile: profiles[p.network], Seed: seed, Duration: talkTime, Speech: voice(12),
		Parties: func(context.Context) (caller, callee lab.Party, release func(), err error) {
			return lab.Party{Policy: holder, Events: legs[0].event}, lab.Party{Policy: holder, Events: legs[1].event}, nil, nil
		},
	})
	for i, leg := range r.Legs() {
		sum.add(&legs[i])
		if leg.Failed {
			failed++
		}
	}
	return sum, failed
}

// simulate holds a real call to simulated ones on its networks.
func (c *comparison) simulate(t *testing.T, seed uint64, holder *policy.Holder, real heard) {
	t.Helper()
	sums := sample{inRealTime: real}
	for replica := range uint64(replicas) {
		call := plan(t, "ethernet", seed*replicas+replica, policy.WithSource(holder), policy.WithEvents(sums[simulated].event))
		call.Profile, call.LinksSeeds, call.Duration = profiles[c.network], lab.LinksSeeds(seed), talkTime
		r := mustCall(t, call)
		for _, leg := range []sim.Leg{r.Caller, r.Callee} {
			if leg.Dropped {
				c.failed[simulated]++
			}
		}
	}
	c.samples = append(c.samples, sums)
}

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
