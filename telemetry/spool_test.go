package telemetry

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// numbered is an encoded report that can be told from others.
func numbered(n int) *entry {
	r := Report{Schema: SchemaVersion, Hour: MinHour}
	r.ID[0] = 1
	r.ID[12], r.ID[13], r.ID[14], r.ID[15] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	data, err := r.AppendMarshal(nil)
	if err != nil {
		panic(err)
	}
	return &entry{id: r.ID, data: data}
}

// TestSpoolStateMachine plays random sequences of what a sender does with a spool, crashes included, against a plain
// list.
func TestSpoolStateMachine(t *testing.T) {
	entryCost := numbered(1).cost()
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(root, fmt.Sprintf("spool-%d", run))
		limit := entryCost * int64(rapid.IntRange(3, 12).Draw(t, "room"))
		s, dropped, err := openSpool(path, limit)
		if err != nil || dropped != 0 {
			t.Fatal(dropped, err)
		}
		defer func() { _ = s.close() }()

		var want []ReportID        // waiting, oldest first
		lost := 0                  // not told
		next := 0                  // number of the next report
		told := map[ReportID]int{} // by waiting reports
		expect := func() {
			t.Helper()
			got := make([]ReportID, 0, len(s.waiting))
			var size int64
			for _, e := range s.waiting {
				got = append(got, e.id)
				size += e.cost()
				if e.lost != told[e.id] {
					t.Fatalf("%v tells of %d lost reports, want %d", e.id, e.lost, told[e.id])
				}
				var r Report
				if err := Unmarshal(e.data, &r); err != nil || r.ID != e.id || int(r.LostReports) != e.lost {
					t.Fatalf("entry %v holds report %v telling %d (%v)", e.id, r.ID, r.LostReports, err)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("spool holds %v, want %v", got, want)
			}
			if s.lost != lost || s.bytes != size {
				t.Fatalf("lost %d bytes %d, want %d and %d", s.lost, s.bytes, lost, size)
			}
		}
		reopen := func(torn bool) {
			t.Helper()
			torn = torn || s.stale // a torn end stays until the next write
			_ = s.file.shut()
			_ = s.file.lock.Release()
			again, dropped, err := openSpool(path, limit)
			if err != nil || dropped != 0 || again.stale != torn {
				t.Fatalf("reopened with %d dropped, torn %v: %v", dropped, again.stale, err)
			}
			s = again
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				var entries []*entry
				for range rapid.IntRange(1, 5).Draw(t, "reports") {
					next++
					entries = append(entries, numbered(next))
					want = append(want, entries[len(entries)-1].id)
				}
				dropped, err := s.add(entries)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range want[:dropped] {
					lost += 1 + told[id]
				}
				want = want[dropped:]
				if s.bytes > limit {
					t.Fatalf("%d bytes in a spool of %d", s.bytes, limit)
				}
				if len(want) > 0 && dropped > 0 && s.bytes+2*entryCost+16 < limit {
					t.Fatalf("dropped %d although there was room", dropped)
				}
			},
			"resolve": func(t *rapid.T) {
				n := rapid.IntRange(0, len(s.waiting)).Draw(t, "on their way")
				var failed []*entry
				order := append([]ReportID(nil), want[n:]...)
				for _, e := range s.waiting[:n] {
					if rapid.Bool().Draw(t, "failed") {
						failed = append(failed, e)
						order = append(order, e.id)
					} else {
						delete(told, e.id)
					}
				}
				s.resolve(n, failed)
				want = order
				if err := s.save(); err != nil {
					t.Fatal(err)
				}
			},
			"tell": func(t *rapid.T) {
				if len(s.waiting) == 0 {
					return
				}
				i := rapid.IntRange(0, len(s.waiting)-1).Draw(t, "by")
				if err := s.tell(i); err != nil {
					t.Fatal(err)
				}
				if !s.waiting[i].sent {
					told[want[i]] += lost
					lost = 0
				}
				for s.bytes > limit { // the number took room: the next add makes it
					_, _ = s.add(nil)
					lost, want = s.lost, want[len(want)-len(s.waiting):]
				}
			},
			"crash":   func(*rapid.T) { reopen(false) },
			"restart": func(t *rapid.T) { reopen(false) },
			"crash while appending": func(t *rapid.T) {
				if s.file.file == nil {
					return
				}
				record := appendRecord(nil, 0, s.lost, numbered(next+1).data)
				cut := rapid.IntRange(1, len(record)-1).Draw(t, "cut")
				if _, err := s.file.file.Write(record[:cut]); err != nil {
					t.Fatal(err)
				}
				reopen(true)
			},
			"bit rot at the end": func(t *rapid.T) {
				next++
				e := numbered(next)
				if s.bytes+e.cost() > limit {
					return
				}
				if err := s.save(); err != nil {
					t.Fatal(err)
				}
				if s.file.file == nil || s.file.size > 2*limit {
					return
				}
				size := s.file.size
				if _, err := s.add([]*entry{e}); err != nil {
					t.Fatal(err)
				}
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				at := rapid.Int64Range(size, int64(len(content))-1).Draw(t, "at")
				content[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				reopen(true)
			},
			"crash while rewriting": func(t *rapid.T) {
				if err := os.WriteFile(path+".next", []byte(spoolMagic+"half of"), 0o600); err != nil {
					t.Fatal(err)
				}
				reopen(false)
			},
			"": func(*rapid.T) {
				expect()
				if s.file.size > 3*limit+int64(len(spoolMagic))+1024 {
					t.Fatalf("file of %d bytes for a limit of %d", s.file.size, limit)
				}
			},
		})
	})
}

func TestSpoolSkipsWhatIsNoReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	content := []byte(spoolMagic)
	content = appendRecord(content, 0, 0, numbered(1).data)
	content = appendRecord(content, 0, 2, []byte("not a report"))
	content = appendRecord(content, 0, 2, numbered(2).data)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, dropped, err := openSpool(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	if dropped != 1 || len(s.waiting) != 2 || s.lost != 3 {
		t.Errorf("%d dropped, %d waiting, %d lost, want 1, 2, 3", dropped, len(s.waiting), s.lost)
	}
}

// A report that was sent may be in the stream, which would drop a second version of it along with what that tells.
func TestReportThatWasSentDoesNotChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s, _, err := openSpool(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.add([]*entry{numbered(1), numbered(2)}); err != nil {
		t.Fatal(err)
	}
	s.waiting[0].sent = true
	s.count(3)
	if err := s.tell(0); err != nil || s.lost != 3 || s.waiting[0].lost != 0 {
		t.Errorf("a report that was sent tells of %d lost ones, %d are left to tell: %v", s.waiting[0].lost, s.lost, err)
	}
	s.stale = true
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, _, err = openSpool(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	for i := range s.waiting { // the file does not tell which of them were sent
		if err := s.tell(i); err != nil || s.lost != 3 {
			t.Errorf("report %d of an earlier process took the count: %d left, %v", i, s.lost, err)
		}
	}
	s.push(numbered(3))
	if err := s.tell(2); err != nil || s.lost != 0 || s.waiting[2].lost != 3 {
		t.Errorf("a new report tells of %d lost ones, want 3: %v", s.waiting[2].lost, err)
	}
}

func TestLostCountIsToldInParts(t *testing.T) {
	s := &spool{limit: 1 << 20}
	for i := range 3 {
		s.push(numbered(i))
	}
	s.count(MaxLostReports + 10)
	for i, want := range []int{MaxLostReports, 10, 0} {
		if err := s.tell(i); err != nil {
			t.Fatal(err)
		}
		if got := s.waiting[i].lost; got != want {
			t.Errorf("report %d tells of %d lost ones, want %d", i, got, want)
		}
	}
	s.count(5)
	if err := s.tell(0); err != nil || s.lost != 5 {
		t.Errorf("a report that tells the most it can took more: %d left, %v", s.lost, err)
	}
}

func FuzzPlayRecords(f *testing.F) {
	seed := []byte(spoolMagic)
	f.Add(bytes.Clone(seed))
	seed = appendRecord(seed, 0, 0, []byte("one"))
	seed = appendRecord(seed, 0, 3, []byte("two"))
	seed = appendRecord(seed, 1, 4, []byte("three"))
	if reports, lost, good := playRecords(seed); len(reports) != 2 || lost != 4 || good != len(seed) {
		f.Fatalf("seed plays to %q, %d lost, %d of %d bytes", reports, lost, good, len(seed))
	}
	f.Add(bytes.Clone(seed))
	f.Add(seed[:len(seed)-1])
	f.Add(appendRecord(bytes.Clone(seed), 9, 0, nil))
	f.Fuzz(func(t *testing.T, content []byte) {
		reports, lost, good := playRecords(content)
		if good > len(content) || lost < 0 || lost > maxLostCount {
			t.Fatalf("%d good bytes of %d, %d lost", good, len(content), lost)
		}
		again, lostAgain, goodAgain := playRecords(content[:good])
		if goodAgain != good || lostAgain != lost || !slices.EqualFunc(reports, again, bytes.Equal) {
			t.Fatal("the good part alone plays differently")
		}
		s := &spool{lost: lost}
		for _, data := range reports {
			s.push(&entry{data: data})
		}
		rewritten, lostRewritten, _ := playRecords(append([]byte(spoolMagic), s.records()...))
		if lostRewritten != lost || !slices.EqualFunc(reports, rewritten, bytes.Equal) {
			t.Fatal("a rewritten spool plays differently")
		}
	})
}

func TestSpoolFileFaults(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "spool")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openSpool(path, 1<<20); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a spool that is a directory: %v", err)
	}
}
