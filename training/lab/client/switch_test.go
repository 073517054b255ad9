package client_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/client"
)

// moving is a call that a second policy moves to the TCP relay after 5 s.
func moving(t *testing.T, source *policy.Holder) {
	second := static(t, 4, speak(model.TransportRelayTCP))
	time.AfterFunc(5*time.Second, func() { source.Store(second) })
}

func TestSwitchFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		break_ func(l *lab, d *direct)
	}{
		{"offer is lost", func(_ *lab, d *direct) {
			d.before = func(n int) error { return failAt(n, 1) }
		}},
		{"answer is lost", func(_ *lab, d *direct) {
			d.after = func(n int) error { return failAt(n, 1) }
		}},
		{"relay is away", func(l *lab, _ *direct) {
			time.AfterFunc(4*time.Second, func() { l.relayHost.SetProfile(blocked(l.t)) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := holding(static(t, 3, speak(model.TransportDirect)))
				l := newLab(t, "ethernet", source)
				d := new(direct)
				c.break_(l, d)
				caller, callee := l.dial(d)
				moving(t, source)
				if a, b := run(t.Context(), caller, callee, 40*time.Second, 40*time.Second); a != nil || b != nil {
					t.Errorf("errors %v and %v", a, b)
				}
				last := l.caller.segments[len(l.caller.segments)-2] // the very last may be too short to be measured
				if last.Policy != 4 || last.Action.Transport != model.TransportDirect || last.Outcome.MOS == 0 {
					t.Errorf("last segment: policy %d, %v, MOS bucket %d", last.Policy, last.Action, last.Outcome.MOS)
				}
				if mos := model.ScaleMOS.Value(last.Outcome.MOS); mos < 3.5 {
					t.Errorf("MOS %.2f on the way back", mos)
				}
				if slices.ContainsFunc(l.caller.segments, func(s model.Segment) bool {
					return s.Action.Transport == model.TransportRelayTCP && s.Outcome.MOS > 0 && model.ScaleMOS.Value(s.Outcome.MOS) > 3.5
				}) {
					t.Error("a relay that never worked gets the credit for a direct path")
				}
			})
		})
	}
}

func failAt(n, at int) error {
	if n == at {
		return errSignalling
	}
	return nil
}

// TestHangUpDuringASwitch: the exchange of the switch is under way, the old path is gone, and one side hangs up.
func TestHangUpDuringASwitch(t *testing.T) {
	for _, who := range []string{"caller", "callee"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := holding(static(t, 3, speak(model.TransportDirect)))
				l := newLab(t, "4g", source)
				d := &direct{before: func(n int) error {
					if n == 1 {
						time.Sleep(3 * time.Second)
					}
					return nil
				}}
				caller, callee := l.dial(d)
				moving(t, source)
				callerTime, calleeTime := 7*time.Second, time.Hour
				if who == "callee" {
					callerTime, calleeTime = calleeTime, callerTime
				}
				begin := time.Now()
				a, b := run(t.Context(), caller, callee, callerTime, calleeTime)
				if len(d.offers) < 2 {
					t.Fatal("no switch was under way")
				}
				if who == "callee" {
					// Its DTLS had no path any more; that the call has ended, it said to the caller's offer.
					if a != nil || b != nil || time.Since(begin) > 20*time.Second {
						t.Errorf("errors %v and %v after %v", a, b, time.Since(begin))
					}
				} else if a != nil || !errors.Is(b, client.ErrDropped) {
					t.Errorf("errors %v and %v", a, b) // nothing tells the callee
				}
			})
		})
	}
}

