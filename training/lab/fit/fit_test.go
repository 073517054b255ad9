package fit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/fit"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

// write makes a file of lines.
func write(t testing.TB, dir, name string, lines []string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// maskOf is what a link with a loss model does to packets every 20 ms.
func maskOf(loss network.Loss, seed uint64, packets int) []string {
	link := network.NewLink(network.Direction{Loss: loss}, seed)
	lines := make([]string, packets)
	for i := range lines {
		_, dropped := link.Send(time.Duration(i)*network.LossStep, 100, network.UDP)
		lines[i] = "0"
		if dropped != network.Delivered {
			lines[i] = "1"
		}
	}
	return lines
}

func measure(t testing.TB, p *network.Profile, part int, name string) network.Measure {
	t.Helper()
	for _, m := range p.Fit.Parts[part].Measures {
		if strings.HasPrefix(m.Name, name) {
			return m
		}
	}
	t.Fatalf("no measure %q in %+v", name, p.Fit.Parts[part].Measures)
	return network.Measure{}
}

// TestLossIsRecovered fits masks that a known model made, and expects its parameters back.
func TestLossIsRecovered(t *testing.T) {
	for name, want := range map[string]network.Loss{
		"Gilbert:":         {P: 0.03, R: 0.4, Bad: 1},
		"Gilbert-Elliott:": {P: 0.01, R: 0.08, Good: 0.01, Bad: 0.6},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var files []string
			for i := range 3 {
				files = append(files, write(t, dir, fmt.Sprintf("mask%d.txt", i), maskOf(want, uint64(i), 40_000)))
			}
			p, err := fit.Profile(files, fit.Options{Name: "lossy", Type: model.NetworkWiFi})
			if err != nil {
				t.Fatal(err)
			}
			got := p.Down.Loss
			for _, pair := range [][2]float64{{got.P, want.P}, {got.R, want.R}, {got.Bad, want.Bad}} {
				if math.Abs(pair[0]-pair[1]) > 0.12*pair[1] {
					t.Errorf("fitted %+v, want %+v", got, want)
				}
			}
			if math.Abs(got.Good-want.Good) > 0.003 || p.Up.Loss != (network.Loss{}) {
				t.Errorf("good %v, want %v; up %+v", got.Good, want.Good, p.Up.Loss)
			}
			if !strings.HasPrefix(p.Fit.Parts[0].Model, name) || p.Fit.Parts[0].HeldOut != 40_000 || !p.Fit.Files[1].HeldOut {
				t.Errorf("part %+v, files %+v", p.Fit.Parts[0], p.Fit.Files)
			}
			if m := measure(t, p, 0, "log-likelihood"); m.Model <= m.Other {
				t.Errorf("the model (%v) does not beat independent losses (%v)", m.Model, m.Other)
			}
			if m := measure(t, p, 0, "KS distance of loss runs"); m.Model > 0.03 {
				t.Errorf("KS distance %v of a model from its own losses", m.Model)
			}
		})
	}
}

func TestIndependentAndAlternatingLoss(t *testing.T) {
	dir := t.TempDir()
	lines := make([]string, 3000)
	for i := range lines {
		lines[i] = fmt.Sprint(i % 2)
	}
	p, err := fit.Profile([]string{write(t, dir, "alternating.txt", lines)}, fit.Options{Name: "x", Type: model.Network3G})
	if err != nil {
		t.Fatal(err)
	}
	if l := p.Down.Loss; math.Abs(l.Mean()-0.5) > 0.01 || l.P+l.R > 1 {
		t.Errorf("alternating: %+v with mean %v", l, l.Mean())
	}
	clean := make([]string, 200)
	for i := range clean {
		clean[i] = "0"
	}
	p, err = fit.Profile([]string{write(t, dir, "clean.txt", clean)}, fit.Options{Name: "x", Type: model.Network3G})
	if err != nil || p.Down.Loss != (network.Loss{}) {
		t.Errorf("clean: %+v, %v", p.Down.Loss, err)
	}
}

