package transparency_test

import (
	"strings"
	"testing"

	"github.com/attune-calls/attune/telemetry/transparency"
)

func TestNotes(t *testing.T) {
	for _, note := range []string{
		"", "asked for calls of one subscriber", "contested on 2026-01-20, decided 2026-02-01", "3 requests, one letter",
		"Art. 15 GDPR", "section 112 (2)", "sent to the wrong company", "from 10:30 to 11:00", "1 + 1 letters, 100000 euros",
		"Überwachung ab sofort verlangt", strings.Repeat("x", transparency.MaxNote),
	} {
		if err := transparency.CheckNote(note); err != nil {
			t.Errorf("%q: %v", note, err)
		}
	}
	for _, note := range []string{
		"192.0.2.7", "about [2001:db8::1]:443", "fe80::1%eth0", "call from 192.0.2.7:5060",
		"+49 30 1234567", "030/123 45 67", "(202) 555-0147", "tel 0 3 0 1 2 3 4 5", "٠٣٠١٢٣٤٥٦٧", "1.800.555.01.99",
		"alice@example.org", "alice at mail.example", "https://x", "see example.com", "box aGVsbG8@x",
		"device 00:1a:2b:3c:4d:5e", "report 9f86d081884c", "IMEI 490154203237518", "date 2026-13-40", "case 4711-0815",
		"two\nlines", "tab\there", "\x00", "\xff", " space", "space ", "bell\a", "\u202eright to left",
		strings.Repeat("x", transparency.MaxNote+1),
	} {
		if err := transparency.CheckNote(note); err == nil {
			t.Errorf("%q was accepted", note)
		}
	}
}

func FuzzCheckNote(f *testing.F) {
	for _, note := range []string{"nothing to see", "192.0.2.7", "+49 30 1234567", "alice@example.org", "2026-01-20"} {
		f.Add(note)
	}
	f.Fuzz(func(t *testing.T, note string) {
		if transparency.CheckNote(note) != nil {
			return
		}
		if len(note) > transparency.MaxNote || strings.ContainsAny(note, "@\n\r\x00") {
			t.Errorf("%q was accepted", note)
		}
		for _, secret := range []string{" 192.0.2.7", " +49 30 1234567", " bob@example.org"} {
			if transparency.CheckNote(note+secret) == nil {
				t.Errorf("%q was accepted", note+secret)
			}
		}
	})
}
