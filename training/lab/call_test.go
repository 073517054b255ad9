package lab_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/client"
	"github.com/attune-calls/attune/training/lab/network"
)

func TestCallOnAGoodNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lab.Call(t.Context(), plan(t, "ethernet", 20*time.Second, holding(t, document(3, direct))))
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, leg := range r.Legs() {
			if leg.Failed || len(leg.Segments) < 9 {
				t.Errorf("failed %v, %d segments, want 10 of 2 s", leg.Failed, len(leg.Segments))
			}
			if got := mos(leg.Segments); len(got) < 8 || mean(got) <= 4 {
				t.Errorf("MOS %v, want more than 4 on average", got)
			}
			for i, s := range leg.Segments {
				if s.Policy != 3 || s.Action != catalogue()[direct] || s.Propensity != model.PropensityScale {
					t.Errorf("segment %+v", s)
				}
				if i > 0 && !s.Began.After(leg.Segments[i-1].Began) {
					t.Errorf("segment %d began at %v, the one before at %v", i, s.Began, leg.Segments[i-1].Began)
				}
			}
		}
	})
}

func TestPolicyMovesACallToTheRelay(t *testing.T) {
	for _, relay := range []int{relayTCP, relayTLS} {
		t.Run(catalogue()[relay].Transport.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := holding(t, document(3, direct))
				first, second := parse(t, document(3, direct)), parse(t, document(4, relay))
				source.Store(first)
				time.AfterFunc(11*time.Second, func() { source.Store(second) })
				r := lab.Call(t.Context(), plan(t, "4g-udp-throttled", 40*time.Second, source))
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				for _, leg := range r.Legs() {
					moved := slices.IndexFunc(leg.Segments, func(s lab.Segment) bool { return s.Policy == 4 })
					if moved < 2 {
						t.Fatalf("policy 4 came with segment %d of %d", moved, len(leg.Segments))
					}
					if cause := leg.Segments[moved].Cause; cause != model.CausePolicy {
						t.Errorf("cause of the first segment under policy 4: %v", cause)
					}
					// A burst passes the throttle at first; then so little does that a segment may not be measured at all.
					poor := slices.ContainsFunc(leg.Segments[:moved], func(s lab.Segment) bool {
						return s.Outcome.MOS == 0 || model.ScaleMOS.Value(s.Outcome.MOS) < 2.5
					})
					if !poor {
						t.Errorf("MOS %v by throttled UDP, want poor", mos(leg.Segments[:moved]))
					}
					last := leg.Segments[len(leg.Segments)-8:]
					if got := mos(last); len(got) < 7 || mean(got) < 3.5 {
						t.Errorf("MOS %v by the relay, want good", got)
					}
					for _, s := range last {
						if s.Policy != 4 || s.Action != catalogue()[relay] {
							t.Errorf("at the end policy %d, %v", s.Policy, s.Action)
						}
					}
				}
			})
		})
	}
}

// TestPolicyMovesACallToAnotherSite: learned policies name relay sites, and a real call follows them.
func TestPolicyMovesACallToAnotherSite(t *testing.T) {
	bySite := func(version uint32, site model.Site) policy.Document {
		d := document(version, relayUDP)
		d.Sites = lab.Sites(2)
		d.Catalogue[relayUDP].Site = site
		return d
	}
	near := network.Direction{Propagation: network.Propagation{Millis: 10, Source: "test"}}
	far := network.Direction{Propagation: network.Propagation{Millis: 100, Source: "test"}}
	synctest.Test(t, func(t *testing.T) {
		source := holding(t, bySite(3, 2))
		second := parse(t, bySite(4, 1))
		time.AfterFunc(11*time.Second, func() { source.Store(second) })
		p := plan(t, "ethernet", 30*time.Second, source)
		p.Profile.Paths.Sites = []network.Site{{Name: "near", Up: near, Down: near}, {Name: "far", Up: far, Down: far}}
		r := lab.Call(t.Context(), p)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, leg := range r.Legs() {
			first, last := leg.Segments[2], leg.Segments[len(leg.Segments)-2]
			if first.Action.Site != 2 || last.Action.Site != 1 || last.Policy != 4 {
				t.Errorf("sites %d and %d, at the end under policy %d", first.Action.Site, last.Action.Site, last.Policy)
			}
			slow, fast := model.ScaleDelay.Value(first.Outcome.RoundTripTime), model.ScaleDelay.Value(last.Outcome.RoundTripTime)
			if slow < 350 || fast > 150 {
				t.Errorf("round trips of %.0f ms by the far site, %.0f ms by the near one", slow, fast)
			}
		}
	})
}

