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

const recordingDir = "testdata/recordings"

func TestRecogniseGoesByContent(t *testing.T) {
	for file, want := range map[string]network.Format{
		"recordings/mask.txt":            network.FormatMask,
		"recordings/mask-clean.txt":      network.FormatMask,
		"recordings/mask-digits.txt":     network.FormatMask,
		"recordings/bad-mask.txt":        network.FormatMask,
		"recordings/bad-mask-two.txt":    network.FormatMask,
		"recordings/rtt.txt":             network.FormatSeries,
		"recordings/rtt-whole.txt":       network.FormatSeries,
		"recordings/bad-rtt-word.txt":    network.FormatSeries,
		"recordings/bad-prose.txt":       network.FormatUnknown,
		"recordings/bad-binary.dat":      network.FormatUnknown,
		"recordings/bad-object.json":     network.FormatUnknown,
		"traces/twelve-mbit.mahimahi":    network.FormatChances, // nothing but a 1
		"traces/outage.mahimahi":         network.FormatChances,
		"traces/bad-word.mahimahi":       network.FormatChances,
		"traces/bad-decreasing.mahimahi": network.FormatChances,
		"traces/fixed-line.txt":          network.FormatRates,
		"traces/bad-rate.txt":            network.FormatRates,
		"traces/steps.json":              network.FormatSteps,
		"../profiles/3g.json":            network.FormatProfile,
	} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := network.Recognise(data); got != want {
			t.Errorf("%s is taken for %v, want %v", file, got, want)
		}
	}
	// Constant rates as Mahimahi writes them, and masks of nothing but losses.
	if got := network.Recognise([]byte(strings.Repeat("1\n", 83))); got != network.FormatChances {
		t.Errorf("1 Gbit/s is taken for %v", got)
	}
	if got := network.Recognise([]byte(strings.Repeat("1\n", 500))); got != network.FormatMask {
		t.Errorf("ten seconds of loss are taken for %v", got)
	}
}

