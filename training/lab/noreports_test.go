package lab_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab"
)

// TestPolicyWorksWithoutReports is a whole call in real time between two devices whose users said no to reporting: the
// policy from the server is in force, the report that an earlier device left unsent is gone, and nothing is sent.
func TestPolicyWorksWithoutReports(t *testing.T) {
	t.Parallel() // it waits most of the time
	b := newBackend(t)
	b.publish(document(1, direct60))
	address, dir := b.server.ClientURL(), t.TempDir()
	spool := filepath.Join(dir, "one", "spool")

	earlier := b.device(address, filepath.Join(dir, "one"))
	b.stop()
	report(earlier)
	retire(t, earlier)
	if _, err := os.Stat(spool); err != nil {
		t.Fatalf("the earlier device left no report: %v", err)
	}
	b.start()

	var devices []*lab.Device
	var decisions, others atomic.Int64
	p := plan(t, "ethernet", 3*time.Second, nil)
	p.Parties = func(ctx context.Context) (caller, callee lab.Party, release func(), err error) {
		var parties []lab.Party
		for _, name := range []string{"one", "two"} {
			servers := lab.Servers{NATS: b.server.ClientURL(), Root: b.root, NoReports: true}
			d, err := lab.NewDevice(ctx, servers, filepath.Join(dir, name))
			if err != nil {
				return lab.Party{}, lab.Party{}, nil, err
			}
			devices = append(devices, d)
			parties = append(parties, lab.Party{Policy: d.Policy, Reporter: d.Reporter, Events: func(e policy.Event) {
				switch {
				case e.Kind != policy.EventDecision:
				case e.Policy == 1 && e.Action == catalogue()[direct60]:
					decisions.Add(1)
				default:
					others.Add(1)
				}
			}})
		}
		return parties[0], parties[1], func() { retire(t, devices[0]); retire(t, devices[1]) }, nil
	}
	if r := lab.Call(t.Context(), p); r.Err != nil {
		t.Fatal(r.Err)
	}
	if decisions.Load() < 2 || others.Load() != 0 {
		t.Errorf("%d decisions of the policy and %d others, want at least one of the policy on each side", decisions.Load(), others.Load())
	}
	if _, err := os.Stat(spool); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unsent report of the earlier device is still there: %v", err)
	}
	for _, d := range devices {
		if c := d.Reporter.Counts(); c != (telemetry.Counts{}) {
			t.Errorf("counts of a device that must not report: %+v", c)
		}
	}
	b.reports(0)
}
