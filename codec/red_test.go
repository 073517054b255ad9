package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
)

func TestREDLayout(t *testing.T) {
	blocks := []codec.REDBlock{
		{PayloadType: 111, Offset: 1920, Payload: []byte("older")},
		{PayloadType: 111, Offset: 960, Payload: []byte("old")},
		{PayloadType: 111, Payload: []byte("now")},
	}
	want := []byte{0x80 | 111, 30, 0, 5, 0x80 | 111, 15, 0, 3, 111}
	want = append(want, "olderoldnow"...)
	packed, err := codec.AppendRED([]byte("x"), blocks)
	if err != nil || !bytes.Equal(packed, append([]byte("x"), want...)) {
		t.Fatalf("packed %v, %v; want %v", packed, err, want)
	}
	got, err := codec.ParseRED(packed[1:], nil)
	if diff := cmp.Diff(blocks, got); err != nil || diff != "" {
		t.Fatalf("parsed %v (-want +got):\n%s", err, diff)
	}
}

func TestAppendREDRefuses(t *testing.T) {
	primary := codec.REDBlock{PayloadType: 111, Payload: []byte("now")}
	old := func(offset uint16, size int) codec.REDBlock {
		return codec.REDBlock{PayloadType: 111, Offset: offset, Payload: make([]byte, size)}
	}
	for name, blocks := range map[string][]codec.REDBlock{
		"no blocks":      nil,
		"too many":       {old(10, 1), old(9, 1), old(8, 1), old(7, 1), old(6, 1), old(5, 1), old(4, 1), old(3, 1), old(2, 1), old(1, 1), primary},
		"payload type":   {{PayloadType: 128}},
		"offset":         {old(1<<14, 1), primary},
		"no offset":      {old(0, 1), primary},
		"size":           {old(960, 1024), primary},
		"empty":          {old(960, 0), primary},
		"order":          {old(960, 1), old(1920, 1), primary},
		"primary offset": {old(960, 1), old(480, 1)},
	} {
		if out, err := codec.AppendRED([]byte("x"), blocks); err == nil || string(out) != "x" {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
}

// TestREDSize: the rule adds up to what is packed, and refuses what cannot be.
func TestREDSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	repeats := 0
	for range 20_000 {
		primary := codec.REDBlock{PayloadType: 111, Payload: make([]byte, rng.IntN(1300))}
		size := codec.NewREDSize(len(primary.Payload))
		if size.Bytes() != len(primary.Payload) || size.Repeats() != 0 {
			t.Fatalf("%+v of %d bytes", size, len(primary.Payload))
		}
		var blocks []codec.REDBlock
		offset := uint32(0)
		for {
			offset += uint32(rng.IntN(8000))
			older := codec.REDBlock{PayloadType: 111, Offset: uint16(min(offset, 1<<16-1)), Payload: make([]byte, rng.IntN(1100)>>rng.IntN(6))}
			with := append([]codec.REDBlock{older}, append(slices.Clone(blocks), primary)...)
			packed, err := codec.AppendRED(nil, with)
			fits := err == nil && len(packed) <= codec.MaxREDPayload && len(blocks) < model.MaxREDDepth
			before := size
			if got := size.Repeat(len(older.Payload), offset); got != fits {
				t.Fatalf("%d bytes, %d before, beside %d: repeated %v, want %v (%v)", len(older.Payload), offset, before.Bytes(), got, fits, err)
			}
			if !fits {
				if size != before {
					t.Fatalf("%+v after a refusal, %+v before", size, before)
				}
				break
			}
			blocks = with[:len(with)-1]
			if size.Bytes() != len(packed) || size.Repeats() != len(blocks) {
				t.Fatalf("%d bytes with %d frames, packed %d with %d", size.Bytes(), size.Repeats(), len(packed), len(blocks))
			}
			repeats++
		}
	}
	if repeats < 1000 {
		t.Errorf("%d repeats: the test shows little", repeats)
	}
}

func TestREDDoesNotAllocate(t *testing.T) {
	blocks := []codec.REDBlock{{PayloadType: 111, Offset: 960, Payload: make([]byte, 80)}, {PayloadType: 111, Payload: make([]byte, 80)}}
	dst := make([]byte, 0, 1500)
	parsed := make([]codec.REDBlock, 0, codec.MaxREDBlocks)
	if n := testing.AllocsPerRun(100, func() {
		packed, err := codec.AppendRED(dst, blocks)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := codec.ParseRED(packed, parsed); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// redSeeds state the expected verdict of each payload.
var redSeeds = []struct {
	name    string
	payload []byte
	valid   bool
}{
	{"primary only", []byte{111, 1, 2, 3}, true},
	{"empty primary", []byte{111}, true},
	{"one repeated", []byte{0x80 | 111, 15, 0, 2, 111, 1, 2, 3}, true},
	{"longest offset and size", append([]byte{0xff, 0xff, 0xff, 0xff, 0}, make([]byte, 1023)...), true},
	{"nothing", nil, false},
	{"header cut short", []byte{0x80 | 111, 15, 0}, false},
	{"no primary header", []byte{0x80 | 111, 15, 0, 2}, false},
	{"block cut short", []byte{0x80 | 111, 15, 0, 3, 111, 1, 2}, false},
	{"empty block", []byte{0x80 | 111, 15, 0, 0, 111, 1}, false},
	{"no offset", []byte{0x80 | 111, 0, 0, 1, 111, 1}, false},
	{"wrong order", []byte{0x80 | 111, 15, 0, 1, 0x80 | 111, 30, 0, 1, 111, 1, 2}, false},
	{"six blocks", append(bytes.Repeat([]byte{0x80 | 111, 15, 0, 1}, 5), 111, 1, 2, 3, 4, 5), false},
}

func TestREDSeeds(t *testing.T) {
	for _, seed := range redSeeds {
		_, err := codec.ParseRED(seed.payload, nil)
		if (err == nil) != seed.valid || (err != nil && !errors.Is(err, codec.ErrRED)) {
			t.Errorf("%s: %v, want valid %v", seed.name, err, seed.valid)
		}
	}
}

func FuzzRED(f *testing.F) {
	for _, seed := range redSeeds {
		f.Add(seed.payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		blocks, err := codec.ParseRED(payload, nil)
		if err != nil {
			if blocks != nil {
				t.Fatal("blocks with an error")
			}
			return
		}
		again, err := codec.AppendRED(nil, blocks)
		if err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("%v packs as %v, %v", payload, again, err)
		}
	})
}

func ExampleAppendRED() {
	payload, err := codec.AppendRED(nil, []codec.REDBlock{
		{PayloadType: 111, Offset: 960, Payload: []byte("previous")},
		{PayloadType: 111, Payload: []byte("this")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	blocks, err := codec.ParseRED(payload, nil)
	fmt.Println(len(payload), len(blocks), string(blocks[0].Payload), err)
	// Output: 17 2 previous <nil>
}

func BenchmarkRED(b *testing.B) {
	blocks := []codec.REDBlock{{PayloadType: 111, Offset: 960, Payload: make([]byte, 80)}, {PayloadType: 111, Payload: make([]byte, 80)}}
	dst, parsed := make([]byte, 0, 1500), make([]codec.REDBlock, 0, codec.MaxREDBlocks)
	b.ReportAllocs()
	for b.Loop() {
		packed, _ := codec.AppendRED(dst, blocks)
		_, _ = codec.ParseRED(packed, parsed)
	}
}
