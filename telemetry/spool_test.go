package telemetry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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

// machine is a spool and what it should hold.
type machine struct {
	path  string
	limit int64
	spool *spool

	want []ReportID       // waiting, oldest first
	lost int              // not told
	next int              // number of the next report
	told map[ReportID]int // by waiting reports

	filed   map[ReportID]bool // what is in the file; of this, what does not wait any more may come back
	damaged int               // records in the file that cannot be read, and that no save has replaced yet
}

func (m *machine) open(t *rapid.T) (dropped, damaged int) {
	var err error
	if m.spool, dropped, damaged, err = openSpool(m.path, m.limit); err != nil {
		t.Fatal(err)
	}
	return dropped, damaged
}

// die ends the process without another write.
func (m *machine) die() {
	_ = m.spool.file.shut()
	_ = m.spool.file.lock.Release()
}

// check holds the spool to what it should be.
func (m *machine) check(t *rapid.T) {
	got := make([]ReportID, 0, len(m.spool.waiting))
	var size int64
	for _, e := range m.spool.waiting {
		got = append(got, e.id)
		size += e.cost()
		if e.lost != m.told[e.id] {
			t.Fatalf("%v tells of %d lost reports, want %d", e.id, e.lost, m.told[e.id])
		}
		var r Report
		if err := Unmarshal(e.data, &r); err != nil || r.ID != e.id || int(r.LostReports) != e.lost {
			t.Fatalf("entry %v holds report %v telling %d (%v)", e.id, r.ID, r.LostReports, err)
		}
	}
	if !slices.Equal(got, m.want) {
		t.Fatalf("spool holds %v, want %v", got, m.want)
	}
	if m.spool.lost != m.lost || m.spool.bytes != size {
		t.Fatalf("lost %d bytes %d, want %d and %d", m.spool.lost, m.spool.bytes, m.lost, size)
	}
	if m.spool.file.size > 3*m.limit+int64(len(spoolMagic))+1024 {
		t.Fatalf("file of %d bytes for a limit of %d", m.spool.file.size, m.limit)
	}
}

