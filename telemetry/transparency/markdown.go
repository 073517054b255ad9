package transparency

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"time"
)

//go:embed report.md.tmpl
var markdownText string

// words are the functions of both templates.
var words = map[string]any{
	"grouped": func(n any) (string, error) {
		switch n := n.(type) {
		case uint64:
			return grouped(n), nil
		case *uint64:
			return grouped(*n), nil
		case int:
			return grouped(uint64(n)), nil
		}
		return "", fmt.Errorf("a %T has no thousands", n)
	},
	"size": size,
	"stamp": func(t any) (string, error) {
		switch t := t.(type) {
		case time.Time:
			return stamp(t), nil
		case *time.Time:
			return stamp(*t), nil
		}
		return "", fmt.Errorf("a %T is no time", t)
	},
	"join": func(list []string) string { return strings.Join(list, ", ") },
	"age": func(d time.Duration) string {
		switch {
		case d == 0:
			return "no limit"
		case d%day == 0:
			return counted(uint64(d/day), "day")
		default:
			return d.String()
		}
	},
	"limit": func(n int64) string {
		if n < 0 {
			return "no limit"
		}
		return size(uint64(n))
	},
}

var markdownTemplate = template.Must(template.New("report").Funcs(words).Funcs(template.FuncMap{"cell": cell}).Parse(markdownText))

// cell keeps text from ending a table's cell or beginning a mark-up.
func cell(text string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "\n", " ").Replace(text)
}

// view is what both templates see.
type view struct {
	*Report
	Requests requestsView
}

type requestsView struct {
	Requests
	Ever int
}

func (r *Report) view() view {
	ever, _ := r.Requests.ever()
	return view{r, requestsView{r.Requests, ever}}
}

// Unexplained names the tables and columns that neither the registry nor this program knows.
func (r *Report) Unexplained() []string { return r.unexplained() }

// Markdown renders the report as GitHub-flavoured Markdown.
func (r *Report) Markdown() ([]byte, error) {
	var b bytes.Buffer
	if err := markdownTemplate.Execute(&b, r.view()); err != nil {
		return nil, fmt.Errorf("transparency report: %w", err)
	}
	return b.Bytes(), nil
}
