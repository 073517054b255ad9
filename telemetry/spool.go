package telemetry

import (
	"bytes"
	"slices"
)

// entry is one encoded report on its way.
type entry struct {
	id   ReportID
	data []byte
	lost int // LostReports within data: they must be told again if this report is lost too
}

// spool holds every report that the stream has not acknowledged, oldest first, within a bound of bytes, and the number of
// lost reports that no report has told yet. With a file, what it holds survives the process from the moment save returns.
// The file follows removals later, so after a crash a report may be waiting again that had arrived; its id tells the
// server. Not safe for concurrent use.
type spool struct {
	file    *spoolFile // nil keeps everything in memory
	limit   int64
	waiting []*entry
	bytes   int64 // of waiting, framed
	lost    int

	telling *entry // the report that tells lost ones as of the next save, as it was before

	// What the file has of this.
	first    uint64 // number of waiting[0]
	written  int    // waiting[:written] are in it
	recorded int    // its count of lost reports
	gone     bool   // reports are in it that wait no more
	stale    bool   // it differs in a way that no further record can put right: the next save replaces it
}

// openSpool recovers what an earlier process left at path. Dropped are the reports that could not be kept, damaged those
// of them that could not be read.
func openSpool(path string, limit int64) (s *spool, dropped, damaged int, err error) {
	s = &spool{limit: limit, first: 1}
	if path == "" {
		return s, 0, 0, nil
	}
	file, left, err := openSpoolFile(path)
	if err != nil {
		return nil, 0, 0, err
	}
	s.file, s.lost, s.recorded, s.first = file, left.lost, left.lost, max(left.first, 1)
	s.stale = left.unread > 0 || left.damaged > 0 || left.older
	dropped, damaged = left.damaged, left.damaged
	upgraded := false
	for _, data := range left.reports {
		e, err := recoverEntry(data)
		if err != nil {
			s.count(1)
			dropped++
			s.stale = true
			continue
		}
		upgraded = upgraded || !bytes.Equal(e.data, data)
		s.push(e)
	}
	s.written, s.gone = len(s.waiting), file.file != nil && len(s.waiting) == 0
	dropped += s.trim()
	if upgraded {
		// Before anything is sent, so that one opinion is randomized once. Where it cannot be written, the next save
		// writes it.
		s.stale = true
		_ = s.save()
	}
	return s, dropped, damaged, nil
}

// recoverEntry reads a report from the file. One that an older client left there is upgraded: what the user said does
// not leave the device as it was said.
func recoverEntry(data []byte) (*entry, error) {
	var r Report
	if err := Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Schema == SchemaVersion {
		return &entry{id: r.ID, data: slices.Clone(data), lost: int(r.LostReports)}, nil
	}
	r.Upgrade()
	data, err := r.AppendMarshal(nil)
	return &entry{id: r.ID, data: data, lost: int(r.LostReports)}, err
}

// cost is what an entry takes in the file, and is counted as without one. Where it may still have to tell lost reports
// that is included.
func (e *entry) cost() int64 {
	cost := int64(len(e.data)) + recordOverhead
	if e.lost == 0 {
		cost += tellingOverhead
	}
	return cost
}

// tellingOverhead is what a count of lost reports adds to a report: a tag of two bytes and a number of at most three.
const tellingOverhead = 5

func (s *spool) push(e *entry) {
	s.waiting = append(s.waiting, e)
	s.bytes += e.cost()
}

// pop removes the n oldest without counting them as lost.
func (s *spool) pop(n int) {
	for _, e := range s.waiting[:n] {
		s.bytes -= e.cost()
	}
	clear(s.waiting[:n]) // the memory behind it stays in use
	s.waiting = s.waiting[n:]
	recorded := min(n, s.written)
	s.first += uint64(recorded)
	s.written -= recorded
	s.gone = s.gone || recorded > 0
}

// count adds lost reports that have not been told.
func (s *spool) count(lost int) { s.lost = min(s.lost+lost, maxLostCount) }

// trim drops the oldest reports until the rest is within the limit, and says how many.
func (s *spool) trim() int {
	n, bytes := 0, s.bytes
	for ; bytes > s.limit; n++ {
		e := s.waiting[n]
		bytes -= e.cost()
		s.count(1 + e.lost)
	}
	s.pop(n)
	return n
}

