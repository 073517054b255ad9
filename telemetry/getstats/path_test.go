package getstats_test

import (
	"strings"
	"testing"

	"github.com/attune-calls/attune/model"
)

// After a handover each stretch tells of the path it went over.
func TestHandover(t *testing.T) {
	c := call(60).connection()
	for name, line := range stats(call(60).connection()) {
		for was, is := range map[string]string{"CP1-": "CP2-", "L1-": "L2-"} {
			if metric, ok := strings.CutPrefix(name, was); ok {
				stats(c)[is+metric] = line
			}
		}
	}
	set := func(name, v string) {
		line := stats(c)[name].(map[string]any)
		line["values"] = "[" + strings.TrimSuffix(strings.Repeat(v+",", 60), ",") + "]"
	}
	set("CP2-localCandidateId", `"L2"`)
	set("CP2-currentRoundTripTime", `0.3`)
	set("L2-networkType", `"cellular4g"`)
	set("L2-candidateType", `"relay"`)
	stats(c)["L2-relayProtocol"] = map[string]any{"statsType": "local-candidate", "values": `["tls"]`}
	pair := stats(c)["T01-selectedCandidatePairId"].(map[string]any)
	pair["values"] = "[" + strings.Repeat(`"CP1",`, 30) + strings.TrimSuffix(strings.Repeat(`"CP2",`, 30), ",") + "]"

	heard, sent := directions(t, mustRead(t, saved(c)))
	for name, segments := range map[string][]model.Segment{"heard": heard.Segments, "sent": sent.Segments} {
		seconds, moved := 0, 0
		for i, s := range segments {
			network, transport, rtt := model.NetworkWiFi, model.TransportDirect, 80.
			if moved > 0 || s.Context.Network == model.Network4G {
				network, transport, rtt = model.Network4G, model.TransportRelayTLS, 300.
				moved++
			}
			if s.Context.Network != network || s.Action.Transport != transport {
				t.Errorf("%s, segment %d after %d s: %v, %v", name, i, seconds, s.Context.Network, s.Action.Transport)
			}
			if i > 0 && s.Outcome.RoundTripTime != model.ScaleDelay.Bucket(rtt) {
				t.Errorf("%s, segment %d: round trip bucket %d, want that of %v ms", name, i, s.Outcome.RoundTripTime, rtt)
			}
			if (s.Cause == model.CauseNetwork) != (moved == 1) {
				t.Errorf("%s, segment %d: cause %v", name, i, s.Cause)
			}
			seconds += int(s.Seconds)
		}
		if moved < 5 || moved > 8 {
			t.Errorf("%s: %d of %d segments over the second path", name, moved, len(segments))
		}
	}
}
