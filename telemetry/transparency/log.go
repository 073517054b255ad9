package transparency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/attune-calls/attune/telemetry/internal/filelock"
)

// Log is a verified log of requests, in the order of its entries.
type Log []Entry

// Head is the Hash of the last entry, and zeros for an empty log. Whoever notes it can tell later that nothing was cut off.
func (l Log) Head() string {
	if len(l) == 0 {
		return firstPrevious
	}
	return l[len(l)-1].Hash
}

// Contains tells whether an entry has this Hash: whether the log goes on from a Head noted earlier.
func (l Log) Contains(head string) bool {
	found := head == firstPrevious
	for i := range l {
		found = found || l[i].Hash == head
	}
	return found
}

// open is the request with a sequence number, if it waits for an answer.
func (l Log) open(sequence uint64) (*Request, error) {
	if sequence == 0 || sequence > uint64(len(l)) || l[sequence-1].AnswerTo != 0 {
		return nil, fmt.Errorf("entry %d is no request", sequence)
	}
	for i := range l {
		if l[i].Answered != "" && (l[i].Sequence == sequence || l[i].AnswerTo == sequence) {
			return nil, fmt.Errorf("request %d is answered already, by entry %d", sequence, l[i].Sequence)
		}
	}
	return &l[sequence-1].Request, nil
}

// Requests lists the requests with the answers that later entries gave them, and their sequence numbers.
func (l Log) Requests() []NumberedRequest {
	var list []NumberedRequest
	place := make(map[uint64]int)
	for i := range l {
		e := &l[i]
		if e.AnswerTo == 0 {
			place[e.Sequence] = len(list)
			list = append(list, NumberedRequest{Number: e.Sequence, Request: e.Request})
			continue
		}
		r := &list[place[e.AnswerTo]]
		r.Answered, r.Answer = e.Answered, e.Answer
		if r.Note != "" && e.Note != "" {
			r.Note += "; "
		}
		r.Note += e.Note
	}
	return list
}

// NumberedRequest is a request with its number in the log.
type NumberedRequest struct {
	Number uint64 `json:"number"`
	Request
}

// ReadLogFile is ReadLog of a file. A file that does not exist is an empty log.
func ReadLogFile(path string, trusted ...PublicKey) (Log, error) {
	text, err := readLogText(path)
	if err != nil {
		return nil, err
	}
	log, err := ReadLog(text, trusted...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return log, nil
}

func readLogText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log of requests: %w", err)
	}
	if info.Size() > maxLogBytes {
		return nil, fmt.Errorf("%s: %w: %d bytes, more than any log has", path, ErrTampered, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("log of requests: %w", err)
	}
	return text, nil
}

// Append adds a request to the log file at path, signed with key and dated with the day of now, and returns the entry. The
// file is made when it is absent. The log is verified first, against the key and the trusted ones, and a log that does not
// verify is left as it is. The file is replaced as a whole, so that a crash leaves the old log or the new one; what was in it
// comes first and unchanged. Processes on one machine take turns: ErrLocked of package filelock is returned to the second.
func Append(path string, key *Key, now time.Time, r Request, trusted ...PublicKey) (Entry, error) {
	return appendEntry(path, key, now, Entry{Request: r}, trusted)
}

// AppendAnswer answers the open request with a number, as Append adds one.
func AppendAnswer(path string, key *Key, now time.Time, number uint64, answered Day, answer Answer, note string, trusted ...PublicKey) (Entry, error) {
	if number == 0 {
		return Entry{}, errors.New("answer a request: entry 0 is no request")
	}
	e := Entry{AnswerTo: number, Request: Request{Answered: answered, Answer: answer, Note: note}}
	return appendEntry(path, key, now, e, trusted)
}

func appendEntry(path string, key *Key, now time.Time, e Entry, trusted []PublicKey) (_ Entry, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Entry{}, fmt.Errorf("log of requests: %w", err)
	}
	lock, err := filelock.Acquire(path + ".lock")
	if err != nil {
		return Entry{}, fmt.Errorf("log of requests: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	text, err := readLogText(path)
	if err != nil {
		return Entry{}, err
	}
	trusted = append([]PublicKey{key.Public()}, trusted...)
	log, err := ReadLog(text, trusted...)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", path, err)
	}
	e.Sequence, e.Recorded, e.Previous = uint64(len(log)+1), DayOf(now), log.Head()
	if err := log.follows(&e); err != nil {
		return Entry{}, err
	}
	if err := e.seal(key); err != nil {
		return Entry{}, fmt.Errorf("log of requests: %w", err)
	}
	line, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("log of requests: %w", err)
	}
	whole := append(append(bytes.Clone(text), line...), '\n')
	if _, err := ReadLog(whole, trusted...); err != nil { // what cannot be read back would spoil the log
		return Entry{}, fmt.Errorf("log of requests: an entry that could not be read back: %w", err)
	}
	return e, replaceFile(path, whole)
}

// replaceFile puts data at path in one step, synced.
func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, ".requests-*")
	if err != nil {
		return fmt.Errorf("log of requests: %w", err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("log of requests: %w", err), os.Remove(file.Name()))
	}
	directory, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("log of requests: %w", err)
	}
	return errors.Join(directory.Sync(), directory.Close())
}
