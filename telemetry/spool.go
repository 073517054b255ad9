package telemetry

import (
	"bytes"
	"slices"
)

// entry is one encoded report on its way.
type entry struct {
	id   ReportID
	data []byte
	lost int  // LostReports within data: they must be told again if this report is lost too
	sent bool // it may have arrived with the content it has, which must not change any more
}

// spool holds the reports that wait for a connection, oldest first, within a bound of bytes, and the number of lost
// reports that no report has told yet. With a file, what it holds survives the process: add is durable when it returns.
// The file follows removals later, so after a crash a report may be waiting again that had arrived; its id tells the
// server. Not safe for concurrent use.
type spool struct {
	file    *spoolFile // nil keeps everything in memory
	limit   int64
	waiting []*entry
	bytes   int64 // of waiting, framed
	lost    int
	stale   bool // the file differs from memory: the next write replaces it
}

// openSpool recovers what an earlier process left at path; dropped are the reports that could not be kept.
func openSpool(path string, limit int64) (s *spool, dropped int, err error) {
	s = &spool{limit: limit}
	if path == "" {
		return s, 0, nil
	}
	file, reports, lost, torn, err := openSpoolFile(path)
	if err != nil {
		return nil, 0, err
	}
	s.file, s.lost, s.stale = file, lost, torn
	upgraded := false
	for _, data := range reports {
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
	if over := s.trim(); over > 0 {
		dropped += over
		s.stale = true
	}
	if upgraded {
		// Before anything is sent, so that one opinion is randomized once. Where it cannot be written, the next save
		// writes it.
		s.stale = true
		_ = s.save()
	}
	return s, dropped, nil
}

// recoverEntry reads a report from the file, which does not tell whether it was sent. One that an older client left there is upgraded: what the user said does
// not leave the device as it was said.
func recoverEntry(data []byte) (*entry, error) {
	var r Report
	if err := Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Schema == SchemaVersion {
		return &entry{id: r.ID, data: slices.Clone(data), lost: int(r.LostReports), sent: true}, nil
	}
	r.Upgrade()
	data, err := r.AppendMarshal(nil)
	return &entry{id: r.ID, data: data, lost: int(r.LostReports), sent: true}, err
}

// cost is what an entry takes in the file, and is counted as without one.
func (e *entry) cost() int64 { return int64(len(e.data)) + recordHeader + 2 }

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

// add appends reports and drops the oldest ones that no longer fit. When it returns without an error all of this is on
// disk; with an error it is in memory only, and the next call tries again. None of the waiting reports may be on its way
// to the server.
func (s *spool) add(entries []*entry) (dropped int, err error) {
	before := len(s.waiting)
	for _, e := range entries {
		s.push(e)
	}
	dropped = s.trim()
	if s.file == nil {
		return dropped, nil
	}
	s.stale = s.stale || s.file.size > 2*s.limit || dropped > 0 && len(entries) == 0
	if s.stale || len(entries) == 0 {
		return dropped, s.save()
	}
	removed := min(dropped, before)
	var records []byte
	for _, e := range s.waiting[before-removed:] {
		records = appendRecord(records, removed, s.lost, e.data)
		removed = 0
	}
	err = s.file.append(records)
	s.stale = err != nil
	return dropped, err
}

// resolve takes the n oldest reports, which were on their way, out of the spool, and puts those that did not arrive
// back at the end, so that one report the server will not take cannot hold up the others. The file follows at the next
// save.
func (s *spool) resolve(n int, failed []*entry) {
	s.pop(n)
	for _, e := range failed {
		s.push(e)
	}
	s.stale = s.stale || n > 0
}

// tell writes the lost count into the waiting report at index i, durably, before it is sent for the first time: a report
// is never sent with two different contents, and a count is never told twice.
func (s *spool) tell(i int) error {
	if s.lost == 0 {
		return nil
	}
	e := s.waiting[i]
	if e.sent {
		return nil // the stream may have it already, and would take what it tells now for a copy
	}
	told := min(s.lost, MaxLostReports-e.lost)
	if told <= 0 {
		return nil // it tells as many as it can; the next report takes the rest
	}
	data, err := withLost(e.data, e.lost+told)
	if err != nil {
		return err
	}
	next := &entry{id: e.id, data: data, lost: e.lost + told}
	s.waiting[i], s.bytes = next, s.bytes+next.cost()-e.cost()
	s.lost -= told
	s.stale = true
	return s.save()
}

func withLost(data []byte, lost int) ([]byte, error) {
	var r Report
	if err := Unmarshal(data, &r); err != nil {
		return nil, err
	}
	r.LostReports = uint32(lost)
	return r.AppendMarshal(nil)
}

// save brings the file up to date. A spool that holds nothing has no file.
func (s *spool) save() error {
	if s.file == nil || !s.stale {
		return nil
	}
	var err error
	if len(s.waiting) == 0 && s.lost == 0 {
		err = s.file.remove()
	} else {
		err = s.file.rewrite(s.records())
	}
	s.stale = err != nil
	return err
}

// records is the whole spool, framed.
func (s *spool) records() []byte {
	records := make([]byte, 0, s.bytes+64)
	for _, e := range s.waiting {
		records = appendRecord(records, 0, s.lost, e.data)
	}
	if len(s.waiting) == 0 {
		records = appendRecord(records, 0, s.lost, nil)
	}
	return records
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
