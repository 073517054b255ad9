package sim_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
)

// Calls leave memory to one another; whatever call had it before, and on whichever core, nothing of it shows.
func TestMemoryOfOtherCalls(t *testing.T) {
	var plans []sim.Plan
	for _, transport := range []model.Transport{model.TransportDirect, model.TransportRelayUDP, model.TransportRelayTCP} {
		for _, name := range network.Builtin() {
			a := model.DefaultAction()
			if a.Transport = transport; transport != model.TransportDirect {
				a.Site = lab.RelaySite
			}
			p := plan(t, name, uint64(len(plans)), policy.WithRule(onlyAction{a}))
			p.Duration = time.Duration(10+len(plans)%5) * time.Second
			plans = append(plans, p)
		}
	}
	want := make([]sim.Result, len(plans))
	for i, p := range plans {
		want[i] = mustCall(t, p)
	}
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			for i := range plans {
				i = (i*7 + worker*5) % len(plans) // each in an order of its own
				got, err := sim.Call(plans[i])
				if err != nil {
					t.Error(err)
					return
				}
				if diff := cmp.Diff(want[i], got); diff != "" {
					t.Errorf("worker %d, plan %d: %s", worker, i, diff)
				}
			}
		})
	}
	running.Wait()
}

type onlyAction struct{ action model.Action }

func (o onlyAction) Decide(*model.Context, *model.Measurement) model.Action { return o.action }