func TestLoadRecordingRefuses(t *testing.T) {
	wants := map[string]string{
		"bad-mask.txt":         `line 41: "x" is not 0 (received) or 1 (lost)`,
		"bad-mask-two.txt":     `line 41: "2" is not 0`,
		"bad-rtt-negative.txt": "line 21: round trip time -3 ms is negative",
		"bad-rtt-word.txt":     `line 21: "timeout" is not a number`,
		"bad-rtt-zero.txt":     "line 21: round trip time 0 ms is outside",
		"bad-prose.txt":        `line 1: "Once upon a time" begins none of`,
		"bad-empty.txt":        "it is empty",
		"bad-binary.dat":       "begins none of",
		"bad-object.json":      "begins none of",
	}
	for name, want := range wants {
		_, err := network.LoadRecording(filepath.Join(recordingDir, name))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that names %s and says %q", err, name, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(recordingDir, "bad-*"))
	if err != nil || len(files) != len(wants) {
		t.Errorf("%d bad files, want the %d of this test: %v", len(files), len(wants), err)
	}
}

func loadMask(t testing.TB) *network.Mask {
	t.Helper()
	mask, err := network.LoadMask(filepath.Join(recordingDir, "mask.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return mask
}

func TestMaskIsPlayedInOrder(t *testing.T) {
	mask := loadMask(t)
	pattern := mask.Lost()
	link := network.NewLink(network.Direction{Loss: network.Loss{Mask: mask}}, 3)
	var got []bool
	for i := range 2 * len(pattern) {
		_, dropped := link.Send(time.Duration(i)*network.LossStep, 100, network.UDP)
		got = append(got, dropped == network.DroppedLoss)
	}
	found := false
	for start := range pattern {
		same := true
		for i := 0; same && i < len(got); i++ {
			same = got[i] == pattern[(start+i)%len(pattern)]
		}
		found = found || same
	}
	if !found {
		t.Error("what was lost is no rotation of the mask")
	}
	if want := (network.Loss{Mask: mask}).Mean(); want != mask.Mean() || want <= 0 || want >= 1 {
		t.Errorf("mean %v and %v", want, mask.Mean())
	}
}

func TestSeriesIsHalfEachWay(t *testing.T) {
	series, err := network.LoadSeries(filepath.Join(recordingDir, "rtt.txt"))
	if err != nil {
		t.Fatal(err)
	}
	link := network.NewLink(network.Direction{Propagation: network.Propagation{Millis: 5, Series: series, SeriesIntervalMillis: 100}}, 3)
	values := series.Millis()
	var first float64
	for i := range len(values) { // far enough apart that nothing is held back
		now := time.Duration(i) * 100 * time.Millisecond
		arrival, _ := link.Send(now, 100, network.UDP)
		first += 2 * ((arrival-now).Seconds()*1000 - 5)
	}
	var want float64
	for _, v := range values {
		want += v
	}
	if math.Abs(first-want) > 0.01 {
		t.Errorf("round trips of a pass add up to %.3f ms, want %.3f", first, want)
	}
}

func TestProfileWithMaskAndSeriesFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"mask.txt", "rtt.txt"} {
		data, err := os.ReadFile(filepath.Join(recordingDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	profile := strings.Replace(valid, `{"p": 0.1, "r": 0.5, "good": 0, "bad": 1, "source"`, `{"mask": "mask.txt", "source"`, 1)
	profile = strings.Replace(profile, `{"millis": 10,`, `{"millis": 10, "series": "rtt.txt",`, 1)
	path := filepath.Join(dir, "lab.json")
	if err := os.WriteFile(path, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := network.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if p.Down.Loss.Mask == nil || p.Up.Propagation.Series == nil {
		t.Errorf("mask %v, series %v", p.Down.Loss.Mask, p.Up.Propagation.Series)
	}
	for _, spoil := range [][2]string{
		{`"mask": "mask.txt"`, `"mask": "none.txt"`},
		{`"mask": "mask.txt"`, `"mask": "mask.txt", "p": 0.5`},
		{`"series": "rtt.txt"`, `"series": "mask.txt"`},
	} {
		if err := os.WriteFile(path, []byte(strings.Replace(profile, spoil[0], spoil[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := network.Load(path); err == nil || !strings.Contains(err.Error(), "lab.json") {
			t.Errorf("%s: error %v", spoil[1], err)
		}
	}
	if _, err := network.ParseProfile([]byte(profile), "x"); err == nil || !strings.Contains(err.Error(), "was not read") {
		t.Errorf("without files: error %v", err)
	}
}

// TestLongOutageIsDefined says what an outage of 78 s does: the queue fills, what does not fit is dropped, what waits
// arrives when the outage ends, and nothing is lost otherwise.
func TestLongOutageIsDefined(t *testing.T) {
	trace := loadTrace(t, "outage.mahimahi").FromStart()
	const limit = 30_000
	link := network.NewLink(network.Direction{Capacity: network.Capacity{Trace: trace}, Queue: network.Queue{Bytes: limit}}, 1)
	waited, dropped := 0, 0
	end := 79_318 * time.Millisecond
	for now := 2 * time.Second; now < end; now += 20 * time.Millisecond {
		arrival, reason := link.Send(now, 100, network.UDP)
		switch {
		case reason == network.DroppedQueue:
			dropped++
		case reason == network.Delivered && arrival >= end:
			waited++
		default:
			t.Fatalf("at %v: %v, arrives at %v", now, reason, arrival)
		}
	}
	if waited != limit/100 || dropped != 3866-limit/100 {
		t.Errorf("%d waited, %d were dropped", waited, dropped)
	}
}

func FuzzRecognise(f *testing.F) {
	seeds := 0
	for _, pattern := range []string{recordingDir + "/*", traceDir + "/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
			seeds++
		}
	}
	if seeds < 40 {
		f.Fatalf("%d seeds", seeds)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		format := network.Recognise(data)
		mask, err := network.ParseMask(bytes.NewReader(data), "fuzz")
		if (mask == nil) == (err == nil) {
			t.Fatalf("mask %v with error %v", mask, err)
		}
		if mask != nil && (mask.Duration() <= 0 || mask.Mean() < 0 || mask.Mean() > 1) {
			t.Fatalf("mask of %v with mean %v", mask.Duration(), mask.Mean())
		}
		series, err := network.ParseSeries(bytes.NewReader(data), "fuzz")
		if (series == nil) == (err == nil) {
			t.Fatalf("series %v with error %v", series, err)
		}
		if series != nil {
			for _, v := range series.Millis() {
				if !(v > 0) {
					t.Fatalf("accepted %v ms", v)
				}
			}
		}
		if format.String() == "invalid" {
			t.Fatalf("format %d", format)
		}
	})
}
