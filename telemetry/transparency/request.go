package transparency

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
)

// Kind is who asked.
type Kind uint8

// The values of Kind.
const (
	KindUnknown    Kind = iota
	KindCourtOrder      // a court
	KindSubpoena        // a prosecutor or the police, without a court
	KindUser            // a person about data on themselves
	KindRegulator       // a data-protection or telecommunications authority
)

var kindNames = [...]string{"unknown", "court-order", "subpoena", "user", "regulator"}

// Kinds lists every kind but the unknown one.
func Kinds() []Kind { return []Kind{KindCourtOrder, KindSubpoena, KindUser, KindRegulator} }

func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "invalid"
	}
	return kindNames[k]
}

// ParseKind reads the name of a kind; "unknown" is not one.
func ParseKind(name string) (Kind, error) {
	for _, k := range Kinds() {
		if k.String() == name {
			return k, nil
		}
	}
	return KindUnknown, fmt.Errorf("kind %q is not one of %s", name, listed(Kinds()))
}

// MarshalText writes the name of k.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name.
func (k *Kind) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKind(string(text))
	return err
}

// Answer is what was done about a request.
type Answer uint8

// The values of Answer.
const (
	AnswerNone      Answer = iota // not answered yet
	AnswerNothing                 // there was nothing to hand over
	AnswerRefused                 // the request was refused
	AnswerContested               // the request was contested before a court
	AnswerFigures                 // figures about groups were handed over, as they are in this report
	AnswerReports                 // stored reports were handed over
	AnswerComplied                // something else was done; the note says what
	AnswerWithdrawn               // whoever asked took it back
)

var answerNames = [...]string{
	"", "nothing to hand over", "refused", "contested", "figures handed over", "reports handed over",
	"complied otherwise", "withdrawn",
}

// Answers lists every answer but the missing one.
func Answers() []Answer {
	return []Answer{AnswerNothing, AnswerRefused, AnswerContested, AnswerFigures, AnswerReports, AnswerComplied, AnswerWithdrawn}
}

func (a Answer) String() string {
	if int(a) >= len(answerNames) {
		return "invalid"
	}
	return answerNames[a]
}

// ParseAnswer reads an answer as String writes it.
func ParseAnswer(name string) (Answer, error) {
	for _, a := range Answers() {
		if a.String() == name {
			return a, nil
		}
	}
	return AnswerNone, fmt.Errorf("answer %q is not one of %s", name, listed(Answers()))
}

// MarshalText writes the name of a.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads a name.
func (a *Answer) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAnswer(string(text))
	return err
}

func listed[T fmt.Stringer](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(words, ", ")
}

// Day is a calendar date, YYYY-MM-DD. The empty Day is none.
type Day string

// ParseDay reads a date between 2000 and 2199.
func ParseDay(text string) (Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 2000 || t.Year() > 2199 {
		return "", fmt.Errorf("date %q is not a day YYYY-MM-DD of 2000 to 2199", text)
	}
	return Day(text), nil
}

// DayOf is the day of t in UTC.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// Request is one request as an operator enters it: who asked, from which country, when, and what was answered. Answered
// and Answer are given together, or neither while the request is open.
type Request struct {
	Kind         Kind   `json:"kind,omitempty"`
	Jurisdiction string `json:"jurisdiction,omitempty"` // ISO 3166-1 alpha-2
	Received     Day    `json:"received,omitempty"`
	Answered     Day    `json:"answered,omitempty"`
	Answer       Answer `json:"answer,omitempty"`
	Note         string `json:"note,omitempty"` // see CheckNote
}

// Validate reports every fault of a request entered on a day.
func (r *Request) Validate(today Day) error {
	var faults []error
	if r.Kind == KindUnknown || int(r.Kind) >= len(kindNames) {
		faults = append(faults, fmt.Errorf("kind: want one of %s", listed(Kinds())))
	}
	faults = append(faults, checkCountry(r.Jurisdiction))
	if _, err := ParseDay(string(r.Received)); err != nil {
		faults = append(faults, fmt.Errorf("received: %w", err))
	} else if r.Received > today {
		faults = append(faults, fmt.Errorf("received: %s is after %s, the day of the entry", r.Received, today))
	}
	if (r.Answered == "") != (r.Answer == AnswerNone) {
		faults = append(faults, errors.New("answer: give the answer and its date together, or neither while the request is open"))
	} else if r.Answered != "" {
		faults = append(faults, r.checkAnswer(r.Received, today))
	}
	faults = append(faults, CheckNote(r.Note))
	return errors.Join(faults...)
}

// checkAnswer checks an answer to a request that came on a day.
func (r *Request) checkAnswer(received, today Day) error {
	if _, err := ParseDay(string(r.Answered)); err != nil {
		return fmt.Errorf("answered: %w", err)
	}
	switch {
	case r.Answered < received:
		return fmt.Errorf("answered: %s is before %s, the day the request came", r.Answered, received)
	case r.Answered > today:
		return fmt.Errorf("answered: %s is after %s, the day of the entry", r.Answered, today)
	case r.Answer == AnswerNone || int(r.Answer) >= len(answerNames):
		return fmt.Errorf("answer: want one of %s", listed(Answers()))
	}
	return nil
}

func checkCountry(code string) error {
	region, err := model.ParseRegion(code)
	if err != nil || region == model.RegionWithheld || region.String() != code {
		return fmt.Errorf("jurisdiction %q is not a country of ISO 3166-1 alpha-2 in capitals, such as DE", code)
	}
	return nil
}

// next is the day after a valid day.
func (d Day) next() Day {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return ""
	}
	return DayOf(t.AddDate(0, 0, 1))
}
