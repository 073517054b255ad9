package demo

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// writeTable prints what the experiment measured, one block a network, in at most 120 columns.
func (s *Summary) writeTable(out io.Writer) error {
	fmt.Fprintf(out, "Learned from %s simulated calls (%s reports). Before, after and gain: %d real calls of %d s. Forecast: simulated.\n\n",
		grouped(s.History.Calls), grouped(s.Reports.Simulated.Sent), s.Calls.Experiment, s.Calls.SecondsEach)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "network\t\tcalls\tMOS\t95 %\tpoor\tkbps\tsetting (share of the time)")
	for _, n := range s.Networks {
		writeArm(w, n.Network, "before", n.Before)
		writeArm(w, "", "after", n.After)
		writeGain(w, n)
	}
	fmt.Fprintln(w, "\t\t\t\t\t\t\t")
	writeTotal(w, "all", "before", s.Overall.Before)
	writeTotal(w, "", "after", s.Overall.After)
	writeGain(w, s.Overall)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nOf all networks each weighs the same in the gain. Intervals are at 95 %.")
	if s.Pace.TooBusy() {
		fmt.Fprintf(out, "The real calls are not to be believed: %v.\n", s.Pace)
	}
	return nil
}

// figure formats a number for people; what was not measured is a dash.
func figure(format string, v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// columns are calls, MOS, its interval, poor, kbps.
func (a *Arm) columns() string {
	return fmt.Sprintf("%d\t%s\t%s..%s\t%s\t%s", a.Calls, figure("%.2f", a.MOS.Value), figure("%.2f", a.MOS.Low),
		figure("%.2f", a.MOS.High), figure("%3.0f %%", 100*a.Poor.Value), figure("%.0f", a.Kbps.Value))
}

func writeArm(w io.Writer, network, name string, a Arm) {
	fmt.Fprintf(w, "%s\t%s\t%s\t%s (%.0f %%)\n", network, name, a.columns(), a.Setting, 100*a.Share)
}

func writeTotal(w io.Writer, network, name string, a Arm) {
	fmt.Fprintf(w, "%s\t%s\t%s\t\n", network, name, a.columns())
}

func writeGain(w io.Writer, n NetworkResult) {
	forecast := n.Forecast.Gain
	fmt.Fprintf(w, "\tgain\t\t%s\t%s..%s\t\t\tforecast %s (%s..%s)\n",
		figure("%+.2f", n.Gain.Value), figure("%+.2f", n.Gain.Low), figure("%+.2f", n.Gain.High),
		figure("%+.2f", forecast.Value), figure("%+.2f", forecast.Low), figure("%+.2f", forecast.High))
}
