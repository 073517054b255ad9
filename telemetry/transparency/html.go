package transparency

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

//go:embed report.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(words).Funcs(template.FuncMap{
	"badge": func(l Level) string {
		if l == LevelUnknown {
			return "unknown-level" // not the class of what is unknown in a table
		}
		return string(l)
	},
	"short": func(field string) string { return field[strings.Index(field, ".")+1:] },
}).Parse(pageText))

// bar is one day of the chart, in percent of the highest.
type bar struct {
	Title          string
	Withheld, Rest float64
}

// maxBars is how many days have room in the chart; a longer period shows its first ones.
const maxBars = 400

// page is what the page sees besides the view.
type page struct {
	view
	FieldGroups       []fieldGroup
	Bars              []bar
	FirstBar, LastBar Day
	Highest           uint64
}

// fieldGroup is the fields of one message.
type fieldGroup struct {
	Message string
	Fields  []Field
}

func fieldGroups(fields []Field) []fieldGroup {
	var groups []fieldGroup
	for _, f := range fields {
		message, _, _ := strings.Cut(f.Name, ".")
		if n := len(groups); n == 0 || groups[n-1].Message != message {
			groups = append(groups, fieldGroup{Message: message})
		}
		last := &groups[len(groups)-1]
		last.Fields = append(last.Fields, f)
	}
	return groups
}

// HTML renders the report as one page that refers to nothing outside itself. It is also well-formed XML.
func (r *Report) HTML() ([]byte, error) {
	p := page{view: r.view(), FieldGroups: fieldGroups(r.Fields)}
	for _, d := range r.Held.Days {
		p.Highest = max(p.Highest, d.Reports)
	}
	if p.Highest > 0 {
		counts := make(map[Day]DayCount)
		for _, d := range r.Held.Days {
			counts[d.Day] = d
		}
		p.FirstBar, p.LastBar = r.Held.Days[0].Day, r.Held.Days[len(r.Held.Days)-1].Day
		for d := p.FirstBar; d != "" && d <= p.LastBar && len(p.Bars) < maxBars; d = d.next() {
			c, part := counts[d], func(n uint64) float64 { return 100 * float64(n) / float64(p.Highest) }
			p.Bars = append(p.Bars, bar{
				fmt.Sprintf("%s: %s, region withheld for %s", d, counted(c.Reports, "report"), grouped(c.Withheld)),
				part(c.Withheld), part(c.Reports - c.Withheld),
			})
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("transparency report: %w", err)
	}
	return b.Bytes(), nil
}