func TestUnknownSite(t *testing.T) {
	far := speak(model.TransportRelayTCP)
	far.Site = 9
	t.Run("at the start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, "ethernet", holding(static(t, 3, far)))
			d := new(direct)
			caller, callee := l.dial(d)
			if a, b := run(t.Context(), caller, callee, 5*time.Second, 5*time.Second); a != nil || b != nil {
				t.Fatal(a, b)
			}
			if o := d.offers[0]; o.Transport != model.TransportRelayTCP || o.Site != site {
				t.Errorf("offered %v by site %d", o.Transport, o.Site)
			}
			for _, s := range []*side{&l.caller, &l.callee} {
				for _, segment := range s.segments {
					if segment.Action.Transport != model.TransportRelayTCP || segment.Action.Site != site {
						t.Errorf("segment over %v", segment.Action)
					}
				}
			}
		})
	})
	t.Run("later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := holding(static(t, 3, speak(model.TransportDirect)))
			l := newLab(t, "ethernet", source)
			d := new(direct)
			caller, callee := l.dial(d)
			second := static(t, 4, far)
			time.AfterFunc(3*time.Second, func() { source.Store(second) })
			if a, b := run(t.Context(), caller, callee, 9*time.Second, 9*time.Second); a != nil || b != nil {
				t.Fatal(a, b)
			}
			if len(d.offers) != 1 {
				t.Errorf("%d offers", len(d.offers))
			}
			if len(l.caller.faults) != 1 || !strings.Contains(l.caller.faults[0].Error(), "site 9") {
				t.Errorf("faults %v", l.caller.faults)
			}
		})
	})
}

// TestLimitsOfTheClient: actions that this client cannot do are not chosen, so that none is reported.
func TestLimitsOfTheClient(t *testing.T) {
	pcmu := speak(model.TransportDirect)
	pcmu.Codec, pcmu.BitrateKbps, pcmu.Bandwidth = model.CodecPCMU, 64, model.BandwidthNarrow
	for _, a := range []model.Action{pcmu, speak(model.TransportRelayTLS)} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, "ethernet", holding(static(t, 3, a)))
			l.caller.config.Relays, l.callee.config.Relays = nil, nil
			caller, callee := l.dial(new(direct))
			if a, b := run(t.Context(), caller, callee, 3*time.Second, 3*time.Second); a != nil || b != nil {
				t.Fatal(a, b)
			}
			for _, s := range []*side{&l.caller, &l.callee} {
				for _, segment := range s.segments {
					if segment.Action != model.DefaultAction() {
						t.Errorf("%v", segment.Action)
					}
				}
			}
		})
	}
}

func TestAnswerTakesOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "ethernet", holding(static(t, 3, speak(model.TransportDirect))))
		caller, callee := l.dial(new(direct))
		var strange client.Description
		_, err := client.Dial(t.Context(), l.caller.config, exchange(func(offer client.Description) (client.Description, error) {
			strange = offer
			return callee.Answer(t.Context(), offer)
		}))
		if !errors.Is(err, client.ErrBusy) {
			t.Errorf("a second caller got %v", err)
		}
		bare := strange
		bare.SDP = strings.ReplaceAll(bare.SDP, "a=fingerprint", "a=footprint")
		if _, err := callee.Answer(t.Context(), bare); err == nil || errors.Is(err, client.ErrBusy) {
			t.Errorf("an offer without a fingerprint got %v", err)
		}
		if a, b := run(t.Context(), caller, callee, 3*time.Second, 3*time.Second); a != nil || b != nil {
			t.Errorf("errors %v and %v: the second caller disturbed the first", a, b)
		}
		if _, err := callee.Answer(t.Context(), strange); !errors.Is(err, client.ErrEnded) {
			t.Errorf("after the call: %v", err)
		}
		if err := caller.SwitchTransport(model.TransportRelayTCP, site); !errors.Is(err, client.ErrEnded) {
			t.Errorf("switch after the call: %v", err)
		}
	})
}

func TestSwitchBeforeMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "ethernet", holding(static(t, 3, speak(model.TransportDirect))))
		l.hosts[0].SetProfile(blocked(t))
		caller, callee := l.dial(new(direct))
		if err := caller.SwitchTransport(model.TransportRelayTCP, site); err == nil {
			t.Error("switched a call that was not connected")
		}
		_, _ = run(t.Context(), caller, callee, 0, 0)
	})
}

// TestAnswersAreChecked: what is no answer ends the call before it begins.
func TestAnswersAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "ethernet", holding(static(t, 3, speak(model.TransportDirect))))
		for _, reply := range []exchange{
			func(offer client.Description) (client.Description, error) { return offer, nil },
			func(client.Description) (client.Description, error) { return client.Description{}, nil },
			func(offer client.Description) (client.Description, error) {
				return client.Description{Type: 3, SDP: "a=fingerprint:sha-256 00\r\n", Transport: offer.Transport}, nil
			},
		} {
			if _, err := client.Dial(t.Context(), l.caller.config, reply); !errors.Is(err, client.ErrSetup) {
				t.Errorf("error %v", err)
			}
		}
	})
}
