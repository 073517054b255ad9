package compare

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html.tmpl
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"mos":     func(e Estimate) string { return e.text(1, "%.2f") },
	"percent": func(e Estimate) string { return e.text(100, "%.1f") },
	"whole":   func(e Estimate) string { return e.text(1, "%.0f") },
	"gain":    func(e Estimate) string { return e.text(1, "%+.2f") },
	"share":   func(e Estimate) string { return e.text(100, "%.0f") },
	"of":      func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) },
	"quality": func(s Slice) template.HTML {
		return s.plot("mean quality", func(c *Score) Estimate { return c.Mean }, 1, mosAxis)
	},
	"low": func(s Slice) template.HTML {
		return s.plot("5th percentile", func(c *Score) Estimate { return c.P5 }, 1, mosAxis)
	},
	"poor": func(s Slice) template.HTML {
		return s.plot("poor calls", func(c *Score) Estimate { return c.Poor }, 100, percentAxis)
	},
	"gap": func(s Slice) template.HTML {
		return s.plot("share of the gap", func(c *Score) Estimate { return c.GapShare }, 100, s.gapAxis())
	},
	"rate": func(s Slice) template.HTML {
		return s.plot("rate", func(c *Score) Estimate { return c.Kbps }, 1, axis{format: "%.0f"})
	},
	"hasGap":   func(s Slice) bool { return len(s.Choices) > 0 },
	"networks": countTypes,
}).Parse(pageText))

var (
	mosAxis     = axis{low: 1, high: 4.5, step: 0.5, format: "%.2f"}
	percentAxis = axis{low: 0, high: 100, step: 20, format: "%.0f"}
	gapAxis     = axis{low: -100, high: 100, step: 25, format: "%.0f"}
)

// gapAxis has room for a per-segment oracle, which closes more than the gap of the oracle.
func (s *Slice) gapAxis() axis {
	a := gapAxis
	if s.BySegment != nil {
		a.high = 200
		a.step = 50
	}
	return a
}

// HTML writes the result as a page that needs nothing else. It follows the reader's choice of light or dark.
func (r *Result) HTML(w io.Writer) error {
	if err := page.Execute(w, r); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// typeCount is how many networks a source has on a side of the split.
type typeCount struct {
	Source, Type, Split string
	Networks            int
}

// countTypes lists the sources of a result in the order of its networks.
func countTypes(all []NetworkInfo) []typeCount {
	var counts []typeCount
	at := map[typeCount]int{}
	for _, n := range all {
		key := typeCount{Source: n.Source, Type: n.Type.String(), Split: n.Split.String()}
		i, seen := at[key]
		if !seen {
			i = len(counts)
			at[key] = i
			counts = append(counts, key)
		}
		counts[i].Networks++
	}
	return counts
}