// TestCapacityIsRecovered fits traces that a known chain made.
func TestCapacityIsRecovered(t *testing.T) {
	dir := t.TempDir()
	states := []network.State{{Kbps: 40, MeanDwellMillis: 10_000}, {Kbps: 2000, MeanDwellMillis: 30_000}}
	var files []string
	for i := range 3 {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		var lines []string
		state, left := 1, 30.0
		for second := range 4000 {
			if left--; left < 0 {
				state = 1 - state
				left = random.ExpFloat64() * states[state].MeanDwellMillis / 1000
			}
			lines = append(lines, fmt.Sprintf("%d %.4f", second, states[state].Kbps/1000*(0.9+0.2*random.Float64())))
		}
		files = append(files, write(t, dir, fmt.Sprintf("lte%d.down", i), lines))
	}
	p, err := fit.Profile(files, fit.Options{Name: "lte", Source: "made up"})
	if err != nil {
		t.Fatal(err)
	}
	got := p.Down.Capacity.States
	if p.Network != model.Network4G || len(got) != 2 || p.Up.Capacity.Trace != nil {
		t.Fatalf("%v with %+v", p.Network, got)
	}
	for i := range got {
		if math.Abs(got[i].Kbps-states[i].Kbps) > 0.05*states[i].Kbps ||
			math.Abs(got[i].MeanDwellMillis-states[i].MeanDwellMillis) > 0.3*states[i].MeanDwellMillis {
			t.Errorf("state %d is %+v, want %+v", i, got[i], states[i])
		}
	}
	if !strings.Contains(p.Down.Capacity.Source, "made up") {
		t.Errorf("source %q", p.Down.Capacity.Source)
	}
	if m := measure(t, p, 0, "log-likelihood"); m.Model <= m.Other {
		t.Errorf("the chain (%v) does not beat independent classes (%v)", m.Model, m.Other)
	}
}

// saturated is what a link with a capacity carries of packets that never run out: the millisecond of each 1500 bytes, or
// with fine the Mbit/s of each 200 ms.
func saturated(p *network.Profile, seed uint64, length time.Duration, fine bool) []string {
	var lines []string
	link, _ := p.Links(seed)
	const step = 200 * time.Millisecond
	sums := make([]float64, length/step)
	bytes := 1500
	if fine {
		bytes = 15_000
	}
	for now := time.Duration(0); ; {
		at, _ := link.Send(now, bytes, network.UDP)
		if at >= length {
			break
		}
		lines = append(lines, fmt.Sprint(at.Milliseconds()))
		sums[at/step] += float64(bytes) * 8e-6 / step.Seconds()
		now = at
	}
	if fine {
		lines = nil
		for i, v := range sums {
			lines = append(lines, fmt.Sprintf("%.1f %.4f", float64(i)*step.Seconds(), v))
		}
	}
	return lines
}

// TestCapacityComesBack records what every committed chain, and some that are hard to tell, carries, fits that, and
// expects a capacity that varies as the recordings do.
func TestCapacityComesBack(t *testing.T) {
	of := func(states ...network.State) network.Capacity { return network.Capacity{States: states} }
	cases := map[string]network.Capacity{
		"outages":         of(network.State{Kbps: 0, MeanDwellMillis: 4000}, network.State{Kbps: 3000, MeanDwellMillis: 30_000}),
		"unequal stays":   of(network.State{Kbps: 50, MeanDwellMillis: 20_000}, network.State{Kbps: 500, MeanDwellMillis: 2000}, network.State{Kbps: 5000, MeanDwellMillis: 5000}),
		"within a second": of(network.State{Kbps: 100, MeanDwellMillis: 300}, network.State{Kbps: 3000, MeanDwellMillis: 700}),
	}
	seen := make(map[string]bool) // networks share some
	for _, n := range suite.Builtin().Networks {
		for way, d := range map[string]*network.Direction{"up": &n.Profile.Up, "down": &n.Profile.Down} {
			longest := 0.0
			for _, state := range d.Capacity.States {
				longest = max(longest, state.MeanDwellMillis)
			}
			// Stays of minutes are too few in what is recorded here.
			if key := fmt.Sprint(d.Capacity.States); longest > 0 && longest < 60_000 && !seen[key] {
				seen[key] = true
				cases[n.Name+" "+way] = d.Capacity
			}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var files []string
			truth := &network.Profile{Up: network.Direction{Capacity: c}}
			fine := c.MeanKbps() > 2500
			for i := range 3 {
				files = append(files, write(t, dir, fmt.Sprintf("x%d.down", i), saturated(truth, uint64(i), 20*time.Minute, fine)))
			}
			p, err := fit.Profile(files, fit.Options{Name: "again", Type: model.Network4G})
			if err != nil {
				t.Fatal(err)
			}
			got := p.Down.Capacity
			t.Logf("%v from %v", got.States, c.States)
			if m := measure(t, p, 0, "log-likelihood"); !(m.Model > m.Other) {
				t.Errorf("the chain (%v) does not beat independent draws (%v)", m.Model, m.Other)
			}
			if got, want := got.MeanKbps(), c.MeanKbps(); math.Abs(got-want) > 0.12*want {
				t.Errorf("mean %.4g, want %.4g", got, want)
			}
			if m := measure(t, p, 0, "correlation"); math.Abs(m.Model-m.Other) > 0.25 {
				t.Errorf("correlation with the step before %v, %v held out", m.Model, m.Other)
			}
			for _, m := range p.Fit.Parts[0].Measures {
				if strings.HasPrefix(m.Name, "share of steps") && math.Abs(m.Model-m.Other) > 0.12 {
					t.Errorf("%s: %v, %v held out", m.Name, m.Model, m.Other)
				}
			}
		})
	}
}

