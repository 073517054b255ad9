package compare

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// FprintNetworks writes a line for each policy on each network.
func (r *Result) FprintNetworks(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "network\tcalls\tpolicy\tMOS\tpoor %\tkbps\tnot set up %\tgain\tof the gap %")
	for i := range r.ByNetwork {
		s := &r.ByNetwork[i]
		for j := range s.Scores {
			c := &s.Scores[j]
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.Calls, c.Name, c.Mean.text(1, "%.2f"), c.Poor.text(100, "%.1f"),
				c.Kbps.text(1, "%.0f"), c.SetupFailures.value(100, "%.1f"), c.Gain.text(1, "%+.2f"), c.GapShare.text(100, "%.0f"))
		}
	}
	return t.Flush()
}

// Fprint writes the result as tables for a terminal.
func (r *Result) Fprint(w io.Writer) error {
	fmt.Fprintf(w, "%d networks of %s, %d simulated calls of %.0f s for each of %d seeds under every policy (%d simulated in all); speech: %s\n",
		len(r.Networks), r.Suite, r.Calls, r.CallSeconds, r.Seeds, r.Simulated, r.Speech)
	for i := range r.Slices {
		if err := r.Slices[i].fprint(w); err != nil {
			return err
		}
	}
	if len(r.Static) > 0 {
		fmt.Fprintln(w, "\nBest single action by network type, in hindsight on the training split:")
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range r.Static {
			fmt.Fprintf(t, "  %v\t%s\n", s.Type, s.Action)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\nMOS: estimated, fitted to measured speech. ± or from..to: 95 %% Student's t interval over the seeds. poor: MOS of the call below %.1f; VIA: mean round trip\n"+
		"> 320 ms, loss > 1.2 %% or jitter > 12 ms. Gaps: from default to oracle, in MOS and in the ratio of poor calls. A call that was not set up or dropped has MOS 1.0.\n", PoorMOS)
	return err
}

func (s *Slice) fprint(w io.Writer) error {
	fmt.Fprintf(w, "\n%s (%d calls)\n", s.Name, s.Calls)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "policy\tMOS\tmedian\t5 %\tpoor %\tVIA %\tkbps\tnot set up %\tdropped %\tgain\tof the gap %\tof the poor gap %\t")
	for i := range s.Scores {
		c := &s.Scores[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.Name,
			c.Mean.text(1, "%.2f"), c.Median.text(1, "%.2f"), c.P5.text(1, "%.2f"), c.Poor.text(100, "%.1f"),
			c.PoorVIA.text(100, "%.1f"), c.Kbps.text(1, "%.0f"), c.SetupFailures.value(100, "%.1f"), c.Dropped.value(100, "%.1f"),
			c.Gain.text(1, "%+.2f"), c.GapShare.text(100, "%.0f"), c.PoorGapShare.text(100, "%.0f"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if s.BySegment != nil {
		fmt.Fprintln(w, s.BySegment)
	}
	return nil
}

// String says it in a sentence.
func (s *Schedules) String() string {
	return fmt.Sprintf("%s changed its action within %.0f %% of the calls, %.1f times on average in those.",
		NameOracleBySegment, 100*s.Changed, s.Changes)
}

// text is the value with half the width of its interval or, where that is cut off on one side, with both ends.
func (e Estimate) text(scale float64, format string) string {
	if e.Value == nil || e.Low == nil || e.High == nil {
		return e.value(scale, format)
	}
	unsigned := "%" + format[len(format)-3:]
	below, above := fmt.Sprintf(unsigned, (*e.Value-*e.Low)*scale), fmt.Sprintf(unsigned, (*e.High-*e.Value)*scale)
	if below == above {
		return e.value(scale, format) + "±" + below
	}
	return e.value(scale, format) + " (" + fmt.Sprintf(unsigned, *e.Low*scale) + ".." + fmt.Sprintf(unsigned, *e.High*scale) + ")"
}

// value is the value alone.
func (e Estimate) value(scale float64, format string) string {
	if e.Value == nil {
		return "-"
	}
	return fmt.Sprintf(format, *e.Value*scale)
}
