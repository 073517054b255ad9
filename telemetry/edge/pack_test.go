package edge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/edge"
)

// Whatever comes in whatever order: each report is in one pack, next to the client that waits for it, and no pack is
// larger than it may be, however often it is cut.
func TestPacksHoldEveryReportOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxReports := rapid.IntRange(1, 20).Draw(t, "reports")
		maxBytes := rapid.IntRange(1, telemetry.MaxPackSize).Draw(t, "bytes")
		p := edge.NewPack()
		var inside, sent []string // the replies, which name the reports too
		content := map[string][]byte{}
		send := func(t *rapid.T) {
			var got []string
			largest := rapid.IntRange(1, telemetry.MaxPackSize).Draw(t, "stream takes")
			p.Divide(largest, func(data []byte, replies []string) {
				if len(data) > largest && len(replies) > 1 {
					t.Fatalf("a part of %d reports has %d bytes, more than %d", len(replies), len(data), largest)
				}
				i := 0
				if err := telemetry.EachInPack(data, func(report []byte) error {
					if !slices.Equal(report, content[replies[i]]) {
						t.Fatalf("report %d of the part is not that of its client", i)
					}
					i++
					return nil
				}); err != nil || i != len(replies) {
					t.Fatalf("%d of %d reports read: %v", i, len(replies), err)
				}
				got = append(got, replies...)
			})
			if !slices.Equal(got, inside) {
				t.Fatalf("sent %v, want %v", got, inside)
			}
			sent, inside = append(sent, inside...), nil
			p.Reset()
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				size := rapid.OneOf(rapid.IntRange(0, 1200), rapid.IntRange(0, telemetry.MaxReportSize)).Draw(t, "size")
				if !p.Fits(size, maxReports, maxBytes) {
					if len(inside) == 0 {
						t.Fatal("an empty pack refuses a report")
					}
					send(t)
				}
				reply := fmt.Sprint(len(sent) + len(inside))
				content[reply] = make([]byte, size)
				for i := range content[reply] {
					content[reply][i] = byte(len(content) + i)
				}
				p.Add(content[reply], reply)
				inside = append(inside, reply)
				if p.Full(maxReports, maxBytes) {
					send(t)
				}
			},
			"time is over": func(t *rapid.T) {
				if len(inside) == 0 {
					t.Skip("nothing to send")
				}
				send(t)
			},
			"": func(t *rapid.T) {
				if len(inside) > maxReports {
					t.Fatalf("%d reports in a pack of at most %d", len(inside), maxReports)
				}
			},
		})
	})
}

// A report costs no allocation beyond the message it came in.
func TestTakeAllocatesNothing(t *testing.T) {
	s := newSite(t).start()
	e, err := edge.New(edge.Config{Front: s.gate(), Back: s.connection()})
	if err != nil {
		t.Fatal(err)
	}
	id, data := encoded(t, 1)
	m := &nats.Msg{Reply: "_INBOX.x.y", Data: data, Header: nats.Header{nats.MsgIdHdr: []string{id}}}
	if n := testing.AllocsPerRun(10_000, func() {
		e.Take(m)
		if e.Stats().Received%1000 == 0 {
			e.Recycle()
		}
	}); n > 0 {
		t.Errorf("%v allocations for each report", n)
	}
}

// BenchmarkTake is what an edge does with a report before its pack is sent.
func BenchmarkTake(b *testing.B) {
	conn, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	e, err := edge.New(edge.Config{Front: conn})
	if err != nil {
		b.Fatal(err)
	}
	id, _ := encoded(b, 1)
	m := &nats.Msg{Reply: "_INBOX.x.y", Data: make([]byte, 600), Header: nats.Header{nats.MsgIdHdr: []string{id}}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Take(m)
		if i%1000 == 0 {
			e.Recycle()
		}
	}
}