// TestCapacityWithoutMemoryIsRefused: a rate that is drawn anew each second is no chain.
func TestCapacityWithoutMemoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(5, 6))
	var files []string
	for i := range 3 {
		var lines []string
		for second := range 3000 {
			lines = append(lines, fmt.Sprintf("%d %v", second, []float64{0.1, 2}[random.IntN(2)]))
		}
		files = append(files, write(t, dir, fmt.Sprintf("lte%d.down", i), lines))
	}
	if _, err := fit.Profile(files, fit.Options{Name: "x"}); err == nil || !strings.Contains(err.Error(), "no chain of two or three rates") {
		t.Errorf("error %v", err)
	}
}

func TestCapacityThatHardlyVariesIsConstant(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i := range 3 {
		truth := &network.Profile{Up: network.Direction{Capacity: network.Capacity{Kbps: 300}}}
		files = append(files, write(t, dir, fmt.Sprintf("lte%d.down", i), saturated(truth, uint64(i), 5*time.Minute, false)))
	}
	p, err := fit.Profile(files, fit.Options{Name: "x"})
	if err != nil || math.Abs(p.Down.Capacity.Kbps-300) > 1 || p.Down.Capacity.States != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestLongOutageIsAnEvent: one of 78 s among those of some seconds is no stay in a state.
func TestLongOutageIsAnEvent(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	var lines []string
	rate, left := 2.0, 10.0
	for second := range 1000 {
		if left--; left < 0 {
			rate, left = 2-rate, random.ExpFloat64()*[]float64{20, 2}[int(rate/2)]
		}
		v := rate
		if second >= 700 && second < 778 {
			v = 0
		}
		lines = append(lines, fmt.Sprintf("%d %v", second, v))
	}
	p, err := fit.Profile([]string{write(t, t.TempDir(), "lte.down", lines)}, fit.Options{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if o := p.Events.Outages; o.MeanMillis < 75_000 || o.MeanMillis > 85_000 || o.EveryMillis < 900_000 || o.Source == "" {
		t.Errorf("outages %+v", o)
	}
	if low := p.Down.Capacity.States[0]; low.Kbps > 10 || low.MeanDwellMillis > 5000 {
		t.Errorf("states %+v", p.Down.Capacity.States)
	}
	if m := measure(t, p, 0, "longest time"); m.Model < 30 || m.Other < 78 {
		t.Errorf("%+v", m)
	}
}

// TestDelayIsRecovered fits round trips of two known log-normal ways.
func TestDelayIsRecovered(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var lines []string
	way := func() float64 { return 8 * math.Exp(0.5*random.NormFloat64()) }
	for range 20_000 {
		lines = append(lines, fmt.Sprintf("%.3f", 60+way()+way()))
	}
	p, err := fit.Profile([]string{write(t, t.TempDir(), "pings.txt", lines)}, fit.Options{Name: "far", Type: model.NetworkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	// The sum of two log-normals is nearly, not quite, one; so are the parameters.
	if d := p.Down; math.Abs(d.Propagation.Millis-30) > 3 || math.Abs(d.Jitter.Millis-8) > 2.5 || math.Abs(d.Jitter.Spread-0.5) > 0.15 {
		t.Errorf("propagation %v, jitter %+v", d.Propagation.Millis, d.Jitter)
	}
	if m := measure(t, p, 0, "KS distance"); m.Model > 0.05 {
		t.Errorf("KS distance %v", m.Model)
	}
	if m := measure(t, p, 0, "log-likelihood"); m.Model <= m.Other {
		t.Errorf("log-normal (%v) does not beat normal (%v)", m.Model, m.Other)
	}
}

func TestProfileIsRefused(t *testing.T) {
	dir := t.TempDir()
	few := write(t, dir, "few.txt", []string{"0", "1", "0", "0"})
	flat := make([]string, 100)
	for i := range flat {
		flat[i] = "20.0"
	}
	same := write(t, dir, "same.txt", flat)
	bad := write(t, dir, "bad.txt", []string{"5", "x", "9"})
	for _, test := range []struct {
		files []string
		o     fit.Options
		want  string
	}{
		{nil, fit.Options{Name: "x", Type: model.Network4G}, "no files"},
		{[]string{few}, fit.Options{Name: "x", Type: model.Network4G}, "2 packets to fit to, want at least 100"},
		{[]string{same}, fit.Options{Name: "x", Type: model.Network4G}, "hardly differ"},
		{[]string{bad}, fit.Options{Name: "x", Type: model.Network4G}, `line 2: "x"`},
		{[]string{few}, fit.Options{Name: "x"}, "--type"},
		{[]string{filepath.Join(dir, "none")}, fit.Options{Name: "x"}, "no such file"},
		{[]string{write(t, dir, "ok.txt", maskOf(network.Loss{P: 0.1, R: 0.5, Bad: 1}, 1, 1000))}, fit.Options{Name: "a b", Type: model.Network4G}, `name "a b"`},
	} {
		if _, err := fit.Profile(test.files, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.files, err, test.want)
		}
	}
}

// TestMeasuredZeroIsWritten: a figure of 0 to compare with is a figure, and figures are as short as they are round.
func TestMeasuredZeroIsWritten(t *testing.T) {
	alternating := make([]string, 3001)
	for i := range alternating {
		alternating[i] = fmt.Sprint(i % 2)
	}
	clean := make([]string, 300)
	for i := range clean {
		clean[i] = "0"
	}
	for name, lines := range map[string][]string{"alternating": alternating, "clean": clean} {
		p, err := fit.Profile([]string{write(t, t.TempDir(), name+".txt", lines)}, fit.Options{Name: "x", Type: model.Network3G})
		if err != nil {
			t.Fatal(err)
		}
		data, err := fit.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if name == "clean" && !strings.Contains(string(data), `"other": 0`) {
			t.Errorf("the share of losses held out, 0, is not in\n%s", data)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, "000000") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

func TestMarshalIsWhatLoadReads(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i := range 20 { // many files are one entry
		files = append(files, write(t, dir, fmt.Sprintf("mask%02d.txt", i), maskOf(network.Loss{P: 0.05, R: 0.5, Bad: 1}, uint64(i), 500)))
	}
	p, err := fit.Profile(files, fit.Options{Name: "many", Type: model.NetworkWiFi})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Fit.Files) != 2 || p.Fit.Files[0].Count+p.Fit.Files[1].Count != 20 {
		t.Errorf("files %+v", p.Fit.Files)
	}
	data, err := fit.Marshal(p)
	if err != nil || len(data) > 8<<10 {
		t.Fatalf("%d bytes: %v", len(data), err)
	}
	again, err := network.ParseProfile(data, "again")
	if err != nil {
		t.Fatal(err)
	}
	twice, err := fit.Marshal(again)
	if err != nil || string(twice) != string(data) {
		t.Errorf("read and written again, the profile differs: %v", err)
	}
}

func ExampleProfile() {
	dir, err := os.MkdirTemp("", "fit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	path := filepath.Join(dir, "office-wifi.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("0\n0\n0\n0\n0\n0\n0\n1\n1\n0\n", 100)), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	p, err := fit.Profile([]string{path}, fit.Options{Name: "office"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v, %.0f %% lost, runs of %.0f\n", p.Network, 100*p.Down.Loss.Mean(), 1/p.Down.Loss.R)
	// Output: wifi, 20 % lost, runs of 2
}
