package registry

import (
	"fmt"
	"math"
	"strings"

	"github.com/attune-calls/attune/telemetry/response"
)

// page is docs/what-we-collect.md, for people who make no software.
func (r *Registry) page() []byte {
	var s source
	s.line("<!-- Generated from telemetry/schema/registry.yaml by \"make gen\"; do not edit. -->\n")
	s.line("# What we collect\n")
	s.line(`When reporting is switched on, the app sends one report for each side of a call, after the call. A report says how well
the call went and which settings were in use, so that calls get better on networks like that one. When reporting is
switched off, nothing is collected and nothing is sent, what was waiting to be sent is deleted, and calls work as before.

This page lists every field a report can have: there are no others. It is generated from the file that also makes the
program's own types and the database's tables, so it cannot say less than the program does. It describes version %d of
the report.
`, r.Version)
	s.line("## What is never collected\n")
	for _, line := range r.NotCollected {
		s.line("* %s", line)
	}
	s.line(`
## See for yourself

%sattune privacy view --example%s prints a report byte by byte, with what each byte means, and
%sattune privacy view --spool FILE%s does so for what an app on your own device is about to send.

To receive a report a server has to be connected to the device, and sees its network address while the connection lasts.
[privacy.md](privacy.md) tells how that address is kept out of everything that is written down.

## The fields

Each entry tells what the field says and all it can say, why it is collected, and until when: by the day of review
somebody has to decide that the purpose still holds. Until they have, and after the day the field expires, the project's
tests fail and no new version of the app can be made with it.
`, "`", "`", "`", "`")
	for i := range r.Messages {
		if m := &r.Messages[i]; m.Name != messagePack {
			r.messageOnPage(&s, m)
		}
	}
	r.wideOnPage(&s)
	r.randomizedOnPage(&s)
	r.listsOnPage(&s)
	r.scalesOnPage(&s)
	r.storedOnPage(&s)
	r.historyOnPage(&s)
	return s.Bytes()
}

func (r *Registry) messageOnPage(s *source, m *Message) {
	s.line("### %s\n", m.Name)
	s.comment("", capital(m.About)+".", commentWidth)
	s.line("")
	s.line("| field | what it says | what it can be | why | since version | review by | expires |")
	s.line("|---|---|---|---|---|---|---|")
	for i := range m.Fields {
		f := &m.Fields[i]
		if f.Retired == 0 {
			s.line("| %s | %s | %s | %s | %d | %s | %s |", f.Name, f.Says, r.possible(f), f.Purpose, f.Since, f.Review, f.Expires)
		}
	}
	s.line("")
}

// possible says what values a field can have.
func (r *Registry) possible(f *Field) string {
	var text string
	switch f.Type {
	case TypeEnum, TypeFlags:
		text = fmt.Sprintf("one of the %d of [%s](#%s)", len(r.ListOf(f.List).Members), f.List, strings.ToLower(f.List))
	case TypeBucket:
		scale := r.ScaleOf(f.Scale)
		text = fmt.Sprintf("one of %d ranges of [%s](#%s) in %s, or not measured", len(scale.Bounds())+1, scale.Name, strings.ToLower(scale.Name), scale.Unit)
	case TypeCounter:
		text = "a whole number: " + f.rangeText()
		if f.Each != "" {
			text += fmt.Sprintf(", one for each of [%s](#%s)", f.Each, strings.ToLower(f.Each))
		}
	case TypeFlag:
		text = "yes or no"
	case TypeIndex:
		text = fmt.Sprintf("a position in a table of this report, 0..%d", f.Max)
	case TypeID:
		text = "a random number, drawn anew for each report"
	case TypeTable:
		text = fmt.Sprintf("entries of [%s](#%s), at most %d", f.Of, strings.ToLower(f.Of), f.Max)
	case TypeMessage:
		text = fmt.Sprintf("[%s](#%s)", f.Of, strings.ToLower(f.Of))
	}
	if f.Epsilon > 0 {
		text += fmt.Sprintf(" ([randomized](#randomized-answers), epsilon %v)", f.Epsilon)
	}
	return text
}

// wideOnPage tells how much fits into a report, and why what has many values points at nobody.
func (r *Registry) wideOnPage(s *source) {
	s.line(`## How much a report can say

A number can name a person without being a name: it only has to be long enough. So how much each part of a report can
hold is limited, and a test fails when a field is added that there is no room for. The id aside, that is at most`)
	s.line("")
	for i := range r.Messages {
		if m := &r.Messages[i]; m.Name != messagePack {
			s.line("* %s: %.0f bits%s", m.Name, math.Ceil(r.Bits(m)), entries(m))
		}
	}
	s.line("\nEach field that can have more than %d values has a reason why they point at nobody:\n", narrow)
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Fields {
			if f := &m.Fields[j]; f.Wide != "" {
				s.line("* %s of %s: %s", f.Name, m.Name, f.Wide)
			}
		}
	}
	s.line("")
}

