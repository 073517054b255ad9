package getstats_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
)

// stats are the lines of a connection.
func stats(c map[string]any) map[string]any { return c["stats"].(map[string]any) }

// without is a connection less the lines whose name begins with one of prefixes.
func without(c map[string]any, prefixes ...string) map[string]any {
	maps.DeleteFunc(stats(c), func(name string, _ any) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				return true
			}
		}
		return false
	})
	return c
}

// renamed is a dump with other ids of objects.
func renamed(dump string, names ...string) string {
	for i := 0; i < len(names); i += 2 {
		dump = strings.NewReplacer(`"`+names[i]+`-`, `"`+names[i+1]+`-`, `\"`+names[i]+`\"`, `\"`+names[i+1]+`\"`).Replace(dump)
	}
	return dump
}

func skipped(t *testing.T, dump string, cfg getstats.Config) (int, map[string]int) {
	t.Helper()
	cfg.Quality = codec.Measured{}
	summary, err := getstats.Read(strings.NewReader(dump), cfg, func(*telemetry.Report) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return summary.Streams, summary.Skipped
}

// Chrome before version 93 wrote neither types nor times: an object's id is all that tells what it is.
func TestOldDump(t *testing.T) {
	c := call(60).connection()
	for name, line := range stats(c) {
		delete(line.(map[string]any), "statsType")
		if strings.HasSuffix(name, "-timestamp") || strings.HasSuffix(name, "-kind") {
			delete(stats(c), name)
		}
	}
	dump := renamed(saved(c), "IT01A", "RTCInboundRTPAudioStream_1", "OT01A", "RTCOutboundRTPAudioStream_2", "OT02V", "RTCOutboundRTPVideoStream_3",
		"RIA", "RTCRemoteInboundRtpAudioStream_2", "CP1", "RTCIceCandidatePair_1", "T01", "RTCTransport_1", "CIT_111", "RTCCodec_1",
		"L1", "RTCIceCandidate_1", "R1", "RTCIceCandidate_2")
	reports, summary, err := read(t, dump)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"video": 1}, summary.Skipped); diff != "" {
		t.Errorf("left out (-want +got): %s", diff)
	}
	heard, sent := directions(t, reports)
	for _, r := range reports {
		if r.Context.Network != model.NetworkWiFi || r.Segments[0].Action.Transport != model.TransportDirect {
			t.Errorf("%v over %v", r.Context.Network, r.Segments[0].Action)
		}
	}
	if len(heard.Segments) < 13 || len(sent.Segments) < 13 {
		t.Errorf("%d and %d segments", len(heard.Segments), len(sent.Segments))
	}
}

// A dump that does not say something is left out with a reason, unless the caller says it.
func TestWhatADumpDoesNotSay(t *testing.T) {
	opus := getstats.Config{Codec: model.CodecOpus}
	relay := getstats.Config{Transport: model.TransportRelayTLS}
	both := getstats.Config{Codec: model.CodecOpus, Transport: model.TransportRelayTLS}
	plain := func() map[string]any { return call(30).connection() }
	for name, test := range map[string]struct {
		connection map[string]any
		cfg        getstats.Config
		streams    int
		skipped    map[string]int
	}{
		"all said": {plain(), both, 2, map[string]int{"video": 1}},
		"codec":    {without(plain(), "CIT"), relay, 0, map[string]int{"video": 1, "codec not said: --codec says what it was": 2}},
		"codec, given": {
			without(plain(), "CIT"), opus, 2, map[string]int{"video": 1},
		},
		"path":        {without(plain(), "L1", "T01"), opus, 0, map[string]int{"video": 1, "path not said: --transport says what it was": 2}},
		"path, given": {without(plain(), "L1", "T01", "CP1"), relay, 2, map[string]int{"video": 1}},
		"nothing said": {
			without(plain(), "L1", "T01", "CP1", "CIT", "RIA-kind", "RIA-localId", "IT01A-kind", "OT01A-kind", "OT02V"), both, 2, map[string]int{},
		},
		"no stream":   {without(plain(), "IT", "OT", "RIA"), both, 0, map[string]int{"no stream in the connection": 1}},
		"video alone": {without(plain(), "IT", "OT01A", "RIA"), both, 0, map[string]int{"video": 1}},
	} {
		streams, left := skipped(t, saved(test.connection), test.cfg)
		if diff := cmp.Diff(test.skipped, left); diff != "" || streams != test.streams {
			t.Errorf("%s: %d streams, want %d; left out (-want +got): %s", name, streams, test.streams, diff)
		}
	}
	for name, test := range map[string]struct {
		change func(*recorded)
		reason string
	}{
		"codec":   {func(c *recorded) { c.mime = "audio/G722" }, "neither Opus nor PCMU"},
		"ICE-TCP": {func(c *recorded) { c.protocol = "tcp" }, "over ICE-TCP, which a client cannot choose"},
		"short":   {func(c *recorded) { c.seconds = 1 }, "fewer than 100 packets"},
	} {
		c := call(30)
		test.change(&c)
		if streams, left := skipped(t, c.internals(), both); streams != 0 || left[test.reason] == 0 {
			t.Errorf("%s: %d streams, left out %v", name, streams, left)
		}
	}
}

