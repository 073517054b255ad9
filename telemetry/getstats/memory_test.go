package getstats_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/getstats"
)

var sizeMiB = flag.Int("getstats.mib", 0, "size of the dumps of TestMemoryIsBounded, which \"make soak\" gives as 1024; 0 = so small as to be quick, within lower bounds")

// generated is a dump of any length that is never whole in memory: parts until it is long enough, then the tail. At
// intervals it looks at how much memory is in use.
type generated struct {
	part func(i int) []byte
	tail string
	left int64

	next []byte
	i    int
	look int64  // bytes until the next look
	peak uint64 // bytes of heap in use
}

func (g *generated) Read(p []byte) (int, error) {
	if len(g.next) == 0 {
		switch {
		case g.left > 0:
			g.next = g.part(g.i)
			g.left -= int64(len(g.next))
			g.i++
		case g.tail != "":
			g.next, g.tail = []byte(g.tail), ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, g.next)
	g.next = g.next[n:]
	if g.look -= int64(n); g.look < 0 {
		g.look = 4 << 20
		heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
		metrics.Read(heap)
		g.peak = max(g.peak, heap[0].Value.Uint64()+heap[1].Value.Uint64())
	}
	return n, nil
}

// A long dump costs time, not memory, whatever makes it long; in the worst case it is refused.
func TestMemoryIsBounded(t *testing.T) {
	limit, size := uint64(192<<20), int64(*sizeMiB)<<20
	if size == 0 {
		getstats.LimitNumbers(t, 1<<20)
		limit, size = 32<<20, 18<<20
	}
	long := strings.Repeat(personal+`\r\n`, 40)
	numbers := strings.TrimSuffix(strings.Repeat("12,", 1<<19), ",")
	connection := text(call(130).connection())
	internals := `{"PeerConnections":{"17-1":{"stats":{`
	for name, test := range map[string]struct {
		head, tail string
		part       func(i int) string
		want       string // of the error; empty = none
	}{
		"internals: log of events": {
			`{"PeerConnections":{"17-1":{"updateLog":[{}`, `],"stats":{}}}}`,
			func(int) string { return `,{"type":"setLocalDescription","value":"` + long + `"}` }, "",
		},
		"internals: one string": {
			`{"PeerConnections":{"17-1":{"url":"`, `","stats":{}}}}`, func(int) string { return long }, "",
		},
		"internals: times of what is not read": {
			internals + `"C-timestamp":{}`, `}}}}`,
			func(i int) string { return fmt.Sprintf(`,"X%d-timestamp":{"values":"[%s]"}`, i, numbers) }, "",
		},
		"internals: times of codecs": {
			internals + `"C-timestamp":{}`, `}}}}`,
			func(i int) string {
				return fmt.Sprintf(`,"C%d-timestamp":{"statsType":"codec","values":"[%s]"}`, i, numbers)
			}, "",
		},
		"internals: times of streams": {
			internals + `"C-timestamp":{}`, `}}}}`,
			func(i int) string {
				return fmt.Sprintf(`,"I%d-timestamp":{"statsType":"inbound-rtp","values":"[%s]"}`, i, numbers)
			}, "numbers in the open connections",
		},
		"internals: samples": {
			internals + `"C-timestamp":{}`, `}}}}`,
			func(i int) string {
				return fmt.Sprintf(`,"I%d-jitter":{"statsType":"inbound-rtp","values":"[%s]"}`, i, numbers)
			}, "numbers in the open connections",
		},
		"internals: samples, unpacked": {
			internals + `"C-timestamp":{}`, `}}}}`,
			func(i int) string {
				return fmt.Sprintf(`,"I%d-jitter":{"statsType":"inbound-rtp","values":[%s]}`, i, numbers)
			}, "numbers in the open connections",
		},
		"internals: one line, unpacked": {
			internals + `"I-jitter":{"statsType":"inbound-rtp","values":[0`, `]}}}}}`,
			func(int) string { return "," + numbers }, "numbers in the open connections",
		},
		"internals: lines without a sample": {
			internals + `"C-timestamp":{}`, `}}}}`,
			func(i int) string { return fmt.Sprintf(`,"I%d-jitter":{"statsType":"inbound-rtp","values":"[]"}`, i) }, "objects in the open connections",
		},
		"internals: changes of the path": {
			internals + `"C-timestamp":{}`, `}}}}`,
			func(i int) string {
				return fmt.Sprintf(`,"T%d-selectedCandidatePairId":{"statsType":"transport","values":["a"%s]}`, i,
					strings.Repeat(`,"`+strings.Repeat("x", 500)+`","y"`, 1000))
			}, "numbers in the open connections",
		},
		"internals: calls": {
			`{"PeerConnections":{"0":{}`, `}}`,
			func(i int) string { return fmt.Sprintf(`,"%d":%s`, i, connection) }, "",
		},
		"rtcstats: what is not read": {
			`{"fileFormat":2}`, "\n",
			func(i int) string {
				return fmt.Sprintf("[\"getstats\",\"PC\",{\"A\":{\"type\":\"inbound-rtp\",\"note\":\"%s\"}},%d]\n", long, started.UnixMilli()+int64(i))
			}, "",
		},
		"rtcstats: one connection": {
			"RTCStatsDump" + `{"fileFormat":3}["g","P",{"A":{"type":1}},9]`, "\n",
			func(i int) string {
				return fmt.Sprintf("[\"g\",\"P\",{\"A\":{\"14\":%[1]d,\"15\":%[1]d,\"16\":%[1]d,\"41\":%[1]d,\"47\":%[1]d,\"49\":%[1]d,\"51\":%[1]d}},9]\n", i)
			}, "numbers in the open connections",
		},
		"rtcstats: one event": {
			`{"fileFormat":2}["getstats","PC",{"X":{}`, `},1]`,
			func(i int) string { return fmt.Sprintf(`,"A%d":{"type":"inbound-rtp","jitter":1}`, i) }, "values in the event",
		},
		"rtcstats: connections": {
			`{"fileFormat":2}`, "\n",
			func(i int) string { return fmt.Sprintf("[\"getstats\",\"PC%d\",{},%d]\n", i, started.UnixMilli()) }, "objects in the open connections",
		},
		"white space": {`{"fileFormat":2}`, "\n", func(int) string { return strings.Repeat(" \n", 2048) }, ""},
		"table": {
			"t_s,object,metric,value\n", "\n", func(i int) string {
				return fmt.Sprintf("%d,inbound-rtp-0,jitter,0.001,%s\n%[1]d,inbound-rtp-%[1]d,jitter,0.001\n", i, long[:900])
			}, "objects in the open connections",
		},
		"no dump": {`{"a":"`, "", func(int) string { return long }, "breaks off"},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			source := &generated{part: func(i int) []byte { return []byte(test.part(i)) }, tail: test.tail, left: size}
			_, err := getstats.Read(io.MultiReader(strings.NewReader(test.head), source), getstats.Config{Quality: codec.Measured{}},
				func(*telemetry.Report) error { return nil })
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if source.peak > limit {
				t.Errorf("%d MiB of memory in use, want at most %d", source.peak>>20, limit>>20)
			}
			t.Logf("%d MiB in use at most, %d MiB left unread", source.peak>>20, source.left>>20)
		})
	}
}

// A small file may hold much more than its size says.
func TestMemoryIsBoundedCompressed(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, `{"PeerConnections":{"17-1":{"stats":{"I-jitter":{"statsType":"inbound-rtp","values":"[0`)
	for range 16 {
		_, _ = w.Write(bytes.Repeat([]byte(",0"), 1<<20))
	}
	_, _ = io.WriteString(w, `]"}}}}}`)
	_ = w.Close()
	if _, _, err := read(t, packed.String()); err == nil || !strings.Contains(err.Error(), "more than 8 MiB") {
		t.Errorf("%d bytes that are 32 MiB: %v", packed.Len(), err)
	}
}
