package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/training/lab/compare"
)

// compareOptions are the flags of "attune lab compare".
type compareOptions struct {
	networks     labNetworks
	policies     []string
	calls, seeds int
	seed         uint64
	duration     time.Duration
	wav          string
	json, html   string
	resume       bool
	byNetwork    bool
	workers      int
}

func newLabCompare(s *settings) *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   "compare [FOLDER...]",
		Short: "Judge policies on identical simulated calls",
		Long: "Makes the same calls, on the same networks with the same seeds, under each policy, and prints how they did: overall, by\n" +
			"training and validation split, and by network type. Policies: " + strings.Join(compare.Names(), ", ") + ".\n" +
			"RUN is a run directory; FILE a policy document or a run directory. Gains are against \"default\", which always takes part.\n" +
			"The oracle and best-static try each action of a catalogue of " + fmt.Sprint(len(compare.Catalogue())) + ", or a few more where networks have several relay\n" +
			"sites. oracle-segment also changes the action within a call, where that pays; it makes twice the calls. The same flags give\n" +
			"the same result, on any number of cores. With --json or --html, what is done is kept in FILE.journal until the end, and --resume\n" +
			"continues from there; without either nothing is kept. Files are written when all is done, and replace what was there at once.",
		Example: "  attune lab compare --policies default,telegram,ana,tgcalls --calls 200 --seeds 5\n" +
			"  attune lab compare --networks traces/mahimahi traces/sabre --policies default,best-static,oracle --calls 300 --seeds 5 --json out/lab.json --html out/lab.html\n" +
			"  attune lab compare --suite suite.json --policies learned:attune-data/runs/run-1,greedy:attune-data/runs/run-1,oracle",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.resume && o.json == "" && o.html == "" {
				return usageError{errors.New("lab compare: --resume needs --json or --html: the journal lies beside it")}
			}
			return s.labCompare(cmd.Context(), &o, args)
		},
	}
	o.networks.flags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&o.policies, "policies", []string{"default", "telegram", "ana", "tgcalls"}, "who is compared, separated by commas")
	flags.IntVar(&o.calls, "calls", 100, "calls for each seed")
	flags.IntVar(&o.seeds, "seeds", 5, "seeds; intervals are over them")
	flags.Uint64Var(&o.seed, "seed", 1, "the first seed; the others follow it")
	flags.DurationVar(&o.duration, "duration", time.Minute, "of a call, 10s to 1h")
	flags.StringVar(&o.wav, "wav", "", "WAV file whose frame sizes are used, its first "+labSpeech.String()+" (default: Debian's recorded prompts, or espeak-ng)")
	flags.StringVar(&o.json, "json", "", "write the result to this file")
	flags.StringVar(&o.html, "html", "", "write a page with plots to this file")
	flags.BoolVar(&o.byNetwork, "by-network", false, "print how everybody did on each network as well")
	flags.BoolVar(&o.resume, "resume", false, "continue an interrupted comparison")
	flags.IntVar(&o.workers, "workers", 0, "calls computed at the same time (default: one for each core)")
	return cmd
}

func (s *settings) labCompare(ctx context.Context, o *compareOptions, args []string) error {
	networks, err := o.networks.open(s, args)
	if err != nil {
		return err
	}
	tellTaken(s.err, networks)
	config := compare.Config{
		Suite: networks, Calls: o.calls, Seeds: o.seeds, Seed: o.seed, Duration: o.duration, Workers: o.workers, Resume: o.resume,
	}
	for _, spec := range o.policies {
		c, err := compare.Named(spec)
		if err != nil {
			return usageError{fmt.Errorf("lab compare: %w", err)}
		}
		config.Contenders = append(config.Contenders, c)
	}
	nameContenders(config.Contenders, o.policies)
	if config.Frames, config.Speech, err = labFrames(ctx, o.wav); err != nil {
		return err
	}
	if err := config.Validate(); err != nil {
		return usageError{fmt.Errorf("lab compare: %w", err)}
	}
	outputs, err := openOutputs(o.json, o.html)
	if err != nil {
		return fmt.Errorf("lab compare: %w", err)
	}
	defer outputs.discard()
	if first := cmp.Or(o.json, o.html); first != "" {
		config.Journal = first + ".journal"
	}
	progress := s.labProgress()
	config.Progress = progress.show
	result, err := compare.Run(ctx, config)
	progress.end()
	if err != nil {
		switch {
		case ctx.Err() == nil:
		case config.Journal == "":
			fmt.Fprintln(s.err, "nothing is kept: with --json FILE or --html FILE an interrupted comparison can be continued")
		default:
			fmt.Fprintf(s.err, "what is done is kept in %s: give the same command with --resume to continue\n", config.Journal)
		}
		return err
	}
	if err := result.Fprint(s.out); err != nil {
		return err
	}
	if o.byNetwork {
		fmt.Fprintln(s.out)
		if err := result.FprintNetworks(s.out); err != nil {
			return err
		}
	}
	if err := outputs.write(result); err != nil {
		return fmt.Errorf("lab compare: %w; the comparison is kept in %s: mend that and give the same command with --resume", err, config.Journal)
	}
	if config.Journal == "" {
		return nil
	}
	return compare.Discard(config.Journal)
}

// nameContenders gives policies of the same name the name of what they were asked for by: "learned:A", "learned:B".
func nameContenders(all []compare.Contender, specs []string) {
	count := map[string]int{}
	for i := range all {
		count[all[i].Name]++
	}
	for i := range all {
		if count[all[i].Name] > 1 && all[i].Options() != nil {
			all[i].Name = specs[i]
		}
	}
}

// output is a file that is complete under its name, or not there.
type output struct {
	path   string
	file   *os.File
	encode func(w io.Writer, r *compare.Result) error
}

type outputs []output

// openOutputs makes sure, before there is anything to lose, that the files can be written.
func openOutputs(json, html string) (outputs, error) {
	var all outputs
	for _, o := range []output{{path: json, encode: encodeComparison}, {path: html, encode: func(w io.Writer, r *compare.Result) error { return r.HTML(w) }}} {
		if o.path == "" {
			continue
		}
		err := os.MkdirAll(filepath.Dir(o.path), 0o755)
		if info, missing := os.Stat(o.path); err == nil && missing == nil && info.IsDir() {
			err = fmt.Errorf("%s is a folder", o.path)
		}
		if err == nil {
			o.file, err = os.CreateTemp(filepath.Dir(o.path), ".lab-")
		}
		if err != nil {
			all.discard()
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (all outputs) write(r *compare.Result) error {
	for _, o := range all {
		if err := errors.Join(o.encode(o.file, r), o.file.Chmod(0o644), o.file.Sync(), o.file.Close()); err != nil {
			return err
		}
		if err := os.Rename(o.file.Name(), o.path); err != nil {
			return err
		}
	}
	return nil
}

// discard removes what has not got its name.
func (all outputs) discard() {
	for _, o := range all {
		_ = o.file.Close()
		_ = os.Remove(o.file.Name())
	}
}

func encodeComparison(w io.Writer, r *compare.Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
