package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one measured number. Where there is a goal, the table says whether it was reached, and otherwise by how much
// it was missed.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Goal    float64 `json:"goal,omitempty"`
	AtMost  bool    `json:"goal_is_upper_bound,omitempty"`
	Reached *bool   `json:"reached,omitempty"`
	Missed  string  `json:"missed_by,omitempty"`
	Limit   string  `json:"limit,omitempty"` // why, when the goal was missed: what stood in the way
	// CPUSeconds tells where the time went, by process.
	CPUSeconds map[string]float64 `json:"cpu_seconds,omitempty"`
	Note       string             `json:"note,omitempty"`
}

// least is a figure with a lower bound as its goal.
func least(name string, value float64, unit string, goal float64) figure {
	return figure{Name: name, Value: value, Unit: unit, Goal: goal}.judge()
}

// most is a figure with an upper bound as its goal.
func most(name string, value float64, unit string, goal float64) figure {
	return figure{Name: name, Value: value, Unit: unit, Goal: goal, AtMost: true}.judge()
}

func (f figure) judge() figure {
	reached := f.Value >= f.Goal
	if f.AtMost {
		reached = f.Value <= f.Goal
	}
	f.Reached = &reached
	if !reached {
		f.Missed = fmt.Sprintf("%.0f %%", 100*(f.Value-f.Goal)/f.Goal)
	}
	return f
}

// limitedBy says what stands in the way of more; it shows when the goal was missed.
func (f figure) limitedBy(format string, args ...any) figure {
	if f.Reached != nil && !*f.Reached {
		f.Limit = fmt.Sprintf(format, args...)
	}
	return f
}

// report is what a run found.
type report struct {
	When    time.Time         `json:"when"`
	Machine map[string]string `json:"machine"`
	Figures []figure          `json:"figures"`
}

func (r *report) add(figures ...figure) { r.Figures = append(r.Figures, figures...) }

// print writes the table for people.
func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\twhat\tmeasured\tgoal\t")
	for i := range r.Figures {
		f := &r.Figures[i]
		goal, verdict := "", ""
		if f.Reached != nil {
			sign := ">="
			if f.AtMost {
				sign = "<="
			}
			goal, verdict = sign+" "+number(f.Goal), "reached"
			if !*f.Reached {
				verdict = "MISSED by " + f.Missed
			}
		}
		fmt.Fprintf(w, "\t%s\t%s %s\t%s\t%s\n", f.Name, number(f.Value), f.Unit, goal, verdict)
		if len(f.CPUSeconds) > 0 {
			fmt.Fprintf(w, "\t  processor time\t%s\t\t\n", processorTime(f.CPUSeconds))
		}
		if f.Limit != "" {
			fmt.Fprintf(w, "\t  the limit\t%s\t\t\n", f.Limit)
		}
		if f.Note != "" {
			fmt.Fprintf(w, "\t  %s\t\t\t\n", f.Note)
		}
	}
	return w.Flush()
}

func processorTime(seconds map[string]float64) string {
	var names []string
	for name := range seconds {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %.1f s", name, seconds[name])
	}
	return strings.Join(names, ", ")
}

// number is short: three digits that matter.
func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// write stores the figures for programs.
func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
