package policy_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/policy"
)

// TestREDRepeats: what a packet repeats, on the wire and for the client that gets it.
func TestREDRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		defer l.close()
		l.repeat(2)
		want := []int{0, 1, 2, 2, 2, 2}
		for n := range 12 {
			if n == 6 { // the next packet obeys
				l.repeat(1)
				want = append(want, 1, 1, 1)
			}
			if n == 9 {
				l.repeat(0)
				want = append(want, 0, 0, 0)
			}
			l.send(speech(n, 80+n))
			payloadType, blocks := l.onWire()
			if got := max(len(blocks)-1, 0); got != want[n] || (payloadType == receiverRED) != (want[n] > 0) {
				t.Errorf("packet %d of type %d repeats %d, want %d", n, payloadType, got, want[n])
			}
			p, repeated := l.read()
			if p.SequenceNumber != speech(n, 0).sequence || p.Timestamp != speech(n, 0).stamp || p.SSRC != remoteSSRC ||
				p.PayloadType != receiverOpus || !bytes.Equal(p.Payload, frame(n, 80+n)) {
				t.Errorf("packet %d came as %v", n, p)
			}
			var expected []policy.RepeatedFrame
			for older := n - want[n]; older < n; older++ {
				s := speech(older, 80+older)
				expected = append(expected, policy.RepeatedFrame{SequenceNumber: s.sequence, Timestamp: s.stamp, Payload: s.payload})
			}
			if diff := cmp.Diff(expected, slices.Clone(repeated)); diff != "" && len(expected)+len(repeated) > 0 {
				t.Errorf("packet %d repeats (-want +got):\n%s", n, diff)
			}
		}
	})
}

// TestREDLimits: what cannot be repeated, each after two ordinary packets under depth 2.
func TestREDLimits(t *testing.T) {
	for _, test := range []struct {
		name    string
		packets []sent
		want    int // how many frames the last one repeats
	}{
		{"nothing special", []sent{{3, 2880, frame(3, 80)}}, 2},
		{"a pause within the bounds", []sent{{3, 960 + 16383, frame(3, 80)}}, 2},
		{"a pause too long for the older", []sent{{3, 960 + 16384, frame(3, 80)}}, 1},
		{"a pause beyond them", []sent{{3, 1920 + 16384, frame(3, 80)}}, 0},
		{"a frame too long to repeat", []sent{{3, 2880, frame(3, 1024)}, {4, 3840, frame(4, 20)}}, 0},
		{"one that is not", []sent{{3, 2880, frame(3, 1023)}, {4, 3840, frame(4, 20)}}, 2},
		{"a full packet", []sent{{3, 2880, frame(3, 1200-5-80)}}, 1},
		{"and one byte more", []sent{{3, 2880, frame(3, 1200-5-79)}}, 0},
		{"a packet left out", []sent{{4, 3840, frame(4, 80)}}, 0},
		{"the numbers begin anew", []sent{{40000, 3840, frame(4, 80)}, {40001, 4800, frame(5, 80)}}, 1},
		{"an empty packet", []sent{{3, 2880, nil}, {4, 3840, frame(4, 80)}}, 0},
		{"time stands still", []sent{{3, 1920, frame(3, 80)}}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t)
				defer l.close()
				l.repeat(2)
				l.send(sent{1, 960, frame(1, 80)})
				l.send(sent{2, 1920, frame(2, 80)})
				for _, p := range test.packets {
					l.send(p)
				}
				_, blocks := l.onWire()
				if got := max(len(blocks)-1, 0); got != test.want {
					t.Errorf("repeats %d frames, want %d", got, test.want)
				}
				if len(l.wire) > 12+codec.MaxREDPayload {
					t.Errorf("%d bytes", len(l.wire))
				}
			})
		})
	}
}

