package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

func newLab(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lab",
		GroupID: groupData,
		Short:   "The call laboratory: simulated calls on known networks",
		Long: "Makes calls in virtual time over networks of a suite or of recorded traces: to compare policies, to write reports that\n" +
			"training reads, and to hear what a policy does.",
		Example: "  attune lab compare --policies default,telegram,learned:runs/run-20261123-101500-v2-1f0c8a77 --calls 300\n" +
			"  attune lab listen --network 3g --policy ana --wav in.wav --out heard.wav",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLabCompare(s), newLabRun(s), newLabListen(s), newLabProfile(s), newLabFit(s))
	return cmd
}

// labNetworks are the flags that say which networks calls are made on.
type labNetworks struct {
	suite   string
	folders []string
	skipBad bool
}

func (o *labNetworks) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.suite, "suite", "", `suite of networks: a JSON file, or "builtin" (default builtin)`)
	flags.StringArrayVar(&o.folders, "networks", nil, "folders of traces and masks to make a suite of; more may follow as arguments")
	flags.BoolVar(&o.skipBad, "skip-bad", false, "leave files of --networks out that cannot be read, and name them")
}

// open finds the suite. Arguments are further folders.
func (o *labNetworks) open(s *settings, args []string) (*suite.Suite, error) {
	folders := append(o.folders, args...)
	switch {
	case o.suite != "" && len(folders) > 0:
		return nil, usageError{errors.New("lab: choose one of --suite and --networks")}
	case len(args) > 0 && len(o.folders) == 0:
		return nil, usageError{fmt.Errorf("lab: %q: to make a suite of folders, write --networks before them", args[0])}
	case len(folders) == 0 && o.suite == "":
		return suite.Builtin(), nil
	case len(folders) == 0:
		return suite.Load(o.suite)
	}
	made, skipped, err := suite.FromFolders(apart(folders), suite.FolderOptions{SkipBad: o.skipBad})
	for _, f := range skipped {
		if !f.Document {
			fmt.Fprintf(s.err, "left out: %s: %s\n", f.Path, f.Reason)
		}
	}
	return made, err
}

// apart splits lists of folders at their commas, where there is no folder of that name.
func apart(folders []string) []string {
	var all []string
	for _, f := range folders {
		if _, err := os.Stat(f); err != nil && strings.Contains(f, ",") {
			all = append(all, strings.Split(f, ",")...)
		} else {
			all = append(all, f)
		}
	}
	return all
}

// network finds a network of the suite by its name, or a committed profile, or opens the file of a profile or a recording.
func (o *labNetworks) network(s *settings, name string) (*network.Profile, error) {
	set, err := o.open(s, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range set.Networks {
		if n.Name == name {
			return n.Profile, nil
		}
		names = append(names, n.Name)
	}
	if o.suite != "" || len(o.folders) > 0 {
		return nil, fmt.Errorf("suite %s has no network %q; it has %s", set.Name, name, strings.Join(names, ", "))
	}
	if slices.Contains(network.Builtin(), name) {
		return network.Load(name)
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("network %q is neither a file nor one of %s", name, strings.Join(names, ", "))
	}
	of, _, err := suite.FromFolders([]string{name}, suite.FolderOptions{})
	switch {
	case err != nil:
		return nil, err
	case len(of.Networks) > 1:
		return nil, fmt.Errorf("%s holds %d networks; say which with --networks %s and its name", name, len(of.Networks), name)
	}
	for _, taken := range of.Networks[0].Taken {
		fmt.Fprintf(s.err, "%s: taken for %s\n", name, taken)
	}
	return of.Networks[0].Profile, nil
}

// tellTaken says what recordings were taken for: how many of each kind, or each if that is asked for.
func tellTaken(out io.Writer, set *suite.Suite) {
	count := map[string]int{}
	for _, n := range set.Networks {
		for _, taken := range n.Taken {
			count[taken]++
		}
	}
	for _, taken := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(out, "%d recordings taken for %s\n", count[taken], taken)
	}
	if len(count) > 0 {
		fmt.Fprintln(out, `("attune lab profile --networks ..." shows what each was taken for)`)
	}
}

// labFrames is the speech of simulated calls: at most labSpeech of it, so that the many encodings of a comparison are
// made soon. Calls repeat it.
func labFrames(ctx context.Context, file string) (*sim.Frames, string, error) {
	voice, err := speechFrom(ctx, file)
	if err != nil {
		return nil, "", err
	}
	most := int(labSpeech.Seconds()) * 48000
	frames, err := sim.NewFrames(voice.Samples[:min(len(voice.Samples), most)])
	return frames, voice.Source, err
}

const labSpeech = 24 * time.Second

// labProgress shows how far simulated calls are: a bar on a terminal, a line now and then elsewhere.
type labProgress struct {
	out      io.Writer
	terminal bool
	begun    time.Time
	shown    time.Time
	open     bool
}

// How often progress is shown, on a terminal and elsewhere.
const (
	barEvery  = 200 * time.Millisecond
	lineEvery = 30 * time.Second
)

func (s *settings) labProgress() *labProgress {
	p := &labProgress{out: s.err, terminal: terminal(s.err), begun: time.Now()}
	if !p.terminal {
		p.shown = p.begun // short work needs no line
	}
	return p
}

func (p *labProgress) show(done compare.Done) {
	now, every := time.Now(), lineEvery
	if p.terminal {
		every = barEvery
	}
	if now.Sub(p.shown) < every || done.Of == 0 {
		return
	}
	p.shown = now
	elapsed := now.Sub(p.begun)
	rate := float64(done.Calls-done.Since) / elapsed.Seconds()
	left := "?"
	if rate > 0 {
		left = (time.Duration(float64(done.Of-done.Calls)/rate) * time.Second).Round(time.Second).String()
	}
	text := fmt.Sprintf("%3d %%  %d of %d calls, %.0f/s, %s left", 100*done.Calls/done.Of, done.Calls, done.Of, rate, left)
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	p.open = true
	const width = 30
	full := int(min(width*done.Calls/done.Of, width))
	bar := strings.Repeat("█", full) + strings.Repeat("·", width-full)
	fmt.Fprintf(p.out, "\r\x1b[K%s %s", bar, text)
}

func (p *labProgress) end() {
	if p.open {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
