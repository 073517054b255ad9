package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

func newLabProfile(s *settings) *cobra.Command {
	var networks labNetworks
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "profile [NAME | FILE.json | --networks FOLDER...]",
		Short: "Show the networks of a suite, where they come from and how well they fit",
		Long: "Without a name, lists the networks of a suite: type, region, share of the calls, split, mean capacity, delay, loss,\n" +
			"number of relay sites, and where each comes from. With the name of one, or the file of a profile, shows every figure with its source and, for a\n" +
			"fitted profile, the files and the goodness of fit.",
		Example: "  attune lab profile\n" +
			"  attune lab profile 4g\n" +
			"  attune lab profile --suite suite.json --json\n" +
			"  attune lab profile --networks traces/mahimahi traces/sabre",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(networks.folders) == 0 && len(args) > 0 {
				if len(args) > 1 {
					return usageError{errors.New("lab profile: one name at a time")}
				}
				return s.labProfileOf(&networks, args[0], asJSON)
			}
			set, err := networks.open(s, args)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(describe(set))
			}
			return printSuite(s.out, set)
		},
	}
	networks.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// labProfileOf shows one network of the suite, or a profile.
func (s *settings) labProfileOf(networks *labNetworks, name string, asJSON bool) error {
	p, err := networks.network(s, name)
	if err != nil {
		return fmt.Errorf("lab profile: %w", err)
	}
	return s.showProfile(p, asJSON)
}

func (s *settings) showProfile(p *network.Profile, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(s.out).Encode(p)
	}
	fmt.Fprintf(s.out, "%s: %v, metered %v, reach %v\n%s\n", p.Name, p.Network, p.Metered, p.Reach, p.About)
	for _, way := range []struct {
		name string
		d    *network.Direction
	}{{"up", &p.Up}, {"down", &p.Down}} {
		printDirection(s.out, way.name, way.d)
	}
	for _, event := range []struct {
		name string
		network.Interruption
	}{{"outages", p.Events.Outages}, {"handovers", p.Events.Handovers}} {
		if event.EveryMillis > 0 {
			fmt.Fprintf(s.out, "\n%s: every %.3g s for %.3g s; %s\n", event.name, event.EveryMillis/1000, event.MeanMillis/1000, event.Source)
		}
	}
	if p.NAT.Symmetric {
		fmt.Fprintf(s.out, "\nNAT: symmetric, no direct path between two such networks; %s\n", p.NAT.Source)
	}
	printPaths(s.out, &p.Paths)
	if p.Fit == nil {
		return nil
	}
	fmt.Fprintln(s.out)
	return printFit(s.out, p.Fit)
}

// printPaths shows what a profile declares beyond the access network.
func printPaths(out io.Writer, p *network.Paths) {
	if p.Direct != nil {
		printDirection(out, "direct path, each way, beyond both access networks", p.Direct)
	}
	for i := range p.Sites {
		site := &p.Sites[i]
		printDirection(out, fmt.Sprintf("relay site %d (%s), from the access network to it", 1+i, site.Name), &site.Up)
		printDirection(out, fmt.Sprintf("relay site %d (%s), from it to the access network", 1+i, site.Name), &site.Down)
	}
}

func printDirection(out io.Writer, name string, d *network.Direction) {
	line := func(what, figures, source string) {
		fmt.Fprintf(out, "  %-12s %s\n", what, figures)
		if source != "" {
			fmt.Fprintf(out, "               %s\n", source)
		}
	}
	fmt.Fprintf(out, "\n%s\n", name)
	average := kbps(d)
	if average != unlimited {
		average += " kbit/s on average"
	}
	capacity := []string{average}
	for _, state := range d.Capacity.States {
		capacity = append(capacity, fmt.Sprintf("%.4g for %.3g s", state.Kbps, state.MeanDwellMillis/1000))
	}
	if t := d.Capacity.Trace; t != nil {
		capacity = append(capacity, fmt.Sprintf("recorded for %.0f s, longest outage %.1f s", t.Duration().Seconds(), t.LongestOutage().Seconds()))
	}
	line("capacity", strings.Join(capacity, "; "), d.Capacity.Source)
	if d.Queue.Bytes > 0 {
		queue := fmt.Sprintf("%d bytes", d.Queue.Bytes)
		if d.Queue.CoDel != nil {
			queue += ", CoDel"
		}
		line("queue", queue, d.Queue.Source)
	}
	line("propagation", fmt.Sprintf("%.1f ms", oneWayMillis(d)), d.Propagation.Source)
	if d.Jitter != (network.Jitter{}) {
		line("jitter", fmt.Sprintf("%s, %.3g ms, spread %.3g", d.Jitter.Distribution, d.Jitter.Millis, d.Jitter.Spread), d.Jitter.Source)
	}
	if d.Loss != (network.Loss{}) {
		loss := fmt.Sprintf("%.2f %%", 100*d.Loss.Mean())
		if d.Loss.Mask == nil {
			loss += fmt.Sprintf("; p %.4g, r %.4g, good %.4g, bad %.4g", d.Loss.P, d.Loss.R, d.Loss.Good, d.Loss.Bad)
		}
		line("loss", loss, d.Loss.Source)
	}
	for _, rule := range []struct {
		name string
		network.Police
	}{{"udp", d.Policing.UDP}, {"tcp", d.Policing.TCP}} {
		switch {
		case rule.Police == network.Police{}:
			continue
		case rule.Blocked && rule.Except443:
			line(rule.name, "blocked but for port 443", rule.Source)
		case rule.Blocked:
			line(rule.name, "blocked", rule.Source)
		default:
			line(rule.name, fmt.Sprintf("limited to %.4g kbit/s", rule.RateKbps), rule.Source)
		}
	}
	if d.CrossTraffic.Kbps > 0 {
		line("cross", fmt.Sprintf("%.4g kbit/s", d.CrossTraffic.Kbps), d.CrossTraffic.Source)
	}
}

