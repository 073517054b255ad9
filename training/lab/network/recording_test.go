package network_test

import (
	"bytes"
	"fmt"
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

// lines are n lines that each number makes.
func lines(n int, line func(i int) string) string {
	var all strings.Builder
	for i := range n {
		all.WriteString(line(i) + "\n")
	}
	return all.String()
}

// wandering is like round trip times: never far below the usual, sometimes far above it.
func wandering(i int) float64 { return 45 + float64(i*7919%13) + float64(60*(i%29/28)) }

// losses is a mask that begins without a loss.
func losses(i int) int { return i % 17 / 15 }

// TestLoadRecordingTakes says what files are taken for that are written a little differently from the public sets.
func TestLoadRecordingTakes(t *testing.T) {
	const steps = `{"duration_ms": 1000, "bandwidth_kbps": 300, "latency_ms": 50}`
	digits := func(n int, between string) string {
		return strings.TrimSuffix(strings.ReplaceAll(lines(n, func(i int) string { return fmt.Sprint(losses(i)) }), "\n", between), between)
	}
	rates := func(line string) string {
		return lines(20, func(i int) string { return fmt.Sprintf(line, 0.5*float64(i), 1.5+float64(i%3)) })
	}
	rtt := func(line string, scale float64) string {
		return lines(200, func(i int) string { return fmt.Sprintf(line, wandering(i)*scale) })
	}
	const mask, trace, series = 4 * time.Second, 10 * time.Second, 50 * time.Millisecond
	for _, c := range []struct {
		name, content string
		format        network.Format
		want          time.Duration // of the mask or trace, or about the mean round trip
		taken         string
	}{
		{"long.txt", digits(200, ""), network.FormatMask, mask, "20 ms"},
		{"very-long.txt", digits(2000, ""), network.FormatMask, 10 * mask, "20 ms"},
		{"blanks.txt", digits(200, " "), network.FormatMask, mask, "20 ms"},
		{"commas.csv", digits(200, ","), network.FormatMask, mask, "20 ms"},
		{"list.json", "[" + digits(200, ", ") + "]", network.FormatMask, mask, "20 ms"},
		{"comment.txt", "# 1 = lost\n" + digits(200, "\n"), network.FormatMask, mask, "20 ms"},
		{"header.txt", "lost\n" + digits(200, "\n"), network.FormatMask, mask, "20 ms"},
		{"floats.txt", digits(200, ".0\n") + ".0", network.FormatMask, mask, "20 ms"},
		{"windows.txt", "\ufeff" + digits(200, "\r\n"), network.FormatMask, mask, "20 ms"},

		{"plain.txt", rates("%v %v"), network.FormatRates, trace, "Mbit/s"},
		{"comma.csv", rates("%v,%v"), network.FormatRates, trace, "Mbit/s"},
		{"semicolon.csv", rates("%v;%v"), network.FormatRates, trace, "Mbit/s"},
		{"units.txt", rates("%vs %vMbps"), network.FormatRates, trace, "Mbit/s"},
		{"comment.txt", "# seconds Mbps\n" + rates("%v\t%v"), network.FormatRates, trace, "Mbit/s"},
		{"header.csv", "time_s,mbps\n" + rates("%v,%v"), network.FormatRates, trace, "time_s and mbps"},
		{"millis.csv", "timestamp_ms,loss,throughput_kbps\n" + lines(20, func(i int) string { return fmt.Sprintf("%d,0,1500", 500*i) }), network.FormatRates, trace, "throughput_kbps"},
		{"pairs.json", "[[0, 1.5], [1, 2], [2, 0.4]]", network.FormatRates, 3 * time.Second, "Mbit/s"},

		{"steps.json", "[" + steps + "," + steps + "]", network.FormatSteps, 2 * time.Second, "JSON"},
		{"mark.json", "\ufeff[" + steps + "]", network.FormatSteps, time.Second, "JSON"},
		{"lines.json", steps + "\n" + steps + "\n" + steps, network.FormatSteps, 3 * time.Second, "JSON"},
		{"within.json", `{"name": "bus", "trace": [` + steps + "]}", network.FormatSteps, time.Second, "JSON"},
		{"more.json", `[{"duration_ms": 1000, "bandwidth_kbps": 300, "loss": 0.1, "buffer": [1]}]`, network.FormatSteps, time.Second, "JSON"},
		{"camel.json", `[{"durationMs": 1000, "bandwidthKbps": 300}]`, network.FormatSteps, time.Second, "JSON"},
		{"other-units.json", `[{"duration": 1.5, "bandwidth_mbps": 3}]`, network.FormatSteps, 1500 * time.Millisecond, "JSON"},
		{"times.json", `[{"time": 0, "throughput_mbps": 3}, {"time": 2, "throughput_mbps": 1}]`, network.FormatSteps, 4 * time.Second, "JSON"},

		{"mark.up", "\ufeff5\n9\n17\n", network.FormatChances, 17 * time.Millisecond, "Mahimahi"},
		{"epoch.down", "1400000000000\n1400000000005\n1400000000040\n", network.FormatChances, 40 * time.Millisecond, "Mahimahi"},
		{"late.up", lines(100, func(i int) string { return fmt.Sprint(900 + 10*i) }), network.FormatChances, 1890 * time.Millisecond, "Mahimahi"},

		{"x.txt", rtt("%v", 1), network.FormatSeries, series, "ms"},
		{"constant.txt", lines(200, func(int) string { return "40" }), network.FormatSeries, 40 * time.Millisecond, "near 0"},
		{"sorted.txt", lines(200, func(i int) string { return fmt.Sprint(19 + i/4) }), network.FormatSeries, 43 * time.Millisecond, "near 0"},
		{"seconds.txt", rtt("%.4f", 0.001), network.FormatSeries, series, "seconds, as"},
		{"exponents.txt", rtt("%.3e", 1), network.FormatSeries, series, "ms"},
		{"sequence.txt", lines(200, func(i int) string { return fmt.Sprintf("%d %v", i, wandering(i)+0.5) }), network.FormatSeries, series, "numbers of lines"},
		{"units.txt", rtt("%v ms", 1), network.FormatSeries, series, "ms"},
		{"glued.txt", rtt("%vms", 1), network.FormatSeries, series, "ms"},
		{"header.txt", "rtt_ms\n" + rtt("%v", 1), network.FormatSeries, series, "ms"},
		{"columns.csv", "seq,rtt_s\n" + rtt("1,%.4f", 0.001), network.FormatSeries, series, "rtt_s"},
		{"lost.txt", "*\n" + rtt("%v", 1) + "*\n", network.FormatSeries, series, "ms"},
		{
			"ping.txt", "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.\n" + rtt("64 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=%.1f ms", 1) +
				"no answer yet for icmp_seq=201\n\n--- 192.0.2.1 ping statistics ---\n201 packets transmitted, 200 received\n",
			network.FormatSeries, series, "ping",
		},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := network.LoadRecording(path)
		if err != nil {
			t.Errorf("%s, %v: %v", c.name, c.format, err)
			continue
		}
		var got, off time.Duration
		switch {
		case r.Mask != nil:
			got = r.Mask.Duration()
			for i, lost := range r.Mask.Lost() {
				if lost != (losses(i) == 1) {
					t.Fatalf("%s: packet %d lost: %v", c.name, i, lost)
				}
			}
		case r.Trace != nil:
			got = r.Trace.Duration()
		case r.Series != nil:
			got, off = r.Series.Mean(), 4*time.Millisecond
		}
		if r.Format != c.format || c.want > 0 && (got-c.want).Abs() > off || !strings.Contains(r.Taken, c.taken) {
			t.Errorf("%s: %v of %v, taken for %s; want %v of %v, %q", c.name, r.Format, got, r.Taken, c.format, c.want, c.taken)
		}
	}
}

// TestNoRecording: what is plainly something else is no recording.
func TestNoRecording(t *testing.T) {
	for name, content := range map[string]string{
		"prices.csv": "item,price\nbread,1\nmilk,2\n", "ages.csv": "name,age,height\n1,2,3\n4,5,6\n", "three.txt": lines(20, func(i int) string { return fmt.Sprintf("%d 1.5 7", i) }),
		"config.yml": "a: 1\nb: 2\n", "data.json": `{"people": [1, 2]}`, "image.png": "\x89PNG\r\n\x1a\n\x00\x00", "words.txt": "one\ntwo\nthree\n",
	} {
		if got := network.Recognise([]byte(content)); got != network.FormatUnknown {
			t.Errorf("%s is taken for %v", name, got)
		}
	}
}

func TestLoadRecordingRefuses(t *testing.T) {
	wants := map[string]string{
		"bad-mask.txt":            `line 41: "x" is not 0 (received) or 1 (lost)`,
		"bad-mask-two.txt":        `line 41: "2" is not 0`,
		"bad-rtt-negative.txt":    "line 21: round trip time -3 ms is negative",
		"bad-rtt-word.txt":        `line 21: "timeout" is not a number`,
		"bad-rtt-zero.txt":        "line 21: round trip time 0 ms is outside",
		"bad-matrix-ragged.txt":   "line 2: times to 2 hosts, want 3",
		"bad-matrix-lines.txt":    "2 lines of times to 3 hosts",
		"bad-matrix-word.txt":     `line 2: "lost" is not a number of seconds`,
		"bad-matrix-negative.txt": "line 2: round trip time -1 s is negative",
		"bad-matrix-missing.txt":  "every time is missing",
		"bad-prose.txt":           `line 1: "Once upon a time" begins none of`,
		"bad-empty.txt":           "it is empty",
		"bad-binary.dat":          "begins none of",
		"bad-object.json":         "begins none of",
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

// TestMatrixIsDistances: each side of a call keeps one distance, half of a round trip of the matrix, the same both ways.
func TestMatrixIsDistances(t *testing.T) {
	series, err := network.LoadSeries(filepath.Join(recordingDir, "matrix.txt"))
	if err != nil || !series.Lasting() || len(series.Millis()) != 10 {
		t.Fatalf("%+v, %v", series, err)
	}
	d := network.Direction{Propagation: network.Propagation{Series: series}}
	p := &network.Profile{Up: d, Down: d}
	seen := make(map[time.Duration]bool)
	for seed := range uint64(100) {
		up, down := p.Links(seed)
		for now := time.Duration(0); now < time.Hour; now += 10 * time.Minute {
			there, _ := up.Send(now, 100, network.UDP)
			back, _ := down.Send(now, 100, network.UDP)
			if there != back {
				t.Fatalf("%v there, %v back", there-now, back-now)
			}
			seen[there-now] = true
		}
	}
	for _, seconds := range []float64{0.1, 0.02, 0.3, 0.04, 0.2} {
		if quarter := time.Duration(seconds / 4 * float64(time.Second)); !seen[quarter] {
			t.Errorf("no link with %v; %v", quarter, seen)
		}
	}
	if len(seen) != 5 {
		t.Errorf("%v", seen)
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
		matrix, err := network.ParseMatrix(bytes.NewReader(data), "fuzz")
		if (matrix == nil) == (err == nil) {
			t.Fatalf("matrix %v with error %v", matrix, err)
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
