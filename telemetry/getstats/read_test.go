package getstats_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
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
	// Cut at receiver reports, so that each loss is in the stretch before the report that tells of it.
	if n := len(sent.Segments); n != 120/reportEvery-1 {
		t.Fatalf("%d segments, want one for each receiver report after the first", n)
	}
	for i, s := range sent.Segments {
		lost := 0.
		if i%2 == 0 { // the count rises in every second report
			lost = 1. / (50 * reportEvery)
		}
		if got, want := s.Outcome.LossBefore, model.ScaleOutcomeLoss.Bucket(lost); got != want || s.Seconds != reportEvery {
			t.Errorf("segment %d of %d s: loss bucket %d, want %d", i, s.Seconds, got, want)
		}
	}
}

// The names of connections are part of ids, and differ between formats.
var anyID = cmpopts.IgnoreFields(telemetry.Report{}, "ID")

// All formats of one call say the same.
func TestFormatsAgree(t *testing.T) {
	heard, sent := directions(t, mustRead(t, call(90).internals()))
	for name, dump := range map[string]string{
		"rtcstats 2": call(90).rtcstats(2),
		"rtcstats 3": call(90).rtcstats(3),
		"gzip":       compress(call(90).internals()),
	} {
		gotHeard, gotSent := directions(t, mustRead(t, dump))
		if diff := cmp.Diff(heard, gotHeard, anyID); diff != "" {
			t.Errorf("%s, heard (-internals +%s):\n%s", name, name, diff)
		}
		if diff := cmp.Diff(sent, gotSent, anyID); diff != "" {
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

func TestFaults(t *testing.T) {
	whole := call(30).internals()
	lines := call(30).rtcstats(3)
	for name, test := range map[string]struct{ dump, want string }{
		"empty":            {"", "it is empty"},
		"another kind":     {"%PDF-1.7 anna.example", "begins neither"},
		"another JSON":     {`{"anna.example": 1}`, "neither PeerConnections nor events"},
		"an array":         {`[1,2]`, "neither PeerConnections nor events"},
		"lines of objects": {"{\"a\":1}\n{\"b\":2}\n", "neither PeerConnections nor events"},
		"no events":        {"{\"a\":1}\n[\"anna.example\",1]\n[\"y\"]\n", "neither PeerConnections nor events"},
		"followed":         {whole + whole, "something follows the dump"},
		"cut":              {whole[:len(whole)/2], "breaks off"},
		"cut line":         {lines[:len(lines)-20], "breaks off"},
		"spoilt":           {strings.Replace(whole, `"stats"`, `"stats`, 1), "at byte"},
		"cut gzip":         {compress(whole)[:200], "breaks off"},
		"wrong shape":      {`{"PeerConnections": 7}`, "want '{'"},
		"table cut":        {"t_s,object,metric,value\n1,inbound-rtp-0,jitt", "breaks off at byte 44"},
		"table, long line": {"t_s,object,metric,value\n" + strings.Repeat("1,", 1000), "line 2"},
		"deep":             {`{"a":` + strings.Repeat("[", 100), "nested more than 32 deep"},
		"long number":      {`{"a":` + strings.Repeat("1", 9<<20) + `}`, "more than 64 characters"},
		"long series":      {`{"PeerConnections":{"1":{"stats":{"I-jitter":{"statsType":"inbound-rtp","values":"[` + strings.Repeat("1,", 5<<20) + `1]"}}}}}`, "a series of more than 8 MiB"},
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

// Long calls are cut into reports, none of which loses a segment.
func TestLongCall(t *testing.T) {
	reports, summary, err := read(t, call(2000).internals())
	if err != nil {
		t.Fatal(err)
	}
	var parts []telemetry.Report
	ids := map[telemetry.ReportID]bool{}
	for _, r := range reports {
		ids[r.ID] = true
		if r.LostSegments != 0 {
			t.Errorf("%d segments lost", r.LostSegments)
		}
		if r.Segments[1].Outcome.JitterBufferDelay > 0 && r.Segments[0].Seconds == 4 {
			parts = append(parts, r)
		}
	}
	if summary.Streams != 2 || len(reports) != 4 || len(ids) != 4 || len(parts) != 2 {
		t.Fatalf("%d streams in %d reports with %d ids, %d of what was heard", summary.Streams, len(reports), len(ids), len(parts))
	}
	first, second := parts[0], parts[1]
	if n := len(first.Segments) + len(second.Segments); n != 1999/4 {
		t.Errorf("%d segments, want one for each 4 s", n)
	}
	if cause := second.Segments[0].Cause; cause != model.CauseInterval || second.Segments[0].Context.Loss == 0 {
		t.Errorf("the second part begins with cause %v and context %v, as if the call did", cause, second.Segments[0].Context)
	}
}
