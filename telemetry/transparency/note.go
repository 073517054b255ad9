package transparency

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attune-calls/attune/telemetry/internal/redact"
)

// MaxNote is the length of the longest note in bytes.
const MaxNote = 200

var (
	isoDate  = regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b`)
	hostName = regexp.MustCompile(`[\pL\pN]\.[\pL]{2,}`)
	longHex  = regexp.MustCompile(`(?i)[0-9a-f]{12,}|([0-9a-f]{2}[:-]){5}[0-9a-f]{2}`)
)

// phoneDigits is how many digits in a row, with only the marks that people write between them, make a number that could
// be somebody's: the shortest subscriber numbers with an area code have seven (ITU-T E.164 sets no lower bound).
const phoneDigits = 7

// CheckNote refuses a note that is longer than MaxNote, has more than one line, or holds what looks like an address of a
// network, a machine or a mailbox, a telephone number, or the number of a case or a device. Dates YYYY-MM-DD may stay. It
// cannot recognise a name: whoever signs the entry answers for that.
func CheckNote(note string) error {
	switch {
	case len(note) > MaxNote:
		return fmt.Errorf("note: %d bytes, at most %d", len(note), MaxNote)
	case !utf8.ValidString(note) || strings.IndexFunc(note, unprintable) >= 0:
		return errors.New("note: want one line of printable text")
	case strings.TrimSpace(note) != note:
		return errors.New("note: begins or ends with a space")
	}
	rest := isoDate.ReplaceAllStringFunc(note, func(date string) string {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			return date
		}
		return "date"
	})
	switch {
	case redact.Addresses(rest) != rest:
		return errors.New("note: it holds what looks like an IP address")
	case longHex.MatchString(rest):
		return errors.New("note: it holds what looks like the number of a device or a report")
	case hasNumber(rest):
		return fmt.Errorf("note: it holds %d digits or more, which could be a telephone number or a case number", phoneDigits)
	case strings.ContainsRune(rest, '@') || hostName.MatchString(rest) || strings.Contains(rest, "://"):
		return errors.New("note: it holds what looks like a mail address, a host name or a link")
	}
	return nil
}

func unprintable(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }

// hasNumber finds a run of digits, of any script, with nothing between them but spaces and punctuation.
func hasNumber(text string) bool {
	digits := 0
	for _, r := range text {
		switch {
		case unicode.IsNumber(r):
			if digits++; digits == phoneDigits {
				return true
			}
		case unicode.IsLetter(r):
			digits = 0
		}
	}
	return false
}
