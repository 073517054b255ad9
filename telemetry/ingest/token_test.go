package ingest

import (
	"slices"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// A batch falls into the same ranges whatever the order in which it was delivered, and a block's token changes with
// everything that makes its rows different.
func TestRangesAndTokens(t *testing.T) {
	var numbers []uint64
	deliver := func(singles, packs []uint64) []message {
		var list []message
		for _, n := range packs {
			list = append(list, message{sequence: n, pack: true})
		}
		for _, n := range singles {
			list = append(list, message{sequence: n})
		}
		return list
	}
	list := deliver([]uint64{5000, 3, 4095, 4096, 1}, []uint64{70, 63, 64, 2, 128})
	order(list)
	var ranges []int
	for left := list; len(left) > 0; {
		n := firstRange(left)
		ranges = append(ranges, n)
		for _, m := range left[:n] {
			numbers = append(numbers, m.sequence)
		}
		left = left[n:]
	}
	if want := []int{3, 2, 2, 2, 1}; !slices.Equal(ranges, want) {
		t.Errorf("ranges of %v messages, want %v", ranges, want)
	}
	if want := []uint64{1, 3, 4095, 4096, 5000, 2, 63, 64, 70, 128}; !slices.Equal(numbers, want) {
		t.Errorf("messages in the order %v, want %v", numbers, want)
	}

	made := time.Unix(1, 2)
	base := func() *block {
		return &block{
			messages: deliver(nil, []uint64{1, 2}),
			reports:  []telemetry.Report{reportOf(1, 20_000, 5), reportOf(2, 20_000, 5)},
		}
	}
	token := base().token(made)
	if again := base().token(made); again != token || token == "" {
		t.Errorf("the same block has the tokens %s and %s", token, again)
	}
	for name, change := range map[string]func(*block){
		"a message less":       func(b *block) { b.messages = b.messages[:1] },
		"another message":      func(b *block) { b.messages[1].sequence = 3 },
		"a report less":        func(b *block) { b.reports = b.reports[:1] },
		"another report":       func(b *block) { b.reports[1].ID[0]++ },
		"a region withheld":    func(b *block) { withhold(&b.reports[1]) },
		"a segment's withheld": func(b *block) { b.reports[0].Segments[0].Context.Region = 0 },
		"the other segment's":  func(b *block) { b.reports[1].Segments[0].Context.Region = 0 },
	} {
		b := base()
		change(b)
		if b.token(made) == token {
			t.Errorf("%s: the same token", name)
		}
	}
	if base().token(made.Add(1)) == token {
		t.Error("another stream: the same token")
	}
}

// A block holds at most Batch reports, unless one pack alone has more, and never a part of a pack.
func TestBlocksKeepToTheirBounds(t *testing.T) {
	messages := packsOf(t, 1500)
	l := limits{now: time.Now(), most: 200, recent: newRecent()}
	var b block
	reports, blocks := 0, 0
	for left := messages; len(left) > 0; left = left[len(b.messages):] {
		b.fill(left, &l)
		if len(b.messages) == 0 || len(b.reports) > l.most {
			t.Fatalf("a block of %d messages and %d reports", len(b.messages), len(b.reports))
		}
		reports, blocks = reports+len(b.reports), blocks+1
	}
	if reports != 1500 || blocks < 8 {
		t.Errorf("%d reports in %d blocks, want 1500 in at least 8", reports, blocks)
	}
	l.most = 1
	b.fill(messages, &l)
	if len(b.messages) != 1 || len(b.reports) < 50 {
		t.Errorf("with a bound of one report: %d messages and %d reports, want one pack as it is", len(b.messages), len(b.reports))
	}
	l.most = MaxBatch
	b.fill(packsOf(t, 7000), &l) // 315,000 segments: more than fit
	if n := len(b.reports); n < 5000 || n > maxChunks*chunkSegments/45 {
		t.Errorf("%d reports of 45 segments in one block, want what fits its memory", n)
	}
	if got := len(b.segments.chunks); got > maxChunks {
		t.Errorf("%d chunks, at most %d", got, maxChunks)
	}
	for i := range b.reports {
		if len(b.reports[i].Segments) != 45 {
			t.Fatalf("report %d has %d segments", i, len(b.reports[i].Segments))
		}
	}
}
