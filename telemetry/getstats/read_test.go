package getstats_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
)

func read(t testing.TB, dump string) ([]telemetry.Report, getstats.Summary, error) {
	t.Helper()
	var reports []telemetry.Report
	summary, err := getstats.Read(strings.NewReader(dump), getstats.Config{
		Quality: codec.Measured{}, Context: model.Context{Region: 77, Network: model.Network4G, Metered: model.MeteredNo}, Key: []byte("a key"),
	}, func(r *telemetry.Report) error {
		if err := r.Validate(); err != nil {
			t.Errorf("report is not valid: %v", err)
		}
		reports = append(reports, *r)
		return nil
	})
	return reports, summary, err
}

func mustRead(t testing.TB, dump string) []telemetry.Report {
	t.Helper()
	reports, _, err := read(t, dump)
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// heard and sent are the two audio streams of a recorded call.
func directions(t testing.TB, reports []telemetry.Report) (heard, sent telemetry.Report) {
	t.Helper()
	if len(reports) != 2 {
		t.Fatalf("%d reports, want one of each direction", len(reports))
	}
	heard, sent = reports[0], reports[1]
	if heard.Segments[0].Outcome.Concealed == 0 {
		heard, sent = sent, heard
	}
	return heard, sent
}

func TestStreamsBecomeReports(t *testing.T) {
	heard, sent := directions(t, mustRead(t, call(121).internals()))
	if want := telemetry.HourOf(started); heard.Hour != want || heard.Origin != telemetry.OriginImport {
		t.Errorf("hour %d origin %v, want %d import", heard.Hour, heard.Origin, want)
	}
	want := model.Context{Network: model.NetworkWiFi, Region: 77, Metered: model.MeteredNo}
	if heard.Context != want {
		t.Errorf("context %+v, want %+v: what the dump says goes before what the caller says", heard.Context, want)
	}
	if n := len(heard.Segments); n != 30 {
		t.Fatalf("%d segments of 4 s, want 30", n)
	}
	action := model.Action{Codec: model.CodecOpus, BitrateKbps: 24, Bandwidth: model.BandwidthFull, FrameMillis: 20, Transport: model.TransportDirect}
	for i, s := range heard.Segments {
		wanted := action
		if i > 15 { // packets were lost in the segment before
			wanted.ExpectedLoss = 10
		}
		if s.Action != wanted || s.Propensity != model.PropensityScale || s.Explored || s.Seconds != 4 {
			t.Errorf("segment %d: %v with propensity %d", i, s.Action, s.Propensity)
		}
	}
	last := heard.Segments[29]
	for name, check := range map[string]struct {
		scale  *model.Scale
		bucket model.Bucket
		want   float64
	}{
		"loss before":         {model.ScaleOutcomeLoss, last.Outcome.LossBefore, 0.02},
		"concealed":           {model.ScaleOutcomeLoss, last.Outcome.Concealed, 0.01},
		"loss after":          {model.ScaleOutcomeLoss, last.Outcome.LossAfter, 0.01},
		"round trip":          {model.ScaleDelay, last.Outcome.RoundTripTime, 80},
		"jitter buffer":       {model.ScaleDelay, last.Outcome.JitterBufferDelay, 60},
		"rate, headers too":   {model.ScaleRate, last.Outcome.Rate, 49 * (60 + 50) * 8 / 1000.},
		"loss as decided on":  {model.ScaleLoss, last.Context.Loss, 0.02},
		"jitter as decided":   {model.ScaleJitter, last.Context.Jitter, 4},
		"round trip, decided": {model.ScaleRoundTripTime, last.Context.RoundTripTime, 80},
	} {
		if want := check.scale.Bucket(check.want); check.bucket != want {
			t.Errorf("%s: bucket %d, want %d for %v", name, check.bucket, want, check.want)
		}
	}
	if first := model.ScaleMOS.Value(heard.Segments[0].Outcome.MOS); first < 4 || model.ScaleMOS.Value(last.Outcome.MOS) >= first {
		t.Errorf("MOS %v without loss, %v with", first, model.ScaleMOS.Value(last.Outcome.MOS))
	}

	if a := sent.Segments[0].Action; a.BitrateKbps != 32 {
		t.Errorf("sent at %v, targetBitrate says 32 kbps", a)
	}
	if got, want := sent.Segments[9].Context.Bandwidth, model.ScaleBandwidth.Bucket(300); got != want {
		t.Errorf("bandwidth bucket %d, want %d", got, want)
	}
	if got, want := sent.Segments[29].Outcome.LossBefore, model.ScaleOutcomeLoss.Bucket(1./200); got != want {
		t.Errorf("loss bucket %d of what receiver reports say, want %d", got, want)
	}
}

// All formats of one call say the same.
func TestFormatsAgree(t *testing.T) {
	heard, sent := directions(t, mustRead(t, call(90).internals()))
	for name, dump := range map[string]string{
		"rtcstats 2": call(90).rtcstats(2),
		"rtcstats 3": call(90).rtcstats(3),
		"gzip":       compress(call(90).internals()),
	} {
		gotHeard, gotSent := directions(t, mustRead(t, dump))
		if diff := cmp.Diff(heard, gotHeard); diff != "" {
			t.Errorf("%s, heard (-internals +%s):\n%s", name, name, diff)
		}
		if diff := cmp.Diff(sent, gotSent); diff != "" {
			t.Errorf("%s, sent (-internals +%s):\n%s", name, name, diff)
		}
	}
}

func compress(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// Without timestamps and types, as Chrome wrote dumps before version 93.
func TestOldDump(t *testing.T) {
	dump := call(60).internals()
	for _, name := range [][2]string{
		{"IT01A", "RTCInboundRTPAudioStream_1"}, {"CP1", "RTCIceCandidatePair_1"}, {"T01", "RTCTransport_1"}, {"CIT_111", "RTCCodec_1"},
	} {
		dump = strings.ReplaceAll(dump, name[0], name[1])
	}
	var tree map[string]any
	if err := json.Unmarshal([]byte(dump), &tree); err != nil {
		t.Fatal(err)
	}
	stats := tree["PeerConnections"].(map[string]any)["17-1"].(map[string]any)["stats"].(map[string]any)
	for key, entry := range stats {
		switch {
		case strings.HasSuffix(key, "-timestamp"), strings.HasPrefix(key, "OT"), strings.HasPrefix(key, "RIA"):
			delete(stats, key)
		case !strings.HasPrefix(key, "L1-"): // local candidates had a type of their own all along
			delete(entry.(map[string]any), "statsType")
		}
	}
	text, _ := json.Marshal(tree)
	reports := mustRead(t, string(text))
	if len(reports) != 1 || len(reports[0].Segments) < 13 {
		t.Fatalf("%d reports", len(reports))
	}
}

func TestTransports(t *testing.T) {
	for relay, want := range map[string]model.Transport{
		"": model.TransportDirect, "udp": model.TransportRelayUDP, "tcp": model.TransportRelayTCP, "tls": model.TransportRelayTLS,
	} {
		c := call(30)
		c.relay = relay
		for _, r := range mustRead(t, c.internals()) {
			if got := r.Segments[0].Action.Transport; got != want {
				t.Errorf("relay protocol %q: %v, want %v", relay, got, want)
			}
		}
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*recorded)
		reason string
	}{
		"codec":   {func(c *recorded) { c.mime = "audio/G722" }, "neither Opus nor PCMU, or not said"},
		"ICE-TCP": {func(c *recorded) { c.protocol = "tcp" }, "path not said, or not one that a client can choose"},
		"short":   {func(c *recorded) { c.seconds = 1 }, "fewer than 100 packets"},
	} {
		c := call(30)
		test.change(&c)
		reports, summary, err := read(t, c.internals())
		if err != nil || len(reports) != 0 || summary.Skipped[test.reason] == 0 {
			t.Errorf("%s: %d reports, skipped %v, %v", name, len(reports), summary.Skipped, err)
		}
	}
}

func TestSameKeySameReports(t *testing.T) {
	first, again := mustRead(t, call(30).internals()), mustRead(t, call(30).rtcstats(3))
	if first[0].ID == first[1].ID {
		t.Error("two streams share an id")
	}
	byID := cmpopts.SortSlices(func(a, b telemetry.ReportID) bool { return a.String() < b.String() })
	ids := func(list []telemetry.Report) (ids []telemetry.ReportID) {
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		return ids
	}
	if diff := cmp.Diff(ids(first), ids(again), byID); diff != "" {
		t.Errorf("the same numbers give other ids: %s", diff)
	}
	var other []telemetry.Report
	for range 2 {
		_, err := getstats.Read(strings.NewReader(call(30).internals()), getstats.Config{Quality: codec.Measured{}}, func(r *telemetry.Report) error {
			other = append(other, *r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range other {
		for _, b := range slices.Concat(other[i+1:], first) {
			if a.ID == b.ID {
				t.Error("without a key ids repeat")
			}
		}
	}
}

func TestFaults(t *testing.T) {
	whole := call(30).internals()
	lines := call(30).rtcstats(3)
	for name, test := range map[string]struct{ dump, want string }{
		"empty":            {"", "it is empty"},
		"another kind":     {"%PDF-1.7 anna.example", "begins neither"},
		"another JSON":     {`{"anna.example": 1}`, "neither PeerConnections nor events"},
		"an array":         {`[1,2]`, "begins neither"},
		"cut":              {whole[:len(whole)/2], "breaks off"},
		"cut line":         {lines[:len(lines)-20], "breaks off"},
		"spoilt":           {strings.Replace(whole, `"stats"`, `"stats`, 1), "at byte"},
		"cut gzip":         {compress(whole)[:200], "breaks off"},
		"wrong shape":      {`{"PeerConnections": 7}`, "want \"{\""},
		"values no array":  {`{"PeerConnections":{"1":{"stats":{"I-jitter":{"statsType":"inbound-rtp","values":"anna.example"}}}}}`, "values are not an array"},
		"values break off": {`{"PeerConnections":{"1":{"stats":{"I-jitter":{"statsType":"inbound-rtp","values":"[1,2"}}}}}`, "values break off"},
		"deep":             {`{"a":` + strings.Repeat("[", 100), "nested more than 32 deep"},
		"long string":      {`{"a":"` + strings.Repeat("x", 9<<20) + `"}`, "more than 8 MiB"},
		"long number":      {`{"a":` + strings.Repeat("1", 9<<20) + `}`, "more than 8 MiB"},
	} {
		_, _, err := read(t, test.dump)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "anna") {
			t.Errorf("%s: the error quotes the dump: %v", name, err)
		}
	}
	stop := errors.New("stop")
	_, err := getstats.Read(strings.NewReader(whole), getstats.Config{Quality: codec.Measured{}}, func(*telemetry.Report) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("error of take: %v", err)
	}
}

// endless is a dump of any length: one connection after the other, none of which is closed before the end.
type endless struct {
	pattern []byte
	left    int64
	at      int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && e.left > 0 {
		k := copy(p[n:], e.pattern[e.at:])
		n, e.at, e.left = n+k, (e.at+k)%len(e.pattern), e.left-int64(k)
	}
	return n, nil
}

// A long dump costs time, not memory: the limits say so before.
func TestMemoryIsBounded(t *testing.T) {
	event := `["getstats","PC_0",{"A":{"type":"inbound-rtp","kind":"audio","packetsReceived":1,"note":"` + strings.Repeat("x", 2000) + `"}},1]` + "\n"
	for name, test := range map[string]struct {
		head, pattern string
		bytes         int64
		want          string
	}{
		"skipped values": {`{"fileFormat":2}`, event, 64 << 20, ""},
		"white space":    {`{"fileFormat":2}`, " ", 64 << 20, "more than 8 MiB"},
		"one string":     {`{"a":"`, "anna.example", 64 << 20, "more than 8 MiB"},
	} {
		var before, peak runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		source := io.MultiReader(strings.NewReader(test.head), &endless{pattern: []byte(test.pattern), left: test.bytes / int64(len(test.pattern)) * int64(len(test.pattern))})
		_, err := getstats.Read(source, getstats.Config{Quality: codec.Measured{}}, func(*telemetry.Report) error { return nil })
		runtime.ReadMemStats(&peak)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if held := int64(peak.Sys) - int64(before.Sys); held > 128<<20 {
			t.Errorf("%s: %d MiB more memory", name, held>>20)
		}
	}
}

func TestTooMuchInMemoryIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"fileFormat":2}` + "\n")
	for i := range 20_000 {
		b.WriteString(`["getstats","PC",{"` + strings.Repeat("i", 1+i%7) + string(rune('a'+i%26)) + strings.Repeat("j", i/182%110) + `":{"type":"codec"}},1]` + "\n")
	}
	if _, _, err := read(t, b.String()); err == nil || !strings.Contains(err.Error(), "objects in the open connections") {
		t.Errorf("many objects: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(call(6).internals()))
	f.Add([]byte(call(6).rtcstats(2)))
	f.Add([]byte(call(6).rtcstats(3)))
	f.Add([]byte(compress(call(6).rtcstats(3))))
	f.Fuzz(func(t *testing.T, dump []byte) {
		if len(dump) > 1<<20 {
			return
		}
		_, err := getstats.Read(bytes.NewReader(dump), getstats.Config{Quality: codec.Measured{}}, func(r *telemetry.Report) error {
			if err := r.Validate(); err != nil {
				t.Fatalf("report is not valid: %v", err)
			}
			_, err := r.AppendMarshal(nil)
			return err
		})
		if err != nil && strings.Contains(err.Error(), "anna.example") {
			t.Fatalf("the error quotes the dump: %v", err)
		}
	})
}
