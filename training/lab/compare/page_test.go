package compare_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// TestPage: it needs nothing else, and nothing that a name holds gets into its markup.
func TestPage(t *testing.T) {
	r := standard(t)
	var page, table bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := r.Fprint(&table); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, bad := range []string{"<b>suite", "<script", "<i>", "NaN", "http://", "https://", "src=", "@import", "ZgotmplZ", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "<svg", "best-static", "&lt;b&gt;suite", "Share of the gap", "How they did on each network", "oracle-segment changed its action within"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if plots, slices := strings.Count(text, "<svg"), len(r.Slices); plots != 3*slices+2 {
		t.Errorf("%d plots of %d slices", plots, slices)
	}
	for _, m := range regexp.MustCompile(`(?:cx|x1|x2)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "N") || strings.HasPrefix(m[1], "-") {
			t.Errorf("a coordinate of %s", m[1])
		}
	}
	for _, want := range []string{"all (24 calls)", "oracle", "of the gap %", "of the poor gap %", "Student's t", "oracle-segment changed its action within"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q", want)
		}
	}
	if strings.Contains(table.String(), "NaN") || strings.Contains(table.String(), "%!") {
		t.Errorf("table:\n%s", table.String())
	}
}
