package demo

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/attune-calls/attune/training/evaluate"
)

// The colours of the two arms, and of what is simulated and real; told apart by people with any kind of colour vision
// (Okabe and Ito, 2008).
var (
	colourBefore    = color.NRGBA{R: 0xE6, G: 0x9F, B: 0x00, A: 0xFF}
	colourAfter     = color.NRGBA{R: 0x00, G: 0x72, B: 0xB2, A: 0xFF}
	colourSimulated = color.NRGBA{R: 0xCC, G: 0x79, B: 0xA7, A: 0xFF}
	colourReal      = color.NRGBA{R: 0x00, G: 0x9E, B: 0x73, A: 0xFF}
	colourMark      = color.NRGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xFF}
)

// qualityPlot shows the mean quality of both arms by network, with intervals.
func qualityPlot(networks []NetworkResult) (template.HTML, error) {
	p := plot.New()
	p.Y.Label.Text = "MOS"
	p.Y.Min, p.Y.Max = 1, 5
	err := pairs(p, networks, func(a Arm) evaluate.Estimate { return a.MOS })
	if err != nil {
		return "", err
	}
	return svg(p, 8*vg.Inch, 3.2*vg.Inch)
}

// ratePlot shows what both arms sent, by network, with intervals.
func ratePlot(networks []NetworkResult) (template.HTML, error) {
	p := plot.New()
	p.Y.Label.Text = "kbps"
	p.Y.Min = 0
	if err := pairs(p, networks, func(a Arm) evaluate.Estimate { return a.Kbps }); err != nil {
		return "", err
	}
	return svg(p, 8*vg.Inch, 3.2*vg.Inch)
}

// truthPlot shows the gain by network as simulation had forecast it and as the real calls gave it.
func truthPlot(networks []NetworkResult) (template.HTML, error) {
	p := plot.New()
	p.Y.Label.Text = "gain in MOS"
	p.Y.Min, p.Y.Max = 0, 0 // the plotters widen it
	err := intervals(p, networks, []series{
		{"forecast (simulated)", colourSimulated, draw.BoxGlyph{}, -0.12, func(n NetworkResult) evaluate.Estimate { return n.Forecast.Gain }},
		{"measured (real)", colourReal, draw.CircleGlyph{}, 0.12, func(n NetworkResult) evaluate.Estimate { return n.Gain }},
	})
	if err != nil {
		return "", err
	}
	return svg(p, 8*vg.Inch, 3.2*vg.Inch)
}

// pairs draws a quantity of both arms.
func pairs(p *plot.Plot, networks []NetworkResult, of func(Arm) evaluate.Estimate) error {
	return intervals(p, networks, []series{
		{"before (old policy)", colourBefore, draw.CircleGlyph{}, -0.12, func(n NetworkResult) evaluate.Estimate { return of(n.Before) }},
		{"after (learned policy)", colourAfter, draw.CircleGlyph{}, 0.12, func(n NetworkResult) evaluate.Estimate { return of(n.After) }},
	})
}

// series is one figure of each network, with its interval.
type series struct {
	name   string
	colour color.Color
	glyph  draw.GlyphDrawer
	shift  float64 // to the right of the network's name
	of     func(NetworkResult) evaluate.Estimate
}

// interval points: plotter wants values and their distances to the bounds.
type intervalPoints struct {
	plotter.XYs
	plotter.YErrors
}

func intervals(p *plot.Plot, networks []NetworkResult, all []series) error {
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = n.Network
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.6, float64(len(networks))-0.4
	for _, s := range all {
		var points intervalPoints
		for i, n := range networks {
			v := s.of(n)
			if math.IsNaN(v.Value) { // nothing measured
				continue
			}
			points.XYs = append(points.XYs, plotter.XY{X: float64(i) + s.shift, Y: v.Value})
			points.YErrors = append(points.YErrors, struct{ Low, High float64 }{v.Value - v.Low, v.High - v.Value})
		}
		if len(points.XYs) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(points.XYs)
		if err != nil {
			return fmt.Errorf("plot %s: %w", s.name, err)
		}
		dots.Color, dots.Shape, dots.Radius = s.colour, s.glyph, vg.Points(4)
		bars, err := plotter.NewYErrorBars(points)
		if err != nil {
			return fmt.Errorf("plot %s: %w", s.name, err)
		}
		bars.Color, bars.Width = s.colour, vg.Points(1.2)
		p.Add(bars, dots)
	}
	p.Add(plotter.NewGrid())
	return nil
}

// timelinePlots draws one call through time: its quality, and the bitrate that was set, with the moment of the change.
func timelinePlots(t Timeline) ([2]template.HTML, error) {
	var drawn [2]template.HTML
	if len(t.Points) == 0 {
		return drawn, nil
	}
	for i, series := range []struct {
		label  string
		max    float64
		height vg.Length
		of     func(Point) float64
	}{
		{"MOS", 5, 2.2 * vg.Inch, func(p Point) float64 { return p.MOS }},
		{"kbps", 0, 1.8 * vg.Inch, func(p Point) float64 { return float64(p.Action.BitrateKbps) }},
	} {
		p := plot.New()
		p.X.Label.Text = "seconds since the call began"
		p.Y.Label.Text = series.label
		var steps plotter.XYs
		highest := series.max
		for _, point := range t.Points {
			y := series.of(point)
			highest = max(highest, y*1.1)
			steps = append(steps, plotter.XY{X: point.Second, Y: y}, plotter.XY{X: point.Second + point.Length, Y: y})
		}
		line, err := plotter.NewLine(steps)
		if err != nil {
			return drawn, fmt.Errorf("plot the timeline: %w", err)
		}
		line.Color, line.Width = colourAfter, vg.Points(2)
		mark, err := plotter.NewLine(plotter.XYs{{X: t.Change, Y: 0}, {X: t.Change, Y: highest}})
		if err != nil {
			return drawn, fmt.Errorf("plot the timeline: %w", err)
		}
		mark.Color, mark.Width, mark.Dashes = colourMark, vg.Points(1.5), []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(plotter.NewGrid(), line, mark)
		p.Y.Min, p.Y.Max = 0, highest
		if series.max > 0 {
			p.Y.Min = 1
		}
		if drawn[i], err = svg(p, 8*vg.Inch, series.height); err != nil {
			return drawn, err
		}
	}
	return drawn, nil
}

// svg renders a plot for use inside a page.
func svg(p *plot.Plot, width, height vg.Length) (template.HTML, error) {
	canvas := vgsvg.New(width, height)
	const margin = vg.Length(12) // labels of the outermost ticks reach beyond the axes
	p.Draw(draw.Crop(draw.New(canvas), margin, -3*margin, 0, -margin))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", fmt.Errorf("draw a plot: %w", err)
	}
	text := out.Bytes()
	if at := bytes.Index(text, []byte("<svg")); at > 0 { // the XML declaration has no place inside HTML
		text = text[at:]
	}
	return template.HTML(text), nil // our own drawing, not input
}
