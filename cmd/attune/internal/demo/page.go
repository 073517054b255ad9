package demo

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"number":   func(v float64) string { return figure("%.2f", v) },
	"whole":    func(v float64) string { return figure("%.0f", v) },
	"percent":  func(v float64) string { return figure("%.0f %%", 100*v) },
	"signed":   func(v float64) string { return figure("%+.2f", v) },
	"count":    grouped,
	"duration": func(seconds float64) string { return fmt.Sprintf("%d min %02d s", int(seconds)/60, int(seconds)%60) },
}).Parse(pageText))

// writePage renders report.html: one file that needs no network, with the plots inside.
func (s *Summary) writePage(dir string) error {
	quality, err := qualityPlot(s.Networks)
	if err != nil {
		return err
	}
	rate, err := ratePlot(s.Networks)
	if err != nil {
		return err
	}
	truth, err := truthPlot(s.Networks)
	if err != nil {
		return err
	}
	timeline, err := timelinePlots(s.Timeline)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	err = pageTemplate.Execute(&page, struct {
		*Summary
		PoorMOS                       float64
		Quality, Rate, Truth          template.HTML
		TimelineQuality, TimelineRate template.HTML
	}{s, PoorMOS, quality, rate, truth, timeline[0], timeline[1]})
	if err != nil {
		return fmt.Errorf("report page: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.html"), page.Bytes(), 0o644); err != nil {
		return fmt.Errorf("report page: %w", err)
	}
	return nil
}

// grouped writes a count, of int or uint64, with a comma after each thousand.
func grouped(n any) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