// add appends reports, and may drop the oldest ones where they do not fit, unless one of them is on its way to the
// server. It returns how many it dropped. Save makes it durable.
func (s *spool) add(entries []*entry, mayDrop bool) (dropped int, err error) {
	for _, e := range entries {
		s.push(e)
	}
	if mayDrop {
		dropped = s.trim()
	}
	if len(entries) > 0 && len(s.waiting) > 0 {
		err = s.tell()
	}
	return dropped, err
}

// tell writes the lost count into the newest report, which nobody has seen yet: a report is never stored or sent with two
// different contents. The count is told once the next save succeeds; when it fails, retract takes it back.
func (s *spool) tell() error {
	if s.lost == 0 {
		return nil
	}
	newest := len(s.waiting) - 1
	e := s.waiting[newest]
	told := min(s.lost, MaxLostReports-e.lost) // the next report takes the rest
	data, err := withLost(e.data, e.lost+told)
	if err != nil {
		return err
	}
	s.replace(newest, &entry{id: e.id, data: data, lost: e.lost + told})
	s.lost -= told
	s.telling = e
	return nil
}

// retract takes back what the newest report tells because it could not be saved: sent like that, it would tell the count,
// and after a crash the file would have it told again. It returns the report that is sent instead, or nil.
func (s *spool) retract() *entry {
	plain := s.telling
	if plain == nil {
		return nil
	}
	newest := len(s.waiting) - 1
	s.count(s.waiting[newest].lost - plain.lost)
	s.replace(newest, plain)
	s.telling = nil
	return plain
}

func (s *spool) replace(i int, e *entry) {
	s.bytes += e.cost() - s.waiting[i].cost()
	s.waiting[i] = e
}

func withLost(data []byte, lost int) ([]byte, error) {
	var r Report
	if err := Unmarshal(data, &r); err != nil {
		return nil, err
	}
	r.LostReports = uint32(lost)
	return r.AppendMarshal(nil)
}

// resolve takes the n oldest reports, which were on their way, out of the spool, and puts those that did not arrive
// behind the others, so that one report the server will not take cannot hold them up. The file follows at the next save.
func (s *spool) resolve(n int, failed []*entry) {
	if len(failed) == len(s.waiting) {
		return // as they were
	}
	s.pop(n)
	for _, e := range failed {
		s.push(e)
	}
	s.stale = s.stale || len(failed) > 0
}

// unsaved tells whether something would be lost with the process.
func (s *spool) unsaved() bool { return s.written < len(s.waiting) || s.recorded != s.lost }

// save brings the file up to date and forces it to disk. With an error everything is in memory only, and the next save
// tries again. A spool that holds nothing has no file.
func (s *spool) save() error {
	if !s.unsaved() && !s.gone && !s.stale {
		return nil
	}
	if s.file != nil {
		if err := s.write(); err != nil {
			s.stale = true
			return err
		}
	}
	s.written, s.recorded, s.gone, s.stale, s.telling = len(s.waiting), s.lost, false, false, nil
	return nil
}

func (s *spool) write() error {
	switch {
	case len(s.waiting) == 0 && s.lost == 0:
		s.first = 1
		if s.file.file == nil && !s.stale {
			return nil
		}
		return s.file.remove()
	case s.stale || s.file.file == nil || len(s.waiting) == 0 || s.file.size > 2*s.limit:
		s.first, s.written = 1, 0
		return s.file.rewrite(s.records())
	default:
		return s.file.append(s.records())
	}
}

// records are those that the file lacks, framed.
func (s *spool) records() []byte {
	lost := s.lost // as of all but the newest, which tells some: a file that is cut off before it must still have them
	if s.telling != nil {
		lost += s.waiting[len(s.waiting)-1].lost - s.telling.lost
	}
	var records []byte
	for i, e := range s.waiting[s.written:] {
		if s.written+i == len(s.waiting)-1 {
			lost = s.lost
		}
		records = appendRecord(records, record{s.first + uint64(s.written+i), s.first, lost, e.data})
	}
	if records == nil {
		records = appendRecord(nil, record{s.first + uint64(len(s.waiting)) - 1, s.first, s.lost, nil})
	}
	return records
}

// discard deletes everything.
func (s *spool) discard() error {
	s.waiting, s.bytes, s.lost, s.telling = nil, 0, 0, nil
	if s.file == nil {
		return nil
	}
	err := s.file.remove()
	if closing := s.file.close(); err == nil {
		err = closing
	}
	return err
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := s.save()
	if closing := s.file.close(); err == nil {
		err = closing
	}
	return err
}