// add adds reports, some of which may push out older ones, and saves.
func (m *machine) add(t *rapid.T) {
	var entries []*entry
	for range rapid.IntRange(1, 5).Draw(t, "reports") {
		m.next++
		entries = append(entries, numbered(m.next))
		m.want = append(m.want, entries[len(entries)-1].id)
	}
	dropped, err := m.spool.add(entries, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range m.want[:dropped] {
		m.lost += 1 + m.told[id]
		m.filed[id] = true
	}
	m.want = m.want[dropped:]
	m.told[m.want[len(m.want)-1]], m.lost = m.lost, 0
	if m.spool.bytes > m.limit {
		t.Fatalf("%d bytes in a spool of %d", m.spool.bytes, m.limit)
	}
	if dropped > 0 && m.spool.bytes+2*numbered(1).cost()+16 < m.limit {
		t.Fatalf("dropped %d although there was room", dropped)
	}
	m.save(t)
}

func (m *machine) save(t *rapid.T) {
	if err := m.spool.save(); err != nil {
		t.Fatal(err)
	}
	m.damaged, m.filed = 0, map[ReportID]bool{}
	for _, id := range m.want {
		m.filed[id] = true
	}
}

// resolve settles some of the oldest reports. The file need not know yet.
func (m *machine) resolve(t *rapid.T) {
	n := rapid.IntRange(0, len(m.want)).Draw(t, "on their way")
	order := slices.Clone(m.want[n:])
	var failed []*entry
	for _, e := range m.spool.waiting[:n] {
		if rapid.Bool().Draw(t, "failed") {
			failed = append(failed, e)
			order = append(order, e.id)
		}
	}
	m.spool.resolve(n, failed)
	m.want = order
	if rapid.Bool().Draw(t, "saved") {
		m.save(t)
	}
}

// crash ends the process and starts the next. Reports that arrived may wait again, which does no harm; none may be missing.
func (m *machine) crash(t *rapid.T) {
	m.die()
	if dropped, damaged := m.open(t); dropped != m.damaged || damaged != m.damaged {
		t.Fatalf("%d dropped, %d damaged, want %d", dropped, damaged, m.damaged)
	}
	m.recovered(t, nil)
}

// recovered takes over what the next process found, after a crash that may have cost some reports.
func (m *machine) recovered(t *rapid.T, damaged map[ReportID]bool) {
	found := map[ReportID]bool{}
	m.told = map[ReportID]int{}
	var order []ReportID
	for _, e := range m.spool.waiting {
		if !m.filed[e.id] {
			t.Fatalf("%v comes from nowhere", e.id)
		}
		found[e.id], m.told[e.id] = true, e.lost
		order = append(order, e.id)
	}
	for _, id := range m.want {
		if !found[id] && !damaged[id] {
			t.Fatalf("%v is gone", id)
		}
	}
	m.want, m.lost = order, m.spool.lost
}

// rot damages a byte of the file behind its magic. It costs the report that the byte belongs to, and is counted.
func (m *machine) rot(t *rapid.T) {
	m.save(t)
	content, err := os.ReadFile(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	// Where each record is, and whose.
	type extent struct {
		from, to int
		id       ReportID
	}
	var records []extent
	p := player{version: spoolMagic[len(spoolFamily)], oldest: 1}
	for at := len(spoolMagic); at < len(content); {
		r, n := p.read(content[at:])
		if n == 0 {
			t.Fatalf("record at %d of %d is damaged", at, len(content))
		}
		p.play(r)
		x := extent{from: at, to: at + n}
		if len(r.report) > 0 {
			e, err := recoverEntry(r.report)
			if err != nil {
				t.Fatal(err)
			}
			x.id = e.id
		}
		records = append(records, x)
		at += n
	}
	at := rapid.IntRange(len(spoolMagic), len(content)-1).Draw(t, "at")
	content[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	if err := os.WriteFile(m.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	hit := records[slices.IndexFunc(records, func(x extent) bool { return at < x.to })]
	newest := hit.to == len(content)
	m.die()
	lost, told, waited := m.lost, m.told[hit.id], slices.Contains(m.want, hit.id)
	dropped, damaged := m.open(t)
	m.damaged = damaged
	for _, x := range records { // what an older record says holds where the newest is gone
		m.filed[x.id] = true
	}
	m.recovered(t, map[ReportID]bool{hit.id: true})
	if slices.Contains(m.want, hit.id) {
		t.Fatalf("the damaged report %v is still there", hit.id)
	}
	switch {
	case newest: // what it said of the count is gone with it
		if dropped != 1 || damaged != 1 || m.lost < 1 {
			t.Fatalf("%d dropped, %d damaged, %d lost after damage at the end", dropped, damaged, m.lost)
		}
	case waited:
		if dropped != 1 || damaged != 1 || m.lost != lost+1 {
			t.Fatalf("%d dropped, %d damaged, %d lost, want 1, 1, %d (it told %d)", dropped, damaged, m.lost, lost+1, told)
		}
	case dropped != 0 || damaged != 0 || m.lost != lost:
		t.Fatalf("%d dropped, %d damaged, %d lost though nothing waited there, want %d lost", dropped, damaged, m.lost, lost)
	}
}

// tear dies in the middle of an append.
func (m *machine) tear(t *rapid.T) {
	m.save(t)
	if m.spool.file.file == nil {
		return
	}
	number := m.spool.first + uint64(len(m.spool.waiting))
	torn := appendRecord(nil, record{number, m.spool.first, m.spool.lost, numbered(m.next + 1).data})
	if _, err := m.spool.file.file.Write(torn[:rapid.IntRange(1, len(torn)-1).Draw(t, "cut")]); err != nil {
		t.Fatal(err)
	}
	lost := m.lost
	m.die()
	if dropped, damaged := m.open(t); dropped != 1 || damaged != 1 || m.spool.lost != lost+1 {
		t.Fatalf("%d dropped, %d damaged, %d lost, want the torn report counted", dropped, damaged, m.spool.lost)
	}
	m.damaged = 1
	m.recovered(t, nil)
}

// TestSpoolStateMachine plays random sequences of what a sender does with a spool, with crashes, torn writes and damage
// anywhere, against a plain list.
func TestSpoolStateMachine(t *testing.T) {
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := &machine{
			path:  filepath.Join(root, fmt.Sprintf("spool-%d", run)),
			limit: numbered(1).cost() * int64(rapid.IntRange(3, 12).Draw(t, "room")),
			told:  map[ReportID]int{}, filed: map[ReportID]bool{},
		}
		m.open(t)
		defer func() { _ = m.spool.close() }()
		t.Repeat(map[string]func(*rapid.T){
			"add":                m.add,
			"resolve":            m.resolve,
			"crash":              m.crash,
			"crash in an append": m.tear,
			"bit rot":            m.rot,
			"restart": func(t *rapid.T) {
				if err := m.spool.close(); err != nil {
					t.Fatal(err)
				}
				want, lost := m.want, m.lost
				m.damaged, m.filed = 0, map[ReportID]bool{}
				for _, id := range want {
					m.filed[id] = true
				}
				m.open(t)
				m.recovered(t, nil)
				if !slices.Equal(m.want, want) || m.lost != lost {
					t.Fatalf("%v and %d lost after a restart, want %v and %d", m.want, m.lost, want, lost)
				}
			},
			"crash in a rewrite": func(t *rapid.T) {
				if err := os.WriteFile(m.path+".next", []byte(spoolMagic+"half of"), 0o600); err != nil {
					t.Fatal(err)
				}
				m.crash(t)
				if _, err := os.Stat(m.path + ".next"); !errors.Is(err, os.ErrNotExist) {
					t.Fatalf("half a rewrite is left: %v", err)
				}
			},
			"": m.check,
		})
	})
}

func TestSpoolSkipsWhatIsNoReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	content := []byte(spoolMagic)
	content = appendRecord(content, record{1, 1, 0, numbered(1).data})
	content = appendRecord(content, record{2, 1, 2, []byte("not a report")})
	content = appendRecord(content, record{3, 1, 2, numbered(2).data})
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, dropped, damaged, err := openSpool(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	if dropped != 1 || damaged != 0 || len(s.waiting) != 2 || s.lost != 3 {
		t.Errorf("%d dropped, %d damaged, %d waiting, %d lost, want 1, 0, 2, 3", dropped, damaged, len(s.waiting), s.lost)
	}
}

// Damage of several records in a row, in the lengths too, costs these records.
func TestSpoolFindsTheRecordsBehindDamage(t *testing.T) {
	content, ends := []byte(spoolMagic), []int{len(spoolMagic)}
	for i := range 8 {
		content = appendRecord(content, record{uint64(i + 1), 1, 4, numbered(i).data})
		ends = append(ends, len(content))
	}
	for i := ends[2]; i < ends[5]; i++ {
		content[i] = 0xff
	}
	left, err := playSpool(content)
	if err != nil {
		t.Fatal(err)
	}
	if len(left.reports) != 5 || left.damaged != 3 || left.lost != 7 || left.unread != ends[5]-ends[2] {
		t.Errorf("%d reports, %d damaged, %d lost, %d bytes unread", len(left.reports), left.damaged, left.lost, left.unread)
	}
}

func TestSpoolOfTheFirstVersionIsRead(t *testing.T) {
	first := func(b []byte, removed, lost byte, report []byte) []byte {
		body := append([]byte{removed, lost}, report...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
		return append(binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, castagnoli)), body...)
	}
	content := first([]byte(spoolFamily+"1"), 0, 0, numbered(1).data)
	content = first(content, 0, 0, numbered(2).data)
	content = first(content, 2, 5, numbered(3).data)
	content = first(content, 0, 5, nil)
	damage := len(content)
	content = first(content, 0, 5, numbered(4).data)
	content[damage+12] ^= 4
	content = first(content, 0, 5, numbered(5).data)
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for try := range 2 {
		s, dropped, damaged, err := openSpool(path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if try == 0 && (dropped != 1 || damaged != 1) || len(s.waiting) != 2 || s.lost != 6 {
			t.Errorf("%d dropped, %d damaged, %d waiting, %d lost, want 1, 1, 2, 6", dropped, damaged, len(s.waiting), s.lost)
		}
		if err := s.close(); err != nil { // writes it anew
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(content), spoolMagic) {
			t.Errorf("written anew it begins with %.12q: %v", content, err)
		}
	}
}

// A count whose saving fails is not told: after a crash the file would have it told again.
func TestCountThatCannotBeSavedIsNotTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s, _, _, err := openSpool(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	s.count(3)
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".next", 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	s.stale = true
	if _, err := s.add([]*entry{numbered(1)}, true); err != nil {
		t.Fatal(err)
	}
	if s.waiting[0].lost != 3 || s.lost != 0 {
		t.Fatalf("the new report tells of %d lost ones, %d are left", s.waiting[0].lost, s.lost)
	}
	if s.save() == nil {
		t.Fatal("saved in a file that is a directory")
	}
	if plain := s.retract(); plain == nil || plain.lost != 0 || s.waiting[0] != plain || s.lost != 3 {
		t.Errorf("after the fault it tells of %d, %d are left", s.waiting[0].lost, s.lost)
	}
	if s.retract() != nil {
		t.Error("taken back twice")
	}
	if err := os.RemoveAll(path + ".next"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.add([]*entry{numbered(2)}, true); err != nil {
		t.Fatal(err)
	}
	if err := s.save(); err != nil || s.waiting[0].lost != 0 || s.waiting[1].lost != 3 || s.lost != 0 {
		t.Errorf("reports tell of %d and %d, %d are left: %v", s.waiting[0].lost, s.waiting[1].lost, s.lost, err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, _, _, err = openSpool(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	if s.lost != 0 || len(s.waiting) != 2 || s.waiting[1].lost != 3 {
		t.Errorf("%d lost, %d waiting after a restart", s.lost, len(s.waiting))
	}
}

func TestLostCountIsToldInParts(t *testing.T) {
	s := &spool{limit: 1 << 20}
	s.count(MaxLostReports + 10)
	for i, want := range []int{MaxLostReports, 10, 0} {
		if _, err := s.add([]*entry{numbered(i)}, true); err != nil {
			t.Fatal(err)
		}
		if got := s.waiting[i].lost; got != want {
			t.Errorf("report %d tells of %d lost ones, want %d", i, got, want)
		}
		if err := s.save(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzPlaySpool(f *testing.F) {
	seed := []byte(spoolMagic)
	f.Add(bytes.Clone(seed))
	seed = appendRecord(seed, record{1, 1, 0, []byte("one")})
	seed = appendRecord(seed, record{2, 1, 3, []byte("two")})
	seed = appendRecord(seed, record{3, 2, 4, []byte("three")})
	if left, err := playSpool(seed); err != nil || len(left.reports) != 2 || left.lost != 4 || left.first != 2 || left.unread != 0 {
		f.Fatalf("seed plays to %+v (%v)", left, err)
	}
	f.Add(bytes.Clone(seed))
	f.Add(seed[:len(seed)-1])
	f.Add(append(bytes.Clone(seed), bytes.Repeat([]byte{0}, 40)...))
	f.Add(append([]byte(spoolFamily+"1"), seed[len(spoolMagic):]...))
	f.Add(appendRecord(bytes.Clone(seed), record{9, 9, 0, []byte("four")}))
	f.Add([]byte(spoolFamily + "3"))
	f.Fuzz(func(t *testing.T, content []byte) {
		left, err := playSpool(content)
		if err != nil {
			return
		}
		if left.unread > len(content) || left.lost < left.damaged || left.lost > maxLostCount {
			t.Fatalf("%d unread of %d, %d lost, %d damaged", left.unread, len(content), left.lost, left.damaged)
		}
		s := &spool{lost: left.lost, first: 1}
		for _, data := range left.reports {
			s.push(&entry{data: data})
		}
		again, err := playSpool(append([]byte(spoolMagic), s.records()...))
		if err != nil || again.lost != left.lost || again.unread > 0 || !slices.EqualFunc(left.reports, again.reports, bytes.Equal) {
			t.Fatalf("a rewritten spool plays differently: %v", err)
		}
	})
}

func TestSpoolFileFaults(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "spool")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := openSpool(path, 1<<20); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a spool that is a directory: %v", err)
	}
}

// A file that is no spool, or one of a newer version, stays as it is, whatever its name is given for.
func TestFileOfSomebodyElseStaysAsItIs(t *testing.T) {
	for name, content := range map[string]string{
		"notes": "Dear diary,\n" + strings.Repeat("so it was. ", 50), "short": "ATTUNE", "newer": spoolFamily + "3 and more", "damaged magic": "BTTUNESPOOL2",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := openSpool(path, 1<<20); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "left as it is") {
				t.Errorf("opened: %v", err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != content {
				t.Errorf("now it holds %q: %v", got, err)
			}
			err := deleteSpool(path)
			got, reading := os.ReadFile(path)
			if name == "newer" { // it is reports all the same, and the user says no
				if err != nil || !errors.Is(reading, os.ErrNotExist) {
					t.Errorf("a newer version's spool: %v, %v", err, reading)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), path) || string(got) != content {
				t.Errorf("deleting it: %v, now it holds %q: %v", err, got, reading)
			}
		})
	}
}
