package demo

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

func segment(action model.Action, mos, kbps float64, seconds uint8) model.Segment {
	return model.Segment{
		Action: action, Seconds: seconds,
		Outcome: model.Outcome{MOS: model.ScaleMOS.Bucket(mos), Rate: model.ScaleRate.Bucket(kbps)},
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s: %v, want %v within %v", what, got, want, tolerance)
	}
}

func TestLegWeighsByTimeAndLeavesOutWhatWasNotMeasured(t *testing.T) {
	l := leg{segments: []model.Segment{
		segment(model.DefaultAction(), 4, 50, 4),
		segment(model.DefaultAction(), 2, 20, 12),
		segment(model.DefaultAction(), math.NaN(), math.NaN(), 100),
	}}
	near(t, "quality", l.quality(), (4*4+2*12)/16.0, 0.03)
	near(t, "kbps", l.kbps(), (50*4+20*12)/16.0, 2)
	l.failed = true
	near(t, "quality of a failed leg", l.quality(), model.WorstMOS, 0)
}

func TestArm(t *testing.T) {
	other := model.DefaultAction()
	other.BitrateKbps = 16
	good, bad := segment(model.DefaultAction(), 4, 50, 12), segment(other, 2, 30, 8)
	legs := []leg{
		{call: 1, segments: []model.Segment{good}},
		{call: 1, segments: []model.Segment{good}},
		{call: 2, segments: []model.Segment{bad}},
		{call: 2, failed: true},
	}
	arm := armOf(legs)
	if arm.Legs != 4 || arm.Calls != 2 {
		t.Errorf("%d legs of %d calls, want 4 of 2", arm.Legs, arm.Calls)
	}
	near(t, "mean MOS", arm.MOS.Value, (4+4+2+1)/4.0, 0.03)
	near(t, "poor", arm.Poor.Value, 0.5, 0)
	if arm.Setting != model.DefaultAction().String() {
		t.Errorf("setting %q", arm.Setting)
	}
	near(t, "share", arm.Share, 24/32.0, 1e-9)
	if arm.MOS.Low < 1 || arm.MOS.High > 5 || arm.Kbps.Low < 0 {
		t.Errorf("intervals leave the scales: %+v %+v", arm.MOS, arm.Kbps)
	}
}

func TestCompareIsPairedByNetwork(t *testing.T) {
	arm := func(mos float64) []leg {
		var legs []leg
		for call := range uint32(8) {
			wobble := 0.1 * float64(call%2)
			legs = append(legs, leg{call: call, segments: []model.Segment{segment(model.DefaultAction(), mos+wobble, 40, 20)}})
		}
		return legs
	}
	before := map[string][]leg{"a": arm(3), "b": arm(2)}
	after := map[string][]leg{"a": arm(3.5), "b": arm(4)}
	near(t, "gain on a", compareArms("a", before["a"], after["a"]).Gain.Value, 0.5, 0.05)
	all := overall([]string{"a", "b"}, before, after)
	near(t, "gain overall", all.Gain.Value, 1.25, 0.05)
	if all.Gain.Low <= 0 || all.Gain.High >= 2.5 {
		t.Errorf("interval %v..%v is not about the gain", all.Gain.Low, all.Gain.High)
	}
	// A network without calls in one arm says nothing, and breaks nothing.
	none := compareArms("a", before["a"], nil)
	if none.After.Legs != 0 || none.After.Setting != "none" {
		t.Errorf("an empty arm: %+v", none.After)
	}
}