// TestREDLeavesOthersAlone: packets sent again and other payload types on the stream pass as they are.
func TestREDLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		defer l.close()
		l.repeat(1)
		for n := range 5 {
			l.send(speech(n, 80))
		}
		for _, n := range []int{4, 2} {
			l.send(speech(n, 80))
			if payloadType, _ := l.onWire(); payloadType != receiverOpus {
				t.Errorf("packet %d sent again has type %d", n, payloadType)
			}
		}
		l.send(speech(5, 80))
		if _, blocks := l.onWire(); len(blocks) != 2 || !bytes.Equal(blocks[0].Payload, frame(4, 80)) {
			t.Errorf("after packets sent again: %v", blocks)
		}
		event := speech(6, 4)
		l.write(&rtp.Header{Version: 2, PayloadType: 101, SequenceNumber: event.sequence, Timestamp: event.stamp}, event.payload)
		if payloadType, _ := l.onWire(); payloadType != 101 {
			t.Errorf("an event has type %d", payloadType)
		}
		l.send(speech(7, 80)) // the packet before it is no frame of Opus, so none is repeated
		if payloadType, _ := l.onWire(); payloadType != receiverOpus {
			t.Errorf("after an event: type %d", payloadType)
		}
		l.send(speech(8, 80))
		if _, blocks := l.onWire(); len(blocks) != 2 {
			t.Errorf("then: %v", blocks)
		}
	})
}

// TestREDAgainstAModel sends random streams under changing depths through losses. Each packet that comes is the one that
// was sent, and repeats exactly the latest frames that may be.
func TestREDAgainstAModel(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			l := newLine(t)
			defer l.close()
			var all []sent
			next := sent{sequence: uint16(rng.Uint32()), stamp: rng.Uint32()}
			came, repeats := 0, 0
			for range 120 {
				if rng.IntN(5) == 0 {
					l.repeat(rng.Uint32N(5))
				}
				next.sequence++
				next.stamp += 960 * []uint32{1, 1, 1, 3, 6, 15, 18}[rng.IntN(7)]
				next.payload = frame(len(all), []int{1, 40, 80, 300, 700, 1023, 1024, 1200}[rng.IntN(8)])
				l.send(next)
				all = append(all, next)
				if rng.IntN(4) == 0 {
					continue // lost
				}
				came++
				p, repeated := l.read()
				if p.SequenceNumber != next.sequence || p.Timestamp != next.stamp || !bytes.Equal(p.Payload, next.payload) || p.PayloadType != receiverOpus {
					t.Fatalf("sent %d, came %v", next.sequence, p)
				}
				want, size := 0, 1+len(next.payload)
				for want < int(l.depth.Load()) && want+1 < len(all) {
					older := all[len(all)-2-want]
					if size += 4 + len(older.payload); size > 1200 || len(older.payload) > 1023 || next.stamp-older.stamp > 16383 {
						break
					}
					want++
				}
				if len(repeated) != want {
					t.Fatalf("repeats %d frames, want %d", len(repeated), want)
				}
				for i, r := range repeated {
					if older := all[len(all)-1-want+i]; r.SequenceNumber != older.sequence || r.Timestamp != older.stamp || !bytes.Equal(r.Payload, older.payload) {
						t.Fatalf("repeats %d of %d bytes, want %d of %d", r.SequenceNumber, len(r.Payload), older.sequence, len(older.payload))
					}
				}
				repeats += want
			}
			if came < 60 || repeats < 10 {
				t.Errorf("%d packets with %d repeats: the test shows little", came, repeats)
			}
		})
	}
}

// TestREDIsCountedAsSent: what a segment sent includes what it repeated.
func TestREDIsCountedAsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rule depth
		rule.Store(2)
		w := newWire(t, policy.WithRule(&rule), policy.WithRED(), policy.WithInterval(4*time.Second), policy.WithEvents(func(e policy.Event) {
			if e.Kind != policy.EventSegment || e.Measurement.SentKbps != e.Measurement.SentKbps {
				return
			}
			// 50 packets a second of 80 bytes thrice, 9 of headers within, 50 of headers around.
			if got, want := e.Measurement.SentKbps, 50*8*(3*80+9+50)/1000.0; got < want-3 || got > want+1 { // a packet more or less
				t.Errorf("%v kbit/s, want %v", got, want)
			}
			if e.Measurement.LossBefore != 0.1 || e.Measurement.LossAfter != 0.05 { // as ever: of packets, and of what was played
				t.Errorf("%+v", e.Measurement)
			}
		}))
		w.factory.Negotiated(described(senderOpus, senderRED), described(receiverOpus, receiverRED))
		w.payloadType = receiverOpus
		w.talk(9, 5)
		w.close()
	})
}
