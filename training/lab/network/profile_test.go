package network_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

func TestBuiltinProfiles(t *testing.T) {
	want := []string{"2g", "3g", "4g", "4g-udp-throttled", "ethernet", "satellite", "wifi"}
	if got := network.Builtin(); !slices.Equal(got, want) {
		t.Fatalf("builtin profiles %v, want %v", got, want)
	}
	for _, name := range want {
		t.Run(name, func(t *testing.T) {
			p, err := network.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != name || p.About == "" || p.Metered == model.MeteredUnknown || p.Reach == model.ReachUnknown {
				t.Errorf("incomplete: %+v", p)
			}
			if kind, _, _ := strings.Cut(name, "-"); p.Network.String() != kind {
				t.Errorf("network type %v, want %s", p.Network, kind)
			}
		})
	}
}

// TestProfilesAreTheRegimesTheyClaim sends the default call both ways and checks what the summary of each profile says.
func TestProfilesAreTheRegimesTheyClaim(t *testing.T) {
	const packets = 50 * 300
	wire := int(model.DefaultAction().BitrateKbps)*1000/8/50 + model.TransportDirect.OverheadBytes()
	for name, want := range map[string]struct{ lossLow, lossHigh, delayLow, delayHigh float64 }{ // percent, ms (mean)
		"ethernet":         {0, 0.2, 10, 20},
		"wifi":             {1.5, 3.5, 20, 40},
		"4g":               {0, 1, 50, 80},
		"3g":               {0.2, 8, 100, 900},
		"2g":               {5, 50, 900, 5000},
		"satellite":        {1, 3.5, 275, 320},
		"4g-udp-throttled": {80, 95, 50, 80},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := network.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			var arrived int
			var total time.Duration
			for seed := range uint64(4) {
				up, _ := p.Links(2 * seed)
				_, down := p.Links(2*seed + 1)
				for i := range packets / 4 {
					now := time.Duration(i) * 20 * time.Millisecond
					middle, dropped := up.Send(now, wire, network.UDP)
					if dropped != network.Delivered {
						continue
					}
					if arrival, dropped := down.Send(middle+4*time.Millisecond, wire, network.UDP); dropped == network.Delivered {
						arrived++
						total += arrival - now
					}
				}
			}
			loss := 100 * (1 - float64(arrived)/packets)
			delay := float64(total.Milliseconds()) / float64(arrived)
			t.Logf("loss %.2f %%, mean delay %.0f ms", loss, delay)
			if loss < want.lossLow || loss > want.lossHigh || delay < want.delayLow || delay > want.delayHigh {
				t.Errorf("loss %.2f %% and delay %.0f ms, want %+v", loss, delay, want)
			}
		})
	}
}

func TestLoadNamesTheChoices(t *testing.T) {
	_, err := network.Load("5g")
	if err == nil || !strings.Contains(err.Error(), "2g, 3g, 4g") {
		t.Errorf("error %v, want one that lists the profiles", err)
	}
}

// valid is a small profile; the tests below spoil it.
const valid = `{
  "name": "lab",
  "about": "for a test",
  "network": "wifi",
  "metered": "no",
  "reach": "udp",
  "up": {
    "capacity": {"kbps": 100, "source": "chosen"},
    "queue": {"bytes": 5000, "source": "chosen"},
    "propagation": {"millis": 10, "source": "chosen"}
  },
  "down": {
    "capacity": {"states": [{"kbps": 100, "meanDwellMillis": 50}, {"kbps": 0, "meanDwellMillis": 5}], "source": "chosen"},
    "queue": {"bytes": 5000, "source": "chosen"},
    "propagation": {"millis": 10, "source": "chosen"},
    "loss": {"p": 0.1, "r": 0.5, "good": 0, "bad": 1, "source": "chosen"},
    "policing": {"udp": {"rateKbps": 8, "burstBytes": 2000, "source": "chosen"}}
  }
}`

