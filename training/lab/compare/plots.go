package compare

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// row is one line of a plot.
type row struct {
	label string
	Estimate
	class string // of the style sheet
}

// axis is the scale of a plot.
type axis struct {
	low, high float64
	step      float64 // between two lines of the grid
	format    string
}

// The measures of a plot, in units of its viewBox.
const (
	plotWidth  = 620
	plotLabel  = 120 // room for labels
	plotFigure = 66  // room for the value
	plotRow    = 24
	plotFoot   = 22
)

// dots draws a value with its interval for each row. Colours come from the page, so that it follows light and dark.
func dots(title string, rows []row, a axis) template.HTML {
	height := plotRow*len(rows) + plotFoot
	x := func(v float64) float64 {
		share := (min(max(v, a.low), a.high) - a.low) / (a.high - a.low)
		return plotLabel + share*(plotWidth-plotLabel-plotFigure)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, height, template.HTMLEscapeString(title))
	for i := 0; ; i++ {
		v := a.low + float64(i)*a.step
		if v > a.high+a.step/1000 {
			break
		}
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="0" y2="%d"/><text class="tick" x="%.1f" y="%d">%s</text>`,
			x(v), x(v), height-plotFoot, x(v), height-6, fmt.Sprintf(a.format, v))
	}
	for i, r := range rows {
		y := plotRow*i + plotRow/2
		fmt.Fprintf(&b, `<text class="label" x="%d" y="%d">%s</text>`, plotLabel-10, y+4, template.HTMLEscapeString(r.label))
		if r.Value == nil {
			fmt.Fprintf(&b, `<text class="figure" x="%d" y="%d">-</text>`, plotWidth, y+4)
			continue
		}
		if r.Low != nil && r.High != nil {
			fmt.Fprintf(&b, `<line class="bar %s" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, r.class, x(*r.Low), x(*r.High), y, y)
		}
		fmt.Fprintf(&b, `<circle class="dot %s" cx="%.1f" cy="%d" r="5"/><text class="figure" x="%d" y="%d">%s</text>`,
			r.class, x(*r.Value), y, plotWidth, y+4, fmt.Sprintf(a.format, *r.Value))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // labels are escaped above
}

// plot draws one figure of all contenders on a slice.
func (s *Slice) plot(title string, figure func(*Score) Estimate, scale float64, a axis) template.HTML {
	var rows []row
	for i := range s.Scores {
		c := &s.Scores[i]
		class := "policy"
		switch c.Name {
		case NameOracle, NameOracleBySegment:
			class = NameOracle
		case NameDefault:
			class = "base"
		}
		rows = append(rows, row{c.Name, figure(c).times(scale), class})
	}
	if a.high == 0 {
		a = fitted(rows, a.format)
	}
	return dots(title, rows, a)
}

func (e Estimate) times(scale float64) Estimate {
	scaled := func(v *float64) *float64 {
		if v == nil {
			return nil
		}
		w := *v * scale
		return &w
	}
	return Estimate{scaled(e.Value), scaled(e.Low), scaled(e.High)}
}

// fitted is an axis from 0 to a round number above all values.
func fitted(rows []row, format string) axis {
	most := 0.0
	for _, r := range rows {
		for _, v := range []*float64{r.Value, r.High} {
			if v != nil {
				most = max(most, *v)
			}
		}
	}
	if most == 0 {
		most = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, finer := range []float64{0.5, 0.4, 0.5} { // 5, 2, 1 of the next power below
		if most/step < 4 {
			step *= finer
		}
	}
	return axis{low: 0, high: math.Ceil(most/step) * step, step: step, format: format}
}
