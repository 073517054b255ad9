package tcp_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/network/tcp"
)

func delay(ms float64) network.Direction {
	return network.Direction{Propagation: network.Propagation{Millis: ms}}
}

func TestHandshakeCostsOneRoundTrip(t *testing.T) {
	w := newWire(t, delay(50), 1)
	w.run(99 * time.Millisecond)
	if w.ends[0].Established() {
		t.Fatal("established before one round trip")
	}
	w.run(100 * time.Millisecond)
	if !w.ends[0].Established() {
		t.Fatal("not established after one round trip")
	}
	if d := w.ends[0].Stats().RoundTripTime; d != 100*time.Millisecond {
		t.Errorf("measured a round trip of %v, want 100ms", d)
	}
}

// transfer sends data from 0 to 1 as fast as the send buffer allows and closes, then returns what arrived and when the
// last byte did.
func transfer(w *wire, data []byte, limit time.Duration) (got []byte, finished time.Duration) {
	rest := data
	var step func()
	step = func() {
		rest = rest[w.ends[0].Write(rest):]
		if len(rest) == 0 {
			w.ends[0].CloseWrite()
		}
		if w.ends[1] != nil {
			if b := w.read(1); len(b) > 0 {
				got = append(got, b...)
				finished = w.now
			}
		}
		if len(got) < len(data) && w.now < limit {
			w.at(w.now+time.Millisecond, step)
		}
	}
	w.at(0, step)
	w.run(limit)
	return got, finished
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	if _, err := r.Read(b); err != nil {
		panic(err)
	}
	return b
}

func TestBytesArriveInOrderWhateverIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		direction := network.Direction{
			Capacity:    network.Capacity{Kbps: rapid.Float64Range(50, 5000).Draw(rt, "kbps")},
			Queue:       network.Queue{Bytes: rapid.IntRange(3000, 60_000).Draw(rt, "queue")},
			Propagation: network.Propagation{Millis: rapid.Float64Range(1, 300).Draw(rt, "delay")},
			Loss: network.Loss{
				P: rapid.Float64Range(0.001, 0.1).Draw(rt, "p"), R: rapid.Float64Range(0.2, 0.8).Draw(rt, "r"), Bad: 0.7,
			},
			Jitter: network.Jitter{
				Distribution: network.JitterLogNormal, Millis: 5, Spread: 1,
				Reorder: rapid.Bool().Draw(rt, "reorder"),
			},
		}
		seed := rapid.Uint64().Draw(rt, "seed")
		data := randomBytes(seed, rapid.IntRange(1, 100_000).Draw(rt, "bytes"))
		w := newWire(t, direction, seed)
		got, _ := transfer(w, data, 3000*time.Second)
		if !bytes.Equal(got, data) {
			rt.Fatalf("got %d bytes of %d, error %v and %v", len(got), len(data), w.ends[0].Err(), w.ends[1].Err())
		}
		if _, end := w.ends[1].Read(make([]byte, 1)); !end {
			rt.Fatal("no end of stream after the last byte")
		}
		w.ends[1].Close(w.now)
		w.pump(1)
		w.run(w.now + 400*time.Second)
		if !w.ends[0].Done() || !w.ends[1].Done() {
			rt.Fatalf("both ends are closed, yet done is %v and %v", w.ends[0].Done(), w.ends[1].Done())
		}
	})
}

func TestGoodputNearCapacity(t *testing.T) {
	for _, kbps := range []float64{40, 300, 5000} {
		t.Run(fmt.Sprint(kbps), func(t *testing.T) {
			direction := delay(40)
			direction.Capacity.Kbps = kbps
			direction.Queue.Bytes = 40_000
			data := randomBytes(7, int(kbps*1000/8*20)) // what 20 s carry without headers
			got, finished := transfer(newWire(t, direction, 1), data, 200*time.Second)
			if !bytes.Equal(got, data) {
				t.Fatalf("got %d bytes, want %d", len(got), len(data))
			}
			goodput := float64(len(data)) * 8 / 1000 / finished.Seconds()
			ceiling := kbps * tcp.MSS / (tcp.MSS + network.TCPHeaderBytes)
			if goodput > ceiling || goodput < 0.85*ceiling {
				t.Errorf("goodput %.1f kbit/s, want 85 to 100 %% of %.1f", goodput, ceiling)
			}
		})
	}
}

