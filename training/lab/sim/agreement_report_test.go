package sim_test

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// write makes the plot, and puts the table in its place in agreement.md.
func write(folder string, all []*comparison) error {
	if err := os.WriteFile(filepath.Join(folder, "agreement.svg"), []byte(plot(all)), 0o644); err != nil {
		return err
	}
	file := filepath.Join(folder, "agreement.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const begin, end = "<!-- the table is written by the test -->\n", "<!-- end of the table -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s: want the lines %q and %q around the table", file, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+table(all)+end+after), 0o644)
}

func table(all []*comparison) string {
	var b strings.Builder
	b.WriteString("\n| clock | network | action | calls | MOS real | simulated | difference | loss real, % | simulated | difference, points |\n" +
		"|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range all {
		mos, loss := c.difference(quality), c.difference(lossRepaired)
		fmt.Fprintf(&b, "| %s | %s | %v | %d | %.2f | %.2f | %+.3f ± %.3f | %.2f | %.2f | %+.2f ± %.2f |\n", c.clock(), c.network, c.action, len(c.samples),
			c.mean(quality, inRealTime).mean, c.mean(quality, simulated).mean, mos.mean, mos.standardError,
			100*c.mean(lossRepaired, inRealTime).mean, 100*c.mean(lossRepaired, simulated).mean, 100*loss.mean, 100*loss.standardError)
	}
	return b.String() + "\n"
}

// axes is one panel of the plot: a quantity in real calls to the right, in simulated ones upwards.
type axes struct {
	title       string
	of          quantity
	scale, most float64 // what the quantity is multiplied by, and what it may differ by then
	ticks       []float64
	place       func(v float64) float64 // 0..1
}

const panel, margin, between = 400, 46, 70

// plot draws a point for each pair, with twice its standard error either way, and the band in which the clocks agree.
func plot(all []*comparison) string {
	networks := make(map[string]int)
	for _, c := range all {
		if _, known := networks[c.network]; !known {
			networks[c.network] = len(networks)
		}
	}
	var b strings.Builder
	width := margin + 2*panel + between + 150
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#333">`+"\n",
		width, panel+2*margin)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, panel+2*margin)
	root := func(v float64) float64 { return math.Sqrt(max(v, 0) / 80) }
	for i, a := range []axes{
		{"mean MOS", quality, 1, mostMOS, []float64{1, 2, 3, 4, 5}, func(v float64) float64 { return (v - 1) / 4 }},
		{"loss after repair, % (square root scale)", lossRepaired, 100, 100 * mostLoss, []float64{0, 1, 5, 10, 20, 40, 80}, root},
	} {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", margin+i*(panel+between), margin)
		a.draw(&b, all, networks)
		b.WriteString("</g>\n")
	}
	names := make([]string, len(networks))
	for name, i := range networks {
		names[i] = name
	}
	for i, name := range names {
		x, y := margin+2*panel+between+20, margin+10+20*i
		fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="4" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n", x, y, colour(i, len(names)), x+10, y+4, html.EscapeString(name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func colour(i, of int) string { return fmt.Sprintf("hsl(%d 70%% %d%%)", 360*i/of, 38+12*(i%2)) }

func (a *axes) draw(b *strings.Builder, all []*comparison, networks map[string]int) {
	x := func(v float64) float64 { return panel * min(max(a.place(v), 0), 1) }
	y := func(v float64) float64 { return panel - x(v) }
	first, last := a.ticks[0], a.ticks[len(a.ticks)-1]
	for _, side := range []float64{1, -1} { // the band, from its upper edge back along the lower one
		var points []string
		for k := range 101 {
			v := first + (last-first)*math.Pow(float64(k)/100, 2) // closer together where a root is steep
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(v), y(v+side*a.most)))
		}
		fill := "#e4efe4"
		if side < 0 {
			fill = "white"
		}
		fmt.Fprintf(b, `<polygon points="%s %d,%d 0,%d" fill="%s"/>`+"\n", strings.Join(points, " "), panel, panel, panel, fill)
	}
	fmt.Fprintf(b, `<path d="M0 %d L%d 0" stroke="#aaa"/>`+"\n", panel, panel)
	for _, v := range a.ticks {
		fmt.Fprintf(b, `<path d="M%.1f 0V%d M0 %.1fH%d" stroke="#ccc" stroke-width="0.5"/>`, x(v), panel, y(v), panel)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%v</text><text x="-6" y="%.1f" text-anchor="end">%v</text>`+"\n",
			x(v), panel+16, v, y(v)+4, v)
	}
	fmt.Fprintf(b, `<text x="0" y="-14" font-weight="bold">%s</text>`, html.EscapeString(a.title))
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">real calls</text>`, panel, panel+36)
	fmt.Fprintf(b, `<text x="8" y="14">simulated calls</text>`+"\n")
	for _, c := range all {
		d, real, virtual := c.difference(a.of), c.mean(a.of, inRealTime).mean, c.mean(a.of, simulated).mean
		at, error := a.scale*real, 2*a.scale*d.standardError
		v := a.scale * virtual
		size, opacity := 3, 0.6
		if c.wall { // a ring
			size, opacity = 5, 0
		}
		fmt.Fprintf(b, `<g stroke="%[1]s" fill="%[1]s"><path d="M%.1[2]f %.1[3]fV%.1[4]f"/><circle cx="%.1[2]f" cy="%.1[5]f" r="%[10]d" fill-opacity="%.1[11]f"/>`+
			`<title>%[6]s, %[7]v: %.3[8]g and %.3[9]g</title></g>`+"\n",
			colour(networks[c.network], len(networks)), x(at), y(v-error), y(v+error), y(v), html.EscapeString(c.network), c.action, at, v, size, opacity)
	}
}
