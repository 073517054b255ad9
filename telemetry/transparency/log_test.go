package transparency_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/telemetry/internal/filelock"
	"github.com/attune-calls/attune/telemetry/transparency"
)

var today = time.Date(2026, 2, 3, 23, 59, 0, 0, time.UTC)

func newKey(t testing.TB) *transparency.Key {
	t.Helper()
	key, err := transparency.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(kind transparency.Kind, country, received string) transparency.Request {
	return transparency.Request{Kind: kind, Jurisdiction: country, Received: transparency.Day(received)}
}

func answered(r transparency.Request, day string, a transparency.Answer) transparency.Request {
	r.Answered, r.Answer = transparency.Day(day), a
	return r
}

// writeLog makes a log of four entries: a request answered at once, two open ones, and an answer to the second.
func writeLog(t testing.TB, key *transparency.Key) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "requests.jsonl")
	court := answered(request(transparency.KindCourtOrder, "DE", "2026-01-05"), "2026-01-07", transparency.AnswerNothing)
	court.Note = "asked for calls of one subscriber"
	for _, r := range []transparency.Request{
		court,
		request(transparency.KindSubpoena, "US", "2026-01-20"),
		request(transparency.KindUser, "FR", "2026-02-01"),
	} {
		if _, err := transparency.Append(path, key, today, r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := transparency.AppendAnswer(path, key, today, 2, "2026-02-02", transparency.AnswerRefused, "not competent"); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLogKeepsWhatWasEntered(t *testing.T) {
	key := newKey(t)
	path := writeLog(t, key)
	log, err := transparency.ReadLogFile(path, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	want := []transparency.NumberedRequest{
		{Number: 1, Request: transparency.Request{
			Kind: transparency.KindCourtOrder, Jurisdiction: "DE", Received: "2026-01-05", Answered: "2026-01-07",
			Answer: transparency.AnswerNothing, Note: "asked for calls of one subscriber",
		}},
		{Number: 2, Request: transparency.Request{
			Kind: transparency.KindSubpoena, Jurisdiction: "US", Received: "2026-01-20", Answered: "2026-02-02",
			Answer: transparency.AnswerRefused, Note: "not competent",
		}},
		{Number: 3, Request: request(transparency.KindUser, "FR", "2026-02-01")},
	}
	if diff := cmp.Diff(want, log.Requests()); diff != "" {
		t.Error(diff)
	}
	if head := log.Head(); !log.Contains(head) || !log[:2].Contains(log[1].Hash) || log[:2].Contains(head) {
		t.Error("the head of a log must be found in it, and not in what is cut off before it")
	}
	if log[0].Recorded != "2026-02-03" {
		t.Errorf("recorded on %s", log[0].Recorded)
	}
}

func TestLogThatIsAbsentIsEmpty(t *testing.T) {
	log, err := transparency.ReadLogFile(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(log) != 0 || !log.Contains(log.Head()) {
		t.Errorf("%v, %v", log, err)
	}
}

// TestEveryChangeIsDetected flips a bit of each byte, and the one that changes the case of a letter; cuts the log at each place, and takes each line out.
func TestEveryChangeIsDetected(t *testing.T) {
	key := newKey(t)
	text, err := os.ReadFile(writeLog(t, key))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := transparency.ReadLog(text, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, changed []byte) {
		t.Helper()
		if _, err := transparency.ReadLog(changed, key.Public()); !errors.Is(err, transparency.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range text {
		for _, bit := range []int{0, 5} {
			changed := bytes.Clone(text)
			changed[i] ^= 1 << bit
			if _, err := transparency.ReadLog(changed, key.Public()); !errors.Is(err, transparency.ErrTampered) {
				t.Fatalf("bit %d of byte %d (%q): %v", bit, i, text[i], err)
			}
		}
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	for cut := 1; cut < len(text); cut++ {
		log, err := transparency.ReadLog(text[:cut], key.Public())
		if text[cut-1] != '\n' {
			if !errors.Is(err, transparency.ErrTampered) {
				t.Fatalf("cut after byte %d: %v", cut, err)
			}
		} else if err != nil || log.Contains(whole.Head()) { // whole entries missing from the end: only the head tells
			t.Fatalf("cut after line %d: %v", len(log), err)
		}
	}
	for i := range lines[:len(lines)-1] {
		refused(fmt.Sprintf("without line %d", i+1), bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil))
	}
	refused("two lines changed places", bytes.Join([][]byte{lines[1], lines[0]}, nil))
	refused("a line twice", bytes.Join([][]byte{lines[0], lines[0]}, nil))
	refused("an empty line", append(bytes.Clone(text), '\n'))
}

// TestForgeriesAreDetected builds logs that are consistent in themselves.
func TestForgeriesAreDetected(t *testing.T) {
	key, thief := newKey(t), newKey(t)
	text, err := os.ReadFile(writeLog(t, thief))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transparency.ReadLog(text, key.Public()); !errors.Is(err, transparency.ErrTampered) || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("a log signed by somebody else: %v", err)
	}
	if _, err := transparency.ReadLog(text, key.Public(), thief.Public()); err != nil {
		t.Errorf("a log signed by the second trusted key: %v", err)
	}
	if _, err := transparency.ReadLog(text); err != nil {
		t.Errorf("a whole log, nobody trusted: %v", err)
	}
	path := filepath.Join(t.TempDir(), "requests.jsonl")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := transparency.Append(path, key, today, request(transparency.KindUser, "DE", "2026-01-01")); !errors.Is(err, transparency.ErrTampered) {
		t.Errorf("append to a log of somebody else: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, text) {
		t.Errorf("a log that does not verify was touched: %v", err)
	}
	if _, err := transparency.Append(path, key, today, request(transparency.KindUser, "DE", "2026-01-01"), thief.Public()); err != nil {
		t.Errorf("append with a new key to the log of an old one: %v", err)
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	key := newKey(t)
	path := writeLog(t, key)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := request(transparency.KindRegulator, "IE", "2026-02-03")
	for name, change := range map[string]func(*transparency.Request){
		"no kind":                func(r *transparency.Request) { r.Kind = 0 },
		"a kind off the list":    func(r *transparency.Request) { r.Kind = 99 },
		"no country":             func(r *transparency.Request) { r.Jurisdiction = "" },
		"a country off the list": func(r *transparency.Request) { r.Jurisdiction = "XX" },
		"the withheld country":   func(r *transparency.Request) { r.Jurisdiction = "ZZ" },
		"a country in lower":     func(r *transparency.Request) { r.Jurisdiction = "de" },
		"no date":                func(r *transparency.Request) { r.Received = "" },
		"no such date":           func(r *transparency.Request) { r.Received = "2026-02-30" },
		"received tomorrow":      func(r *transparency.Request) { r.Received = "2026-02-04" },
		"an answer, no date":     func(r *transparency.Request) { r.Answer = transparency.AnswerRefused },
		"a date, no answer":      func(r *transparency.Request) { r.Answered = "2026-02-03" },
		"an answer off the list": func(r *transparency.Request) { *r = answered(*r, "2026-02-03", 99) },
		"answered before":        func(r *transparency.Request) { *r = answered(*r, "2026-02-02", transparency.AnswerRefused) },
		"answered tomorrow":      func(r *transparency.Request) { *r = answered(*r, "2026-02-04", transparency.AnswerRefused) },
		"a note with an address": func(r *transparency.Request) { r.Note = "about 192.0.2.7" },
	} {
		r := good
		change(&r)
		if _, err := transparency.Append(path, key, today, r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, answer := range map[string]func() error{
		"no request": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 0, "2026-02-03", transparency.AnswerRefused, "")
			return err
		},
		"a request that is not there": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 5, "2026-02-03", transparency.AnswerRefused, "")
			return err
		},
		"answered at once": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 1, "2026-02-03", transparency.AnswerRefused, "")
			return err
		},
		"answered later": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 2, "2026-02-03", transparency.AnswerRefused, "")
			return err
		},
		"an answer": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 4, "2026-02-03", transparency.AnswerRefused, "")
			return err
		},
		"before it came": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 3, "2026-01-31", transparency.AnswerRefused, "")
			return err
		},
		"no answer": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 3, "2026-02-03", transparency.AnswerNone, "")
			return err
		},
		"a telephone number": func() error {
			_, err := transparency.AppendAnswer(path, key, today, 3, "2026-02-03", transparency.AnswerRefused, "+49 30 1234567")
			return err
		},
	} {
		if answer() == nil {
			t.Errorf("answer to %s: accepted", name)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a refused entry changed the log: %v", err)
	}
	if _, err := transparency.Append(path, key, today, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestOneWriterAtATime(t *testing.T) {
	key := newKey(t)
	path := writeLog(t, key)
	lock, err := filelock.Acquire(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	_, err = transparency.Append(path, key, today, request(transparency.KindUser, "DE", "2026-01-01"))
	if !errors.Is(err, filelock.ErrLocked) {
		t.Errorf("append while another appends: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestKeyFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := transparency.LoadKey(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key that is not there: %v", err)
	}
	key, err := transparency.GenerateKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := transparency.LoadKey(dir)
	if err != nil || loaded.Public() != key.Public() {
		t.Errorf("loaded %v, want %v: %v", loaded, key, err)
	}
	public, err := transparency.LoadPublicKey(filepath.Join(dir, transparency.PublicKeyFile))
	if err != nil || public != key.Public() {
		t.Errorf("loaded %v, want %v: %v", public, key, err)
	}
	if _, err := transparency.GenerateKey(dir); err == nil {
		t.Error("a key was overwritten")
	}
	private := filepath.Join(dir, transparency.PrivateKeyFile)
	text, err := os.ReadFile(private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(key), fmt.Sprintf("%#v %+v %x", key, key, key), string(encoded)} {
		if !strings.Contains(shown, key.Public().String()) || len(shown) > 200 {
			t.Errorf("a key prints as %s", shown)
		}
	}
	if err := os.Chmod(private, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := transparency.LoadKey(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that everybody may read: %v", err)
	}
	if err := os.Chmod(private, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"nothing": nil, "text": []byte("secret words"), "half": text[:len(text)/2], "twice": append(bytes.Clone(text), text...),
		"large": bytes.Repeat([]byte("x"), 5000), "another block": bytes.ReplaceAll(text, []byte("PRIVATE"), []byte("PUBLIC")),
	} {
		if err := os.WriteFile(private, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := transparency.LoadKey(dir); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "00", strings.ToUpper(public.String()), public.String() + "00", "g" + public.String()[1:]} {
		if _, err := transparency.ParsePublicKey(text); err == nil {
			t.Errorf("%q is no public key", text)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	key := newKey(f)
	text, err := os.ReadFile(writeLog(f, key))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := transparency.ReadLog(text, key.Public()); err != nil {
		f.Fatalf("the seed must be a log: %v", err)
	}
	f.Add(text)
	f.Add([]byte{})
	f.Add([]byte("{}\n"))
	f.Add(text[:bytes.IndexByte(text, '\n')+1])
	f.Fuzz(func(t *testing.T, text []byte) {
		log, err := transparency.ReadLog(text)
		if err != nil {
			if log != nil || !errors.Is(err, transparency.ErrTampered) {
				t.Errorf("%d entries with %v", len(log), err)
			}
			return
		}
		var again []byte
		for _, e := range log {
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			again = append(append(again, line...), '\n')
			if err := transparency.CheckNote(e.Note); err != nil {
				t.Error(err)
			}
		}
		if !bytes.Equal(again, text) {
			t.Error("what was read is not what is written")
		}
		log.Requests()
	})
}