// voice writes 100 bytes every 20 ms and returns, for each, how long it took to be readable at the other end.
func voice(w *wire, packets int) []time.Duration {
	delays := make([]time.Duration, packets)
	received := 0
	for i := range packets {
		w.at(time.Second+time.Duration(i)*20*time.Millisecond, func() { w.ends[0].Write(bytes.Repeat([]byte{byte(i)}, 100)) })
	}
	for ms := range packets*20 + 5000 {
		w.at(time.Second+time.Duration(ms)*time.Millisecond, func() {
			for n := len(w.read(1)); n > 0; n -= 100 {
				delays[received] = w.now - time.Second - time.Duration(received)*20*time.Millisecond
				received++
			}
		})
	}
	w.run(time.Duration(packets)*20*time.Millisecond + 6*time.Second)
	if received != packets {
		w.t.Fatalf("received %d packets of %d", received, packets)
	}
	return delays
}

func TestOneLostSegmentHoldsUpThoseBehindIt(t *testing.T) {
	w := newWire(t, delay(50), 1)
	lost := false
	w.drop = func(from int, s tcp.Segment) bool {
		if from == 0 && !lost && w.now >= 2*time.Second && len(s.Payload) > 0 {
			lost = true
			return true
		}
		return false
	}
	delays := voice(w, 200)
	var late []int
	for i, d := range delays {
		if d > 60*time.Millisecond {
			late = append(late, i)
		}
	}
	// Packet 50 leaves at 2 s. Its loss shows when a packet sent a quarter of a round trip (25 ms) later is reported:
	// packet 52, sent at 40 ms, reported at 140 ms; the retransmission arrives at 190 ms. The packets behind wait for it.
	if want := []int{50, 51, 52, 53, 54, 55, 56}; !cmp.Equal(late, want) {
		t.Errorf("late packets %v, want %v", late, want)
	}
	if d := delays[50]; d < 150*time.Millisecond || d > 250*time.Millisecond {
		t.Errorf("the lost packet took %v, want about 190 ms", d)
	}
	if s := w.ends[0].Stats(); s.Retransmissions != 1 || s.Timeouts != 0 {
		t.Errorf("stats %+v, want one fast retransmission", s)
	}
}

func TestTailLossWaitsForTheTimer(t *testing.T) {
	w := newWire(t, delay(50), 1)
	w.drop = func(from int, s tcp.Segment) bool {
		return from == 0 && len(s.Payload) > 0 && w.now < 1100*time.Millisecond
	}
	delays := voice(w, 1)
	if d := delays[0]; d < 300*time.Millisecond || d > 500*time.Millisecond {
		t.Errorf("the packet took %v, want the timeout of 300 to 400 ms and half a round trip", d)
	}
	if s := w.ends[0].Stats(); s.Timeouts != 1 {
		t.Errorf("%d timeouts, want 1", s.Timeouts)
	}
}

func TestAcknowledgementsOfVoiceAreDelayed(t *testing.T) {
	w := newWire(t, delay(20), 1)
	voice(w, 500)
	if acks := w.sent[1]; acks < 150 || acks > 260 {
		t.Errorf("%d acknowledgements for 500 packets 20 ms apart, want one for two or three", acks)
	}
}

func TestFullBufferHoldsTheWriterBack(t *testing.T) {
	w := newWire(t, delay(20), 1)
	w.run(time.Second)
	total := 0
	for range 1000 {
		n := w.ends[0].Write(make([]byte, 1000))
		w.pump(0)
		w.run(w.now + 100*time.Millisecond)
		total += n
		if n == 0 {
			break
		}
	}
	// Nobody reads: the send buffer and the receive buffer are full, and no more.
	if most := tcp.DefaultSendBuffer + tcp.ReceiveBuffer + tcp.MSS; total > most || total < most/2 {
		t.Errorf("wrote %d bytes to a peer that does not read, want about %d", total, most)
	}
	if w.ends[0].Writable() {
		t.Error("writable with a full buffer")
	}
	got := len(w.read(1))
	w.pump(1)
	w.run(w.now + 2*time.Second)
	got += len(w.read(1))
	w.run(w.now + 2*time.Second)
	got += len(w.read(1))
	if got != total {
		t.Errorf("read %d bytes, want %d", got, total)
	}
}

func TestCongestionWindowHalvesOnLossAndGrowsAgain(t *testing.T) {
	direction := delay(30)
	direction.Capacity.Kbps = 2000
	direction.Queue.Bytes = 20_000
	w := newWire(t, direction, 3)
	var most, least int
	for ms := range 20_000 {
		w.at(time.Duration(ms)*time.Millisecond, func() {
			w.ends[0].Write(make([]byte, 10_000))
			if w.ends[1] != nil {
				w.read(1)
			}
			if w.now > 10*time.Second {
				window := w.ends[0].Stats().CongestionWindow
				most = max(most, window)
				if least == 0 || window < least {
					least = window
				}
			}
		})
	}
	w.run(20 * time.Second)
	// The pipe holds 2000 kbit/s x 60 ms = 15 kB and the queue 20 kB: the window saws between half and all of 35 kB.
	if most < 30_000 || most > 42_000 || least < 12_000 || least > 25_000 {
		t.Errorf("the window moves between %d and %d bytes, want about 17500 and 35000", least, most)
	}
}

