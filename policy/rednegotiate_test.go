package policy_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// TestREDNeedsBothSides, and the word that they agree before the first packet.
func TestREDNeedsBothSides(t *testing.T) {
	both := described(111, 63)
	plain := strings.ReplaceAll(both, "red/48000", "telephone-event/48000")
	for _, test := range []struct {
		name          string
		local, remote string // empty: not told
		offered, want bool
	}{
		{"both", both, both, true, true},
		{"not the peer", both, plain, true, false},
		{"not this side", plain, both, true, false},
		{"not told", "", "", true, false},
		{"not offered", both, both, false, false},
		{"without parameters", both, strings.ReplaceAll(both, "a=fmtp:63", "a=x:63"), true, false},
		{"of another codec", both, strings.ReplaceAll(both, "111/111", "9/9"), true, false},
		{"of two codecs", both, strings.ReplaceAll(both, "111/111", "111/9"), true, false},
		{"mono", both, strings.ReplaceAll(both, "red/48000/2", "red/8000"), true, false},
		{"not listed", both, strings.ReplaceAll(both, "SAVPF 111 63", "SAVPF 111"), true, false},
		{"refused section", both, strings.ReplaceAll(both, "m=audio 9", "m=audio 0"), true, false},
		{"video", both, strings.ReplaceAll(both, "m=audio", "m=video"), true, false},
		{"after video", both, "v=0\nm=video 9 X 111 63\na=rtpmap:63 VP8/90000\n" + both[5:], true, true},
		{"three blocks, capital letters", both, strings.ReplaceAll(strings.ReplaceAll(both, "111/111", "111/111/111"), "opus", "OPUS"), true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var decisions []policy.Event
				var rule depth
				rule.Store(1)
				options := []policy.Option{policy.WithRule(&rule), policy.WithEvents(func(e policy.Event) {
					if e.Kind == policy.EventDecision {
						decisions = append(decisions, e)
					}
				})}
				if test.offered {
					options = append(options, policy.WithRED())
				}
				w := newWire(t, options...)
				w.payloadType = 111
				if test.local != "" {
					w.factory.Negotiated(test.local, test.remote)
				}
				time.Sleep(time.Second)
				w.talk(3, 0)
				if got := w.factory.Action().Codec == model.CodecOpusRED; got != test.want || (w.reds > 0) != test.want {
					t.Errorf("%v, %d packets of %d are RED", w.factory.Action(), w.reds, w.sequence)
				}
				if again := test.offered && !test.want; (len(decisions) == 2) != again || decisions[len(decisions)-1].Cause != model.CauseStart {
					t.Errorf("%d decisions: %+v", len(decisions), decisions)
				}
				w.close()
			})
		})
	}
}

// redDocument is a policy whose default is RED and which explores three actions.
func redDocument() policy.Document {
	d := staticDocument()
	plain := model.DefaultAction()
	red, slow := plain, plain
	red.Codec, red.REDDepth, slow.BitrateKbps = model.CodecOpusRED, 1, 16
	d.Catalogue = model.Catalogue{red, plain, slow}
	d.Arms[0].Default = map[model.NetworkType]int{model.NetworkUnknown: 0}
	d.Arms[0].Exploration = policy.Exploration{Share: map[model.NetworkType]float64{model.NetworkUnknown: 0.3}}
	return d
}

// TestREDPropensities: a decision is made among the actions that there are. Where RED turns out not to be one before media
// flows the draw is made anew whatever it was; where it goes away later, a decision for it ends at once and others stand.
func TestREDPropensities(t *testing.T) {
	d := redDocument()
	p, all := parse(t, d, nil), d.Catalogue
	both := described(111, 63)
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{t: t}
			var source policy.Holder
			source.Store(p)
			w := newWire(t, policy.WithSource(&source), policy.WithRED(), policy.WithRecorder(r), policy.WithExplorationSeed(seed), policy.WithInterval(3*time.Second))
			w.payloadType = 111
			w.factory.Negotiated(both, both)
			w.talk(4, 0)
			inForce := w.factory.Action()
			w.factory.Negotiated(both, "v=0\r\n") // the peer is another client now
			synctest.Wait()
			reds := w.reds
			w.talk(4, 0)
			w.factory.Negotiated(both, both)
			w.talk(4, 0)
			w.close()
			if inForce.Codec != model.CodecOpusRED && reds == 0 {
				return // both draws explored other actions
			}
			refused := 0
			for i, s := range r.all() {
				without := map[model.Action]uint32{all[0]: 0, all[1]: 850_000, all[2]: 150_000}[s.Action]
				with := map[model.Action]uint32{all[0]: 800_000, all[1]: 100_000, all[2]: 100_000}[s.Action]
				if s.Propensity == without && without != with {
					refused++
				} else if s.Propensity != with {
					t.Errorf("segment %d: %v with propensity %d", i, s.Action, s.Propensity)
				}
				if i > 0 && s.Cause == model.CauseNetwork && (inForce.Codec != model.CodecOpusRED || s.Propensity != without) {
					t.Errorf("segment %d: cause %v, %v with propensity %d", i, s.Cause, s.Action, s.Propensity)
				}
			}
			if refused == 0 {
				t.Error("no segment was decided without RED")
			}
		})
	}
}