// Whatever was measured, the three outputs can be written: a network without calls, a leg without a quality.
func TestOutputs(t *testing.T) {
	s := Summary{
		Networks: []NetworkResult{
			compareArms("full", []leg{{call: 1, segments: []model.Segment{segment(model.DefaultAction(), 3, 40, 20)}}}, nil),
			compareArms("silent", []leg{{call: 2}}, []leg{{call: 3, failed: true}}),
		},
		Timeline: Timeline{Network: "full", Points: []Point{{Second: 0, Length: 4, MOS: 3, Kbps: 40}}, Change: 2},
		Verdict:  "hold",
	}
	s.Overall = overall(nil, nil, nil)
	dir := t.TempDir()
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.writePage(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back Summary
	if err := json.Unmarshal(text, &back); err != nil {
		t.Errorf("summary.json does not read back: %v", err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(page), "<svg"); n != 5 {
		t.Errorf("the page has %d plots, want 5", n)
	}
	var table strings.Builder
	if err := s.writeTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"full", "silent", "all"} {
		if !strings.Contains(table.String(), network) {
			t.Errorf("the table lacks %s:\n%s", network, table.String())
		}
	}
}

// A pulse beats as often as frames are sent, and tells a machine that cannot keep up from one that can.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pace Pace
		p := startPulse()
		time.Sleep(1010 * time.Millisecond)
		p.stop(&pace)
		if pace != (Pace{Beats: 50}) || pace.TooBusy() {
			t.Errorf("%+v in a second of a machine that is never late, want 50 beats", pace)
		}
	})
	if p := (Pace{Beats: 100, Late: 6}); !p.TooBusy() || !strings.Contains(p.String(), "too busy") {
		t.Errorf("%+v: %v", p, p)
	}
	if p := (Pace{Beats: 100, Late: 4}); p.TooBusy() || p.String() != "4.0 % of 20 ms ticks came more than 20 ms late" {
		t.Errorf("%+v: %v", p, p)
	}
	if p := (Pace{}); p.TooBusy() {
		t.Errorf("no calls: %v", p)
	}
}

func TestReportsAddUp(t *testing.T) {
	clients := func(created, acknowledged uint64) telemetry.Counts {
		return telemetry.Counts{Created: created, Acknowledged: acknowledged}
	}
	held := func(simulated, real, rejected, duplicates uint64) warehouse.Counts {
		return warehouse.Counts{
			Reports: simulated + real, Duplicates: duplicates,
			Rejected: map[telemetry.RejectReason]uint64{telemetry.RejectMalformed: rejected},
			Origins:  map[telemetry.Origin]uint64{telemetry.OriginSimulation: simulated, telemetry.OriginCall: real},
		}
	}
	for name, test := range map[string]struct {
		clients       telemetry.Counts
		before, after warehouse.Counts
		want          bool
	}{
		"all stored":             {clients(5, 5), held(10, 0, 0, 0), held(10, 5, 0, 0), true},
		"some rejected":          {clients(5, 5), held(9, 0, 1, 0), held(9, 4, 2, 0), true},
		"one not acknowledged":   {clients(6, 5), held(10, 0, 0, 0), held(10, 5, 0, 0), false},
		"one not stored":         {clients(5, 5), held(10, 0, 0, 0), held(10, 4, 0, 0), false},
		"one stored twice":       {clients(5, 5), held(10, 0, 0, 0), held(10, 5, 0, 1), false},
		"one for another's loss": {clients(5, 5), held(10, 0, 0, 0), held(9, 6, 0, 0), false},
	} {
		r := Reports{Simulated: Delivery{Sent: 10, Acknowledged: 10}}
		r.update(clients(0, 0), test.before)
		r.update(test.clients, test.after)
		if got := r.Exact(); got != test.want {
			t.Errorf("%s: %+v: %v", name, r, got)
		}
		if r.Sent != 10+test.clients.Created {
			t.Errorf("%s: %d sent", name, r.Sent)
		}
	}
}

func TestRoomForCalls(t *testing.T) {
	processors := runtime.GOMAXPROCS(0)
	for _, c := range []struct {
		cores float64 // that seven calls kept busy
		want  int
	}{
		{0.07, min(24*processors, 55*processors)},
		{0.35, 11 * processors},
		{7, 4}, // far too slow a machine
	} {
		used := time.Duration(c.cores * 25 * float64(time.Second))
		if got := roomFor(used, 25*time.Second, 7); got != max(c.want, 4) && got != max(c.want-1, 4) {
			t.Errorf("seven calls on %v cores: room for %d, want %d", c.cores, got, c.want)
		}
	}
	if got := roomFor(0, time.Second, 7); got != 12*processors {
		t.Errorf("where nothing is known: %d", got)
	}
	for parallel, want := range map[int]int{4: 8, 26: 22, 48: 41, 200: 48} {
		if got := callsFor(parallel, 20*time.Second, 7); got != want {
			t.Errorf("%d at once: %d on each network, want %d", parallel, got, want)
		}
	}
}