// printFit shows the goodness of fit.
func printFit(out io.Writer, f *network.Fit) error {
	held, all := 0, 0
	for _, file := range f.Files {
		n := max(1, file.Count)
		all += n
		if file.HeldOut {
			held += n
		}
	}
	fmt.Fprintf(out, "Fitted to %d files", all-held)
	if held > 0 {
		fmt.Fprintf(out, ", %d more held out", held)
	}
	fmt.Fprintln(out, ".")
	for _, part := range f.Parts {
		fmt.Fprintf(out, "\n%s: %s\n  %s\n  %d samples, compared with %d held out (%s)\n", part.Of, part.Model, part.Method, part.Samples, part.HeldOut, part.HeldBy)
		w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  MEASURE\tMODEL\tOTHER\tTHE OTHER IS OF")
		for _, m := range part.Measures {
			other := ""
			if m.Against != "" {
				other = fmt.Sprintf("%.4g", m.Other)
			}
			fmt.Fprintf(w, "  %s\t%.4g\t%s\t%s\n", m.Name, m.Model, other, m.Against)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// described is a network of a suite as JSON.
type described struct {
	Name    string            `json:"name"`
	Source  string            `json:"source"`
	Type    model.NetworkType `json:"type"`
	Region  model.Region      `json:"region"`
	Share   float64           `json:"share"` // of the calls
	Split   suite.Split       `json:"split"`
	Taken   []string          `json:"takenFor,omitempty"` // by recording
	Profile *network.Profile  `json:"profile"`
}

func describe(set *suite.Suite) any {
	var networks []described
	total := totalWeight(set)
	for _, n := range set.Networks {
		networks = append(networks, described{n.Name, n.Source, n.Type, n.Region, n.Weight / total, n.Split, n.Taken, n.Profile})
	}
	return struct {
		Name     string      `json:"name"`
		About    string      `json:"about"`
		Networks []described `json:"networks"`
	}{set.Name, set.About, networks}
}

func totalWeight(set *suite.Suite) float64 {
	var total float64
	for _, n := range set.Networks {
		total += n.Weight
	}
	return total
}

func printSuite(out io.Writer, set *suite.Suite) error {
	fmt.Fprintf(out, "Suite %s: %d networks, %d to train on, %d held out. %s\n\n", set.Name, len(set.Networks), len(set.Train()), len(set.Validation()), set.About)
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NETWORK\tTYPE\tREGION\tCALLS\tSPLIT\tUP KBIT/S\tDOWN KBIT/S\tDELAY MS\tLOSS\tSITES\tFROM")
	total := totalWeight(set)
	for _, n := range set.Networks {
		p := n.Profile
		loss := 1 - (1-p.Up.Loss.Mean())*(1-p.Down.Loss.Mean())
		fmt.Fprintf(w, "%s\t%v\t%v\t%.1f %%\t%v\t%s\t%s\t%.0f\t%.2f %%\t%d\t%s\n", n.Name, n.Type, n.Region, 100*n.Weight/total, n.Split,
			kbps(&p.Up), kbps(&p.Down), oneWayMillis(&p.Up)+oneWayMillis(&p.Down), 100*loss, p.SiteCount(), origin(&n))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "\nDelay and loss are those of one call direction over two such networks without queueing, and without what a profile declares\nbeyond them; sites are the relay sites. \"attune lab profile NAME\" shows all, with the sources.")
	return err
}

// origin says in a few words where a network comes from: what its recordings were taken for, or how it was fitted.
func origin(n *suite.Network) string {
	p := n.Profile
	if p.Fit == nil {
		if taken := slices.Compact(slices.Sorted(slices.Values(n.Taken))); len(taken) > 0 {
			return "recorded: " + strings.Join(taken, "; ")
		}
		return "committed profile"
	}
	var parts []string
	for _, part := range p.Fit.Parts {
		text := part.Of
		if i := slices.IndexFunc(part.Measures, func(m network.Measure) bool { return strings.HasPrefix(m.Name, "KS distance") }); i >= 0 {
			text = fmt.Sprintf("%s (KS %.2f)", text, part.Measures[i].Model)
		}
		parts = append(parts, text)
	}
	return "fitted " + strings.Join(parts, ", ")
}

func kbps(d *network.Direction) string {
	if mean := d.Capacity.MeanKbps(); mean > 0 {
		return fmt.Sprintf("%.0f", mean)
	}
	return unlimited
}

const unlimited = "no limit"

// oneWayMillis is the mean delay of an empty direction.
func oneWayMillis(d *network.Direction) float64 {
	ms := d.Propagation.Millis + d.Jitter.Millis
	if d.Propagation.Series != nil {
		ms += d.Propagation.Series.Mean().Seconds() * 1000 / 2
	}
	return ms
}