// entries says what the bits of a message are counted for.
func entries(m *Message) string {
	switch {
	case m.Columns:
		return " for each segment, about the network while it lasted"
	case m.Name == messageReport:
		return " about the call as a whole"
	}
	return " for each entry that segments of the report point at"
}

func (r *Registry) randomizedOnPage(s *source) {
	s.line(`## Randomized answers

When the app asks how a call was, the answer does not leave the device as it was given. The device draws lots first:

* Of the stars it sends the true number with a chance of %.0f %%, and each other number with a chance of %.1f %%.
* Of the %d things that may have been wrong it picks one at random, and sends a yes or no about that one only, which is
  true with a chance of %.0f %%.

So an answer in a report is a hint and never proof of what the person said, not even to somebody who holds all the data.
In the language of local differential privacy, each of the two keeps an epsilon of %v: no answer is more than e^%v = %.1f
times as likely after one true opinion as after another. Both together keep %v for each call that was rated. That a call was
rated at all is visible.

Over many calls the lots cancel out, and the share of each answer can be estimated without bias, only less exactly. This
is the accuracy that is lost, as the factor by which the standard error grows compared with answers sent as they are,
and in how many times more calls the same accuracy takes:
`, 100*response.StarsTruth, 100*response.StarsLie, response.Flags, 100*response.ProblemTruth,
		response.EpsilonStars, response.EpsilonStars, math.Exp(response.EpsilonStars), response.Epsilon)
	s.line("| true share | stars: error | stars: calls | a problem: error | a problem: calls |\n|---|---|---|---|---|")
	for _, share := range []float64{0.02, 0.05, 0.1, 0.2, 0.5} {
		stars, problem := response.StarsLost(share), response.ProblemLost(share)
		s.line("| %.0f %% | x %.1f | x %.1f | x %.1f | x %.0f |", 100*share, stars, stars*stars, problem, problem*problem)
	}
	s.line("")
}

func (r *Registry) listsOnPage(s *source) {
	s.line("## Lists\n")
	for i := range r.Lists {
		l := &r.Lists[i]
		s.line("### %s\n", l.Name)
		s.line("%s.\n", capital(l.Says))
		if l.Members[len(l.Members)-1].Says == "" {
			s.comment("", strings.Join(namesOf(l.Members, func(m Member) string { return m.Name }), ", ")+".", commentWidth)
			s.line("")
			continue
		}
		for value, m := range l.Members {
			s.line("* %d %s: %s", value, m.Name, m.Says)
		}
		s.line("")
	}
}

func (r *Registry) scalesOnPage(s *source) {
	s.line("## Scales\n")
	s.line("A measurement is cut to one of these ranges on the device. The first range takes all that is below it, the last all\nthat is above.\n")
	for i := range r.Scales {
		scale := &r.Scales[i]
		s.line("### %s\n", scale.Name)
		bounds := scale.Bounds()
		switch {
		case scale.Linear > 0:
			s.line("%d ranges from %v to %v %s, each %v wide.\n", len(bounds)+1, scale.Lower, scale.Upper, scale.Unit, scale.Linear)
		case scale.Geometric > 0:
			growth := 100 * (math.Pow(scale.Upper/scale.First, 1/float64(scale.Geometric)) - 1)
			s.line("%d ranges: below %v %s, then each %.0f %% wider than the one before, up to %v.\n", len(bounds)+1, scale.First, scale.Unit, growth, scale.Upper)
		default:
			s.line("%d ranges, divided at %s %s.\n", len(bounds)+1, joinFloats(bounds), scale.Unit)
		}
	}
}

func (r *Registry) storedOnPage(s *source) {
	s.line("## What is stored\n")
	s.line("The database has these columns, and no others for reports. It keeps no address of the device a report came from.\n")
	for i := range r.Tables {
		t := &r.Tables[i]
		s.line("### Table %s\n\n%s.\n", t.Name, capital(t.Says))
		s.line("| column | type | from |\n|---|---|---|")
		for j := range t.Columns {
			column := &t.Columns[j]
			from := strings.Join(column.From, ", ")
			if column.Says != "" {
				from += ": " + column.Says
			}
			s.line("| %s | %s | %s |", column.Name, r.shortType(t, column), from)
		}
		s.line("")
	}
}

func (r *Registry) historyOnPage(s *source) {
	s.line("## History\n")
	for i, brought := range r.History {
		s.line("* Version %d: %s.", i+1, brought)
	}
	s.line("\nNo longer sent:\n")
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Fields {
			if f := &m.Fields[j]; f.Retired != 0 {
				s.line("* %s (number %d), versions %d to %d: %s.", f.Name, f.Number, f.Since, f.Retired-1, f.Says)
			}
		}
	}
}
