package network_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/training/lab/network"
)

const traceDir = "testdata/traces"

func loadTrace(t testing.TB, name string) *network.Trace {
	t.Helper()
	trace, err := network.LoadTrace(filepath.Join(traceDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

func TestParseTraceRecognisesEachFormat(t *testing.T) {
	for _, test := range []struct {
		name     string
		duration time.Duration
		kbps     float64
		outage   time.Duration
	}{
		{"twelve-mbit.mahimahi", time.Millisecond, 12_000, time.Millisecond},
		{"outage.mahimahi", 80_994 * time.Millisecond, 40.74, 78_322 * time.Millisecond},
		{"steps.json", 40_370 * time.Millisecond, 739.4, 1_016 * time.Millisecond},
		{"fixed-line.txt", 150 * time.Second, 928.0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			trace := loadTrace(t, test.name)
			if trace.Name() != test.name || trace.Duration() != test.duration ||
				math.Abs(trace.MeanKbps()-test.kbps) > test.kbps/1000 || trace.LongestOutage() != test.outage {
				t.Errorf("%s: %v at %.2f kbit/s, longest outage %v; want %v, %.2f, %v", trace.Name(), trace.Duration(),
					trace.MeanKbps(), trace.LongestOutage(), test.duration, test.kbps, test.outage)
			}
		})
	}
}

func TestParseTraceRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"bad-empty":               "it is empty",
		"bad-blank":               "it is empty",
		"bad-negative.mahimahi":   "line 2: time -2 ms is negative",
		"bad-decreasing.mahimahi": "line 4: time goes back from 5 to 4 ms",
		"bad-word.mahimahi":       `line 3: "three" is not a whole number of milliseconds`,
		"bad-fraction.mahimahi":   `line 2: "2.5" is not a whole number of milliseconds`,
		"bad-instant.mahimahi":    "it lasts no time at all",
		"bad-huge.mahimahi":       "line 2: \"99999999999999999999\" ms is beyond",
		"bad-week.mahimahi":       "line 2: \"700000000\" ms is beyond",
		"bad-columns.txt":         `line 1: "0 1 2" is none of`,
		"bad-column-count.txt":    `line 2: "5 1 9" has 3 columns`,
		"bad-rate.txt":            `line 2: "fast" is not a number`,
		"bad-nan.txt":             `line 2: "NaN" is not a number`,
		"bad-negative-rate.txt":   "line 2: rate -1 Mbit/s is negative",
		"bad-time.txt":            "line 3: time 5 s does not follow 5 s",
		"bad-one-line.txt":        "line 1: one line does not tell how long it lasts",
		"bad-zero.txt":            "capacity is zero from beginning to end",
		"bad-zero.json":           "capacity is zero from beginning to end",
		"bad-key.json":            "line 2: entry 0: bandwidth_kbps is missing",
		"bad-missing.json":        "line 3: entry 1: bandwidth_kbps is missing",
		"bad-duration.json":       "line 1: entry 0: duration_ms is 0",
		"bad-negative.json":       "line 1: entry 0: bandwidth_kbps is -1",
		"bad-cut.json":            "line 2: unexpected EOF",
		"bad-tail.json":           "line 2: something follows the list",
		"bad-text.json":           `line 1: entry 0: duration_ms is "10", want a number`,
		"bad-none.json":           "it lasts no time at all",
		"bad-object.json":         "is none of",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := network.LoadTrace(filepath.Join(traceDir, name))
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want one that names %s and says %q", err, name, want)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(traceDir, "bad-*"))
	if err != nil || len(files) != 27 {
		t.Errorf("%d bad files, want the 27 of this test: %v", len(files), err)
	}
}

func TestParseTraceIsBounded(t *testing.T) {
	if _, err := network.ParseTrace(bytes.NewReader(make([]byte, network.MaxTraceBytes+1)), "long"); err == nil ||
		!strings.Contains(err.Error(), "longer than") {
		t.Errorf("error %v", err)
	}
	if _, err := network.LoadTrace(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("error %v, want one that says the file does not exist", err)
	}
}

func unwrapAll(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = inner.Unwrap()
	}
}

func FuzzParseTrace(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(traceDir, "*"))
	if err != nil || len(files) < 30 {
		f.Fatalf("%d seed files: %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := network.ParseTrace(bytes.NewReader(data), "fuzz")
		if err != nil {
			if trace != nil {
				t.Fatal("both a trace and an error")
			}
			return
		}
		if trace.Duration() <= 0 || !(trace.MeanKbps() > 0) || trace.LongestOutage() > trace.Duration() {
			t.Fatalf("accepted %v at %v kbit/s, outage %v", trace.Duration(), trace.MeanKbps(), trace.LongestOutage())
		}
		if trace.Duration() > time.Hour || trace.MeanKbps() < 1 {
			return // a packet may take very many passes
		}
		link := network.NewLink(network.Direction{Capacity: network.Capacity{Trace: trace}}, 1)
		var last time.Duration
		for i := range 20 {
			now := time.Duration(i) * 10 * time.Millisecond
			arrival, dropped := link.Send(now, 200, network.UDP)
			if dropped != network.Delivered || arrival < now || arrival < last {
				t.Fatalf("packet %d sent at %v arrives at %v (%v), the one before at %v", i, now, arrival, dropped, last)
			}
			last = arrival
		}
	})
}

// TestCallsBeginAnywhereInTheLongerTrace: of two traces of different lengths, the rest of the longer one counts too.
func TestCallsBeginAnywhereInTheLongerTrace(t *testing.T) {
	parse := func(text string) *network.Trace {
		trace, err := network.ParseTrace(strings.NewReader(text), "x")
		if err != nil {
			t.Fatal(err)
		}
		return trace
	}
	long, short := parse("0 1\n100 10\n200 1\n300 1\n"), parse("0 1\n50 1\n") // 400 s, 10 Mbit/s in the second quarter; 100 s
	p := &network.Profile{Up: network.Direction{Capacity: network.Capacity{Trace: long}}, Down: network.Direction{Capacity: network.Capacity{Trace: short}}}
	fast := 0
	const calls = 400
	for seed := range uint64(calls) {
		up, _ := p.Links(seed)
		if at, _ := up.Send(0, 1500, network.UDP); at < 2*time.Millisecond { // 1.2 ms at 10 Mbit/s, 12 at 1
			fast++
		}
	}
	if fast < calls/6 || fast > calls/3 {
		t.Errorf("%d of %d calls begin in the second quarter of the longer trace", fast, calls)
	}
}
