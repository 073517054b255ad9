package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/training/lab/compare"
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
	flags.StringSliceVar(&o.folders, "networks", nil, "folders of traces and masks to make a suite of; more may follow as arguments")
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
	made, skipped, err := suite.FromFolders(folders, suite.FolderOptions{SkipBad: o.skipBad})
	for _, f := range skipped {
		if !f.Document {
			fmt.Fprintf(s.err, "left out: %s: %s\n", f.Path, f.Reason)
		}
	}
	return made, err
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

// labProgress shows how far simulated calls are, on a terminal only.
type labProgress struct {
	out   io.Writer
	begun time.Time
	shown time.Time
	open  bool
}

func (s *settings) labProgress() *labProgress {
	p := &labProgress{begun: time.Now()}
	if terminal(s.err) {
		p.out = s.err
	}
	return p
}

func (p *labProgress) show(done compare.Done) {
	now := time.Now()
	if p.out == nil || now.Sub(p.shown) < 200*time.Millisecond || done.Of == 0 {
		return
	}
	p.shown, p.open = now, true
	const width = 30
	full := int(min(width*done.Calls/done.Of, width))
	bar := strings.Repeat("█", full) + strings.Repeat("·", width-full)
	elapsed := now.Sub(p.begun)
	rate := float64(done.Calls-done.Since) / elapsed.Seconds()
	left := "?"
	if rate > 0 {
		left = (time.Duration(float64(done.Of-done.Calls)/rate) * time.Second).Round(time.Second).String()
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s %3d %%  %d of %d calls, %.0f/s, %s left", bar, 100*done.Calls/done.Of, done.Calls, done.Of, rate, left)
}

func (p *labProgress) end() {
	if p.open {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