func TestParseProfileRefuses(t *testing.T) {
	if _, err := network.ParseProfile([]byte(valid), "valid"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, want string }{
		{`"about"`, `"abuot"`, `line 3: unknown key "abuot" in the top level`},
		{`"millis": 10`, `"milis": 10`, `line 10: unknown key "milis" in up.propagation`},
		{`"kbps": 0,`, `"kpbs": 0,`, `line 13: unknown key "kpbs" in down.capacity.states[1]`},
		{`"metered": "no"`, `"metered": "no", "metered": "yes"`, `line 5: key "metered" appears twice`},
		{`"network": "wifi"`, `"network": "5G!"`, `network type "5G!" is not one of`},
		{`"network": "wifi"`, `"network": "unknown"`, "network: want a known network type"},
		{`"kbps": 100,`, `"kbps": "fast",`, "line 8: field up.capacity.kbps: want float64, got a JSON string"},
		{`"kbps": 100,`, `"kbps": -1,`, "up.capacity.kbps is -1"},
		{`"kbps": 100,`, `"kbps": null,`, "line 8: field up.capacity.kbps is null"},
		{`"kbps": 100,`, `"states": [],`, "up.capacity: want exactly one of"},
		{`"kbps": 100,`, `"trace": "x.json",`, `up.capacity.trace "x.json" was not read`},
		{`"source": "chosen"`, `"source": " "`, "up.capacity.source is empty"},
		{`"bytes": 5000`, `"bytes": 100`, "up.queue.bytes is 100"},
		{`"meanDwellMillis": 50`, `"meanDwellMillis": 0`, "down.capacity.states[0].meanDwellMillis is 0"},
		{`"r": 0.5`, `"r": 0.95`, "down.loss.p + loss.r is 1.05"},
		{`"burstBytes": 2000`, `"burstBytes": 20`, "down.policing.udp.burstBytes is 20"},
		{`"name": "lab"`, `"name": "a b"`, `name "a b"`},
		{`{"millis": 10, "source": "chosen"}`, `7`, "line 10: field up.propagation"},
		{`{"millis": 10, "source": "chosen"}`, `[]`, "line 10: field up.propagation is a list"},
	} {
		spoiled := strings.Replace(valid, test.old, test.new, 1)
		_, err := network.ParseProfile([]byte(spoiled), "spoiled.json")
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "spoiled.json") {
			t.Errorf("%s: error %v, want one with %q", test.new, err, test.want)
		}
	}
	for data, want := range map[string]string{
		"": "line 1", valid[:100]: "line ", valid + "{}": "line 19: something follows", strings.Repeat(" ", network.MaxProfileBytes+1): "more than",
	} {
		if _, err := network.ParseProfile([]byte(data), "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: error %v, want one with %q", data, err, want)
		}
	}
}

// twoSites is a part of a profile, with everything a stretch may have and the least it needs.
const twoSites = `"paths": {
    "direct": {"propagation": {"millis": 30, "source": "chosen"}, "loss": {"p": 0.1, "r": 0.5, "good": 0, "bad": 1, "source": "chosen"}},
    "sites": [
      {"name": "near",
       "up": {"capacity": {"kbps": 50, "source": "chosen"}, "queue": {"bytes": 2000, "source": "chosen"}, "propagation": {"millis": 5, "source": "chosen"}},
       "down": {"propagation": {"millis": 5, "source": "chosen"}, "policing": {"udp": {"blocked": true, "source": "chosen"}}}},
      {"name": "far", "up": {"propagation": {"millis": 90, "source": "chosen"}}, "down": {"propagation": {"millis": 90, "source": "chosen"}}}
    ]
  }`

var validPaths = strings.Replace(valid, `"up": {`, twoSites+`, "up": {`, 1)

