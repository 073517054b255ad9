package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A spool file is a magic followed by records, each of them length and CRC-32C of its body (4 bytes each, little
// endian) and the body: three uvarints and the rest, which is one encoded report or nothing. The first is the number of the
// newest report, that in the record included; reports are numbered upwards from 1 in each file. The second is the number
// of the oldest report that still waits, the third how many lost reports have not been told.
//
// Reading it is playing the records in order. Every record says by itself what holds after it, so one that is damaged
// costs its own report and no other: the next record is found behind it, and the gap in the numbers tells what is missing.
//
// History of the magic: 1 = the first format: in place of the numbers, how many of the oldest reports a record removes;
// 2 = numbers.
const (
	spoolMagic  = spoolFamily + "2"
	spoolFamily = "ATTUNESPOOL" // what the magic of every version begins with
)

const (
	recordHeader  = 8
	minRecordBody = 2 // of version 1
	maxRecordBody = MaxReportSize + 3*binary.MaxVarintLen64
	// recordOverhead is what a record adds to its report, but for large numbers.
	recordOverhead = recordHeader + 6
)

// maxLostCount is where the count of lost reports stops counting.
const maxLostCount = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errNoSpool says that a file was not written by a Reporter.
var errNoSpool = errors.New("it is not a spool of a Reporter; it was left as it is: name another file, or move this one away")

// spoolVersion reads the magic.
func spoolVersion(b []byte) (byte, error) {
	if len(b) < len(spoolMagic) || string(b[:len(spoolFamily)]) != spoolFamily {
		return 0, errNoSpool
	}
	version := b[len(spoolFamily)]
	if version < '1' || version > spoolMagic[len(spoolFamily)] {
		return 0, fmt.Errorf("it has version %q of the format, this program knows up to %q; it was left as it is: use the newer program, or move the file away",
			version, spoolMagic[len(spoolFamily)])
	}
	return version, nil
}

// record is one record of a spool file.
type record struct {
	newest uint64 // number of its report, or of the last one before it; 0 = there was none
	oldest uint64 // reports with smaller numbers wait no more
	lost   int
	report []byte
}

// appendRecord appends one framed record.
func appendRecord(b []byte, r record) []byte {
	start := len(b)
	b = append(b, make([]byte, recordHeader)...)
	b = binary.AppendUvarint(b, r.newest)
	b = binary.AppendUvarint(b, r.oldest)
	b = binary.AppendUvarint(b, uint64(r.lost))
	b = append(b, r.report...)
	body := b[start+recordHeader:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(body, castagnoli))
	return b
}

// frame is the length of the record that b seems to begin with, header included; 0 when that can be no record.
func frame(b []byte) int {
	if len(b) < recordHeader {
		return 0
	}
	size := int64(binary.LittleEndian.Uint32(b))
	if size < minRecordBody || size > maxRecordBody || size > int64(len(b)-recordHeader) {
		return 0
	}
	return recordHeader + int(size)
}

// player plays the records of a spool file.
type player struct {
	version byte
	kept    []record // with a report, as far as they could be read
	newest  uint64
	oldest  uint64
	lost    int
}

// read is the record that b begins with and its length, which is 0 when there is none or it is damaged.
func (p *player) read(b []byte) (record, int) {
	n := frame(b)
	if n == 0 {
		return record{}, 0
	}
	body := b[recordHeader:n]
	rest := body
	var numbers [3]uint64
	for i := range numbers[:p.numbers()] {
		v, size := binary.Uvarint(rest)
		if size <= 0 {
			return record{}, 0
		}
		numbers[i], rest = v, rest[size:]
	}
	if p.version == '1' {
		numbers = [3]uint64{p.newest, p.oldest + numbers[0], numbers[1]}
		if len(rest) > 0 {
			numbers[0]++
		}
	}
	r := record{numbers[0], numbers[1], int(min(numbers[2], maxLostCount+1)), rest}
	switch {
	case r.newest < p.newest || r.newest == p.newest && len(r.report) > 0,
		r.oldest < p.oldest || r.oldest > r.newest+1,
		r.lost > maxLostCount,
		crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]): // last: b may be the middle of a report
		return record{}, 0
	}
	return r, n
}

// numbers is how many a body begins with.
func (p *player) numbers() int {
	if p.version == '1' {
		return 2
	}
	return 3
}

func (p *player) play(r record) {
	p.newest, p.oldest, p.lost = r.newest, r.oldest, r.lost
	if len(r.report) > 0 {
		p.kept = append(p.kept, r)
	}
}

// played is what a spool file says.
type played struct {
	reports [][]byte // waiting, oldest first
	first   uint64   // number of the first of them
	lost    int      // reports given up and not yet told, the damaged ones included
	damaged int      // of these, the ones that cannot be read: an end that is torn counts as one
	unread  int      // bytes that are no record
	older   bool     // the file has an older format
}

// playSpool reads a spool file's bytes. It fails only for what is no spool, or one of a newer version.
func playSpool(b []byte) (played, error) {
	version, err := spoolVersion(b)
	if err != nil {
		return played{}, err
	}
	p := player{version: version, oldest: 1}
	unread, tail := 0, 0
	for b = b[len(spoolMagic):]; len(b) > 0; {
		if r, n := p.read(b); n > 0 {
			p.play(r)
			b = b[n:]
			continue
		}
		gap, found := 1, false
		for ; gap < len(b) && !found; gap++ {
			if _, n := p.read(b[gap:]); n > 0 {
				found = true
				break
			}
		}
		unread += gap
		if !found {
			tail = 1
		} else if version == '1' { // later versions number their reports
			p.newest++
		}
		b = b[gap:]
	}
	return p.sum(unread, tail), nil
}

// sum is what the file says in the end; tail is 1 when its end cannot be read. How many reports were there nobody knows.
func (p *player) sum(unread, tail int) played {
	sum := played{first: p.oldest, unread: unread, older: p.version != spoolMagic[len(spoolFamily)]}
	for _, r := range p.kept {
		if r.newest >= p.oldest {
			sum.reports = append(sum.reports, r.report)
		}
	}
	missing := p.newest + 1 - p.oldest - uint64(len(sum.reports))
	sum.damaged = int(min(missing+uint64(tail), maxLostCount))
	sum.lost = min(p.lost+sum.damaged, maxLostCount)
	return sum
}