// Statistics from before the W3C's: nothing is read of them, and nothing is silent about it.
func TestLegacy(t *testing.T) {
	line := func(statsType, values string) map[string]any {
		return map[string]any{"startTime": "2026-11-03T09:30:00Z", "endTime": "2026-11-03T09:31:00Z", "statsType": statsType, "values": values}
	}
	c := map[string]any{"stats": map[string]any{
		"ssrc_1_recv-ssrc": line("ssrc", `["1","1"]`), "ssrc_1_recv-googRtt": line("ssrc", `["1","1"]`),
		"ssrc_2_send-mediaType": line("ssrc", `["audio","audio"]`), "Conn-audio-1-0-googRtt": line("googCandidatePair", `["80"]`),
	}}
	want := map[string]int{"legacy statistics (goog...), of which nothing is read: save dumps with the standard ones": 2}
	if streams, left := skipped(t, saved(c), getstats.Config{}); streams != 0 || !cmp.Equal(want, left) {
		t.Errorf("%d streams, left out %v", streams, left)
	}
}

// Servers such as Jitsi's write events alone, and a count after the time.
func TestEventsWithoutMetadata(t *testing.T) {
	want := mustRead(t, call(60).rtcstats(2))
	_, events, _ := strings.Cut(call(60).rtcstats(2), "\n")
	numbered := strings.ReplaceAll(events, "]\n", ",17]\n")
	for name, dump := range map[string]string{
		"events": events, "numbered": numbered,
		"metadata as an event": `["connectionInfo",null,{"path":"/x","statsFormat":"chrome_standard"},1793698200000]` + "\n" + events,
		"an object between":    strings.Replace(events, "\n[", "\n{\"note\":1}\n[", 1),
		"a byte order mark":    "\ufeff" + call(60).rtcstats(2),
	} {
		got := mustRead(t, dump)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Firefox has no codecs and no transport: the pair that was selected is the path.
func TestFirefox(t *testing.T) {
	c := without(call(60).connection(), "CIT", "T01", "IT01A-codecId", "OT01A-codecId", "IT01A-transportId", "OT01A-transportId")
	for name, line := range stats(call(60).connection()) {
		if metric, ok := strings.CutPrefix(name, "CP1-"); ok && metric != "state" {
			stats(c)["CP2-"+metric] = line
		}
	}
	stats(c)["CP2-state"] = map[string]any{"statsType": "candidate-pair", "values": `["failed"]`}
	stats(c)["CP2-bytesSent"] = map[string]any{"statsType": "candidate-pair", "values": `[1e9]`}
	stats(c)["CP1-selected"] = map[string]any{"statsType": "candidate-pair", "values": `[true]`}
	if streams, left := skipped(t, saved(c), getstats.Config{Codec: model.CodecOpus}); streams != 2 {
		t.Errorf("%d streams, left out %v", streams, left)
	}
}

const csv = "t_s,object,metric,value\n"

// A table of samples is one connection, of which the caller says the rest.
func TestTable(t *testing.T) {
	var b strings.Builder
	b.WriteString(csv)
	for s := 1; s <= 60; s++ {
		for id, name := range map[string]string{"IT01A": "inbound-rtp-0", "OT01A": "outbound-rtp-0", "RIA": "remote-inbound-rtp-0", "CP1": "candidate-pair-0"} {
			for metric, v := range call(60).stats(s)[id] {
				if _, is := v.(string); !is {
					b.WriteString(strings.Join([]string{text(s), name, metric, text(v)}, ",") + "\n")
				}
			}
		}
	}
	want := mustRead(t, call(60).internals())
	read := func(began time.Time) []telemetry.Report {
		var got []telemetry.Report
		summary, err := getstats.Read(strings.NewReader(b.String()+"1,2\nx,inbound-rtp-0,jitter,1\n1,inbound-rtp-0,jitter,NaN\n"), getstats.Config{
			Quality: codec.Measured{}, Codec: model.CodecOpus, Transport: model.TransportDirect, Began: began, Key: []byte("a key"),
			Context: model.Context{Region: 77, Network: model.NetworkWiFi, Metered: model.MeteredNo},
		}, func(r *telemetry.Report) error {
			got = append(got, *r)
			return r.Validate()
		})
		if err != nil || summary.Odd != 3 || summary.Format != "table" {
			t.Fatalf("%v, %+v", err, summary)
		}
		return got
	}
	got := read(started)
	wantHeard, _ := directions(t, want)
	heard, _ := directions(t, got)
	for i := range wantHeard.Segments { // a table does not tell that FEC was agreed on
		wantHeard.Segments[i].Action.ExpectedLoss, wantHeard.Segments[i].Context.Previous.ExpectedLoss = 0, 0
	}
	if diff := cmp.Diff(wantHeard, heard, anyID); diff != "" {
		t.Errorf("heard (-internals +table): %s", diff)
	}
	for i, r := range read(started.Add(3 * time.Hour)) {
		if r.ID != got[i].ID || r.Hour != got[i].Hour+3 {
			t.Errorf("begun 3 hours later it is report %v of hour %d, before: %v, %d", r.ID, r.Hour, got[i].ID, got[i].Hour)
		}
	}
}

// Odd values cost themselves, not the dump.
func TestOddValues(t *testing.T) {
	c := call(60).connection()
	want := mustRead(t, saved(c))
	stats(c)["IT01A-googNothing"] = map[string]any{}
	stats(c)["IT01A-silentConcealedSamples"] = map[string]any{"statsType": "inbound-rtp"}
	jitter := stats(c)["IT01A-jitter"].(map[string]any)
	jitter["values"] = strings.Replace(jitter["values"].(string), "0.004,0.004,0.004", "NaN,-Infinity,1e999", 1)
	stats(c)["IT02A-jitter"] = map[string]any{"statsType": "inbound-rtp", "values": "[1,2"}
	stats(c)["IT02A-packetsLost"] = map[string]any{"statsType": "inbound-rtp", "values": []any{1, []any{2}, nil}}
	stats(c)["IT02A-jitterBufferDelay"] = 7
	packets := stats(c)["IT01A-packetsReceived"].(map[string]any)
	packets["values"] = []any{} // the same, unpacked
	for s := 1; s <= 60; s++ {
		packets["values"] = append(packets["values"].([]any), call(60).stats(s)["IT01A"]["packetsReceived"])
	}
	got, summary, err := read(t, saved(c))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-without +with odd values): %s", diff)
	}
	if summary.Odd != 7 {
		t.Errorf("%d odd values, want 3 of jitter, a series without values, one that breaks off, an array and a number", summary.Odd)
	}
}