func TestParsePaths(t *testing.T) {
	p, err := network.ParseProfile([]byte(validPaths), "valid")
	if err != nil {
		t.Fatal(err)
	}
	if p.SiteCount() != 2 || p.Paths.Site(2).Name != "far" || p.Paths.Site(3) != nil || p.Paths.Site(0) != nil {
		t.Errorf("%d sites: %+v", p.SiteCount(), p.Paths.Sites)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := network.ParseProfile(text, "again")
	if err != nil {
		t.Fatalf("what was written is not read: %v", err)
	}
	if diff := cmp.Diff(p, again); diff != "" {
		t.Error(diff)
	}
	up, _ := p.Paths.Site(2).Links(1)
	if arrival, dropped := up.Send(time.Second, 100, network.UDP); dropped != network.Delivered || arrival != 1090*time.Millisecond {
		t.Errorf("to the far site: %v, %v", arrival, dropped)
	}
	plain, err := network.ParseProfile([]byte(valid), "plain")
	if err != nil {
		t.Fatal(err)
	}
	if there, back := plain.Paths.DirectLinks(1); there != nil || back != nil || plain.SiteCount() != 1 {
		t.Error("a profile that declares no paths has some")
	}
}

func TestParsePathsRefuses(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{`"sites": [`, `"stes": [`, `unknown key "stes" in paths`},
		{`"name": "far", "up"`, `"name": "far", "upp"`, `unknown key "upp" in paths.sites[1]`},
		{`"name": "far"`, `"name": "near"`, `paths.sites[1].name "near"`},
		{`"name": "far"`, `"name": ""`, `paths.sites[1].name ""`},
		{`"millis": 90, "source": "chosen"`, `"millis": -90, "source": ""`, "paths.sites[1].up.propagation.millis is -90"},
		{`"millis": 90, "source": "chosen"`, `"millis": -90, "source": ""`, "paths.sites[1].up.propagation.source is empty"},
		{`"kbps": 50,`, `"kbps": -50,`, "paths.sites[0].up.capacity.kbps is -50"},
		{`"capacity": {"kbps": 50, "source": "chosen"}, `, ``, "paths.sites[0].up: queue and crossTraffic mean nothing without a capacity"},
		{`"queue": {"bytes": 2000, "source": "chosen"}, `, ``, "paths.sites[0].up.queue.bytes is 0"},
		{`"millis": 30, "source": "chosen"}`, `"millis": 30, "source": "chosen", "series": "x.rtt"}`, `paths.direct.propagation.series "x.rtt" was not read`},
		{`"p": 0.1, "r": 0.5`, `"p": 0.1, "r": 5`, "paths.direct.loss.r is 5"},
		{`"sites": [`, `"sites": [` + strings.Repeat(`{"name": "x"},`, network.MaxSites), "paths.sites has 8 entries, want at most 6"},
	} {
		spoiled := strings.Replace(validPaths, test.old, test.new, 1)
		_, err := network.ParseProfile([]byte(spoiled), "spoiled.json")
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "spoiled.json") {
			t.Errorf("%s: error %v, want one with %q", test.new, err, test.want)
		}
	}
}

func TestProfileWithTraceFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lab.json")
	spoiled := strings.Replace(valid, `"kbps": 100,`, `"trace": "up.trace",`, 1)
	if err := os.WriteFile(path, []byte(spoiled), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := network.Load(path); err == nil || !strings.Contains(err.Error(), "up.trace") {
		t.Errorf("without the trace: error %v, want one that names it", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "up.trace"), []byte("5\n10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := network.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Up.Capacity.Trace.MeanKbps(); got != 2400 {
		t.Errorf("the trace carries %v kbit/s, want 2400", got)
	}
}

func TestWithTraceLeavesTheProfileAlone(t *testing.T) {
	p, err := network.Load("3g")
	if err != nil {
		t.Fatal(err)
	}
	trace := loadTrace(t, "steps.json")
	q := p.WithTrace(trace, nil)
	if q.Up.Capacity.Trace != trace || q.Down.Capacity.Trace != nil || len(q.Down.Capacity.States) != 3 {
		t.Errorf("capacities %+v and %+v", q.Up.Capacity, q.Down.Capacity)
	}
	if p.Up.Capacity.Trace != nil || len(p.Up.Capacity.States) != 3 {
		t.Error("the original profile has changed")
	}
	if err := q.Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzParseProfile(f *testing.F) {
	for _, name := range network.Builtin() {
		data, err := os.ReadFile(filepath.Join("profiles", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(valid))
	f.Add([]byte(validPaths))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := network.ParseProfile(data, "fuzz")
		if (p == nil) == (err == nil) {
			t.Fatalf("profile %v with error %v", p, err)
		}
		if err != nil {
			return
		}
		up, down := p.Links(1)
		links := []*network.Link{up, down}
		for i := range p.Paths.Sites {
			up, down := p.Paths.Sites[i].Links(1)
			links = append(links, up, down)
		}
		if there, back := p.Paths.DirectLinks(1); there != nil {
			links = append(links, there, back)
		}
		for _, link := range links {
			if arrival, dropped := link.Send(time.Second, 100, network.UDP); dropped == network.Delivered && arrival < time.Second {
				t.Fatalf("arrives at %v before it was sent", arrival)
			}
		}
	})
}

func ExampleLoad() {
	p, err := network.Load("2g")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Network, p.Up.Propagation.Duration(), p.Up.Capacity.States[0].Kbps)
	// Output: 2g 140ms 44.8
}