// TestCalleeFollows: the callee's own assignment would put it in the arm of its own seed and on a direct path.
func TestCalleeFollows(t *testing.T) {
	seen := make(map[uint8]bool)
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			p := plan(t, "wifi", 4*time.Second, holding(t, document(5, relayUDP, relayTCP)))
			p.Seed = seed
			r := lab.Call(t.Context(), p)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			arm := r.Caller.Segments[0].Arm
			seen[arm] = true
			want := catalogue()[[]int{relayUDP, relayTCP}[arm]]
			for _, leg := range r.Legs() {
				for _, s := range leg.Segments {
					if s.Arm != arm || s.Action != want {
						t.Errorf("seed %d: arm %d, %v; the caller began with arm %d, %v", seed, s.Arm, s.Action, arm, want)
					}
				}
			}
		})
	}
	if len(seen) != 2 {
		t.Errorf("arms %v in 8 calls: the test shows nothing", seen)
	}
}

func TestSetupFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plan(t, "ethernet", 5*time.Second, holding(t, document(3, direct)))
		blocked := *p.Profile
		blocked.Up.Policing.UDP.Blocked = true
		p.Profile = &blocked
		begin := time.Now()
		r := lab.Call(t.Context(), p)
		if !errors.Is(r.Err, client.ErrSetup) || errors.Is(r.Err, client.ErrDropped) || !r.Caller.Failed || !r.Callee.Failed {
			t.Errorf("error %v; caller failed %v, callee failed %v", r.Err, r.Caller.Failed, r.Callee.Failed)
		}
		if took := time.Since(begin); took > client.DefaultSetupTimeout+2*time.Second {
			t.Errorf("took %v", took)
		}
		for _, leg := range r.Legs() {
			if got := mos(leg.Segments); len(got) > 0 {
				t.Errorf("MOS %v of a call without media", got)
			}
		}
	})
}

func TestUnreachableRelayFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plan(t, "ethernet", 5*time.Second, holding(t, document(3, relayUDP)))
		blocked := *p.Profile
		blocked.Up.Policing.UDP.Blocked = true
		p.Profile = &blocked
		r := lab.Call(t.Context(), p)
		if !errors.Is(r.Err, client.ErrSetup) || !strings.Contains(r.Err.Error(), "relay") || !r.Caller.Failed {
			t.Errorf("error %v, caller failed %v", r.Err, r.Caller.Failed)
		}
	})
}

func TestCallHangsUpWhenContextEnds(t *testing.T) {
	for _, after := range []time.Duration{0, 10 * time.Millisecond, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			time.AfterFunc(after, cancel)
			if after == 0 {
				cancel()
			}
			begin := time.Now()
			r := lab.Call(ctx, plan(t, "satellite", time.Minute, holding(t, document(3, direct))))
			if r.Caller.Failed || r.Callee.Failed || errors.Is(r.Err, client.ErrSetup) || errors.Is(r.Err, client.ErrDropped) {
				t.Errorf("after %v: error %v, caller failed %v, callee failed %v", after, r.Err, r.Caller.Failed, r.Callee.Failed)
			}
			if took := time.Since(begin); took > after+2*time.Second {
				t.Errorf("hanging up after %v took until %v", after, took)
			}
			if after == 5*time.Second && (r.Err != nil || len(r.Caller.Segments) < 1) {
				t.Errorf("error %v, %d segments", r.Err, len(r.Caller.Segments))
			}
		})
	}
}

func TestReleaseComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plan(t, "ethernet", time.Second, nil)
		released := 0
		source := holding(t, document(3, direct))
		p.Parties = func(context.Context) (caller, callee lab.Party, release func(), err error) {
			side := lab.Party{Policy: source, Events: func(policy.Event) {
				if released > 0 {
					t.Error("an event after the release")
				}
			}}
			return side, side, func() { released++ }, nil
		}
		if r := lab.Call(t.Context(), p); r.Err != nil || released != 1 {
			t.Errorf("error %v, released %d times", r.Err, released)
		}
	})
}

func TestBadPlans(t *testing.T) {
	good := plan(t, "ethernet", time.Second, new(policy.Holder))
	refusal := errors.New("no clients left")
	for name, c := range map[string]struct {
		change func(p *lab.Plan)
		want   string
	}{
		"no profile":  {func(p *lab.Plan) { p.Profile = nil }, "profile"},
		"no duration": {func(p *lab.Plan) { p.Duration = 0 }, "duration"},
		"no speech":   {func(p *lab.Plan) { p.Speech = nil }, "speech"},
		"one sample":  {func(p *lab.Plan) { p.Speech = make([]int16, 1) }, "speech"},
		"no parties":  {func(p *lab.Plan) { p.Parties = nil }, "parties"},
		"refusal": {func(p *lab.Plan) {
			p.Parties = func(context.Context) (caller, callee lab.Party, release func(), err error) {
				return lab.Party{}, lab.Party{}, nil, refusal
			}
		}, refusal.Error()},
		"no policy": {func(p *lab.Plan) {
			p.Parties = func(context.Context) (caller, callee lab.Party, release func(), err error) {
				return lab.Party{}, lab.Party{}, nil, nil
			}
		}, "policy"},
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			c.change(&p)
			r := lab.Call(t.Context(), p)
			if r.Err == nil || !strings.Contains(r.Err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", r.Err, c.want)
			}
			if errors.Is(r.Err, client.ErrSetup) {
				t.Error("a mistake in the plan counts as a call that was not set up")
			}
		})
	}
}
