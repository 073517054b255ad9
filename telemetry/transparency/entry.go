package transparency

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Entry is one line of the log: a request, or the answer to one that was open.
type Entry struct {
	Sequence uint64 `json:"sequence"` // from 1, without gaps
	Recorded Day    `json:"recorded"` // when the entry was made
	Previous string `json:"previous"` // Hash of the entry before; zeros for the first
	// AnswerTo is 0 for a request, and otherwise the sequence of the request that this entry answers; it then has an
	// answer, its date and perhaps a note, and nothing else.
	AnswerTo uint64 `json:"answerTo,omitempty"`
	Request
	Key       string `json:"key"`       // the public key of Signature, in hexadecimal
	Hash      string `json:"hash"`      // SHA-256 of the entry as JSON with Hash and Signature empty
	Signature string `json:"signature"` // Ed25519 (RFC 8032) over signedPrefix and the 32 bytes of Hash, in hexadecimal
}

const (
	firstPrevious = "0000000000000000000000000000000000000000000000000000000000000000"

	// signedPrefix keeps a signature of this log from being one of anything else. History: v1 = the first.
	signedPrefix = "attune transparency request v1\n"

	maxEntryBytes = 4 << 10
	maxLogBytes   = 16 << 20
)

// ErrTampered says that a log is not what was signed.
var ErrTampered = errors.New("log of requests altered")

func signedBytes(hash []byte) []byte { return append([]byte(signedPrefix), hash...) }

// digest is what Hash must be.
func (e *Entry) digest() ([]byte, error) {
	bare := *e
	bare.Hash, bare.Signature = "", ""
	text, err := json.Marshal(bare)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// seal sets Key, Hash and Signature.
func (e *Entry) seal(key *Key) error {
	e.Key = key.Public().String()
	digest, err := e.digest()
	if err != nil {
		return err
	}
	e.Hash = hex.EncodeToString(digest)
	e.Signature = hex.EncodeToString(ed25519.Sign(key.private, signedBytes(digest)))
	return nil
}

// ReadLog reads and verifies a log: every line is an entry in its one encoding, carries its own hash and that of the
// entry before, is signed by one of the trusted keys, is valid, and answers only an open request. Any fault is
// ErrTampered with the number of the line. Without trusted keys each signature is checked against the key that its entry
// names: that shows that the log is whole, not who wrote it.
//
// The chain shows any change but one: entries missing from the end. Whoever must exclude that notes the Hash of the last
// entry elsewhere, as every published report does, and looks for it with Contains.
func ReadLog(text []byte, trusted ...PublicKey) (Log, error) {
	if len(text) > maxLogBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than any log has", ErrTampered, len(text))
	}
	var log Log
	for len(text) > 0 {
		line, rest, found := bytes.Cut(text, []byte("\n"))
		number := len(log) + 1
		if !found {
			return nil, fmt.Errorf("%w: line %d: no end of line", ErrTampered, number)
		}
		e, err := parseEntry(line)
		if err == nil {
			err = e.verify(trusted)
		}
		if err == nil {
			err = log.follows(&e)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrTampered, number, err)
		}
		log, text = append(log, e), rest
	}
	return log, nil
}

func parseEntry(line []byte) (Entry, error) {
	if len(line) > maxEntryBytes {
		return Entry{}, fmt.Errorf("%d bytes, more than any entry has", len(line))
	}
	var e Entry
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return Entry{}, err
	}
	again, err := json.Marshal(e)
	if err != nil {
		return Entry{}, err
	}
	if !bytes.Equal(again, line) {
		return Entry{}, errors.New("not in the encoding this log is written in")
	}
	return e, nil
}

// verify checks hash and signature.
func (e *Entry) verify(trusted []PublicKey) error {
	digest, err := e.digest()
	if err != nil {
		return err
	}
	if hex.EncodeToString(digest) != e.Hash {
		return errors.New("the hash is not that of the entry")
	}
	key, err := ParsePublicKey(e.Key)
	if err != nil {
		return err
	}
	known := len(trusted) == 0
	for _, t := range trusted {
		known = known || t == key
	}
	if !known {
		return fmt.Errorf("signed with the key %s, which is not trusted", key.Short())
	}
	signature, err := hex.DecodeString(e.Signature)
	if err != nil || hex.EncodeToString(signature) != e.Signature || !ed25519.Verify(key[:], signedBytes(digest), signature) {
		return errors.New("the signature does not verify")
	}
	return nil
}

// follows checks that an entry may come next.
func (l Log) follows(e *Entry) error {
	switch {
	case e.Sequence != uint64(len(l)+1):
		return fmt.Errorf("sequence %d, want %d", e.Sequence, len(l)+1)
	case e.Previous != l.Head():
		return errors.New("the entry does not follow the one before")
	}
	if _, err := ParseDay(string(e.Recorded)); err != nil {
		return fmt.Errorf("recorded: %w", err)
	}
	if e.AnswerTo == 0 {
		return e.Validate(e.Recorded)
	}
	if e.Kind != KindUnknown || e.Jurisdiction != "" || e.Received != "" {
		return errors.New("an answer to an earlier entry repeats neither kind nor jurisdiction nor date of the request")
	}
	request, err := l.open(e.AnswerTo)
	if err != nil {
		return err
	}
	return errors.Join(e.checkAnswer(request.Received, e.Recorded), CheckNote(e.Note))
}