// TestShortQueueIsNotFlooded: a timeout that proves needless is taken back, but losses after it still close the window.
func TestShortQueueIsNotFlooded(t *testing.T) {
	direction := delay(24)
	direction.Capacity.Kbps = 50
	direction.Queue.Bytes = 3001
	direction.Loss = network.Loss{P: 0.05, R: 0.5, Bad: 0.7}
	for seed := range uint64(20) {
		w := newWire(t, direction, seed)
		data := randomBytes(seed, 80_000)
		if got, _ := transfer(w, data, 1000*time.Second); !bytes.Equal(got, data) {
			t.Fatalf("seed %d: got %d bytes", seed, len(got))
		}
		counts := w.links[0].Counts().Packets
		if dropped, passed := counts[network.DroppedQueue], counts[network.Delivered]; dropped > passed*3/4 { // the queue holds two segments: some overflow is how a sender learns it
			t.Errorf("seed %d: %d segments overflowed the queue, %d passed", seed, dropped, passed)
		}
	}
}

func TestRefusedResetAndTimeout(t *testing.T) {
	e := tcp.Dial(0)
	e.Output(0, new(tcp.Segment))
	e.Receive(time.Millisecond, &tcp.Segment{RST: true})
	if !errors.Is(e.Err(), tcp.ErrRefused) {
		t.Errorf("error %v, want %v", e.Err(), tcp.ErrRefused)
	}

	w := newWire(t, delay(10), 1)
	w.run(time.Second)
	w.ends[1].Abort()
	w.pump(1)
	w.run(2 * time.Second)
	if !errors.Is(w.ends[0].Err(), tcp.ErrReset) {
		t.Errorf("error %v, want %v", w.ends[0].Err(), tcp.ErrReset)
	}

	w = newWire(t, network.Direction{Policing: network.Policing{TCP: network.Police{Blocked: true}}}, 1)
	w.run(19 * time.Second)
	if w.ends[0].Err() != nil {
		t.Fatalf("gave up after %v", w.now)
	}
	w.run(25 * time.Second)
	if !errors.Is(w.ends[0].Err(), tcp.ErrTimeout) || w.sent[0] != 5 {
		t.Errorf("error %v after %d attempts, want %v after 5", w.ends[0].Err(), w.sent[0], tcp.ErrTimeout)
	}
}

func TestCloseWithUnreadDataResets(t *testing.T) {
	w := newWire(t, delay(10), 1)
	w.run(time.Second)
	w.ends[0].Write([]byte("never read"))
	w.pump(0)
	w.run(2 * time.Second)
	w.ends[1].Close(w.now)
	w.pump(1)
	w.run(3 * time.Second)
	if !errors.Is(w.ends[0].Err(), tcp.ErrReset) {
		t.Errorf("error %v, want %v", w.ends[0].Err(), tcp.ErrReset)
	}
}

func TestHalfClose(t *testing.T) {
	w := newWire(t, delay(10), 1)
	w.run(time.Second)
	w.ends[0].Write([]byte("question"))
	w.ends[0].CloseWrite()
	w.pump(0)
	w.run(2 * time.Second)
	if got := string(w.read(1)); got != "question" {
		t.Fatalf("got %q", got)
	}
	w.ends[1].Write([]byte("answer"))
	w.ends[1].CloseWrite()
	w.pump(1)
	w.run(3 * time.Second)
	if got := string(w.read(0)); got != "answer" {
		t.Fatalf("got %q", got)
	}
	if _, end := w.ends[0].Read(make([]byte, 1)); !end {
		t.Error("no end of stream")
	}
}

// BenchmarkVoice is the cost of one voice packet through both endpoints and two links, acknowledgements included.
func BenchmarkVoice(b *testing.B) {
	b.ReportAllocs()
	up, down := network.NewLink(delay(20), 1), network.NewLink(delay(20), 2)
	links := [2]*network.Link{up, down}
	ends := [2]*tcp.Endpoint{tcp.Dial(0), nil}
	payload := make([]byte, 100)
	buffer := make([]byte, 200)
	var now time.Duration
	deliver := func(from int) {
		var s tcp.Segment
		for ends[from].Output(now, &s) {
			links[from].Send(now, len(s.Payload)+network.TCPHeaderBytes, network.TCP)
			if ends[1-from] == nil {
				ends[1-from] = tcp.Accept(now, &s)
			} else {
				ends[1-from].Receive(now, &s)
			}
		}
	}
	for range 3 {
		deliver(0)
		deliver(1)
	}
	for b.Loop() {
		now += 20 * time.Millisecond
		ends[0].Write(payload)
		deliver(0)
		ends[1].Tick(now)
		deliver(1)
		ends[1].Read(buffer)
	}
}
