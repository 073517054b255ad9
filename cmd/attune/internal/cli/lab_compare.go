package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
			"the same result, on any number of cores. With --json, what is done is kept in FILE.journal until the end; --resume continues from there.",
		Example: "  attune lab compare --policies default,telegram,ana,tgcalls --calls 200 --seeds 5\n" +
			"  attune lab compare --networks traces/mahimahi traces/sabre --policies default,best-static,oracle --calls 300 --seeds 5 --json out/lab.json --html out/lab.html\n" +
			"  attune lab compare --suite suite.json --policies learned:attune-data/runs/run-1,greedy:attune-data/runs/run-1,oracle",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.resume && o.json == "" {
				return usageError{errors.New("lab compare: --resume needs --json: the journal lies beside it")}
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
	flags.BoolVar(&o.resume, "resume", false, "continue an interrupted comparison")
	flags.IntVar(&o.workers, "workers", 0, "calls computed at the same time (default: one for each core)")
	return cmd
}

func (s *settings) labCompare(ctx context.Context, o *compareOptions, args []string) error {
	networks, err := o.networks.open(s, args)
	if err != nil {
		return err
	}
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
	if config.Frames, config.Speech, err = labFrames(ctx, o.wav); err != nil {
		return err
	}
	if err := config.Validate(); err != nil {
		return usageError{fmt.Errorf("lab compare: %w", err)}
	}
	for _, file := range []string{o.json, o.html} {
		if file != "" {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return fmt.Errorf("lab compare: %w", err)
			}
		}
	}
	if o.json != "" {
		config.Journal = o.json + ".journal"
	}
	progress := s.labProgress()
	config.Progress = progress.show
	result, err := compare.Run(ctx, config)
	progress.end()
	if err != nil {
		if _, gone := os.Stat(config.Journal); config.Journal != "" && ctx.Err() != nil && !errors.Is(gone, fs.ErrNotExist) {
			fmt.Fprintf(s.err, "what is done is kept in %s: give the same command with --resume to continue\n", config.Journal)
		}
		return err
	}
	if err := writeComparison(o, result); err != nil {
		return fmt.Errorf("lab compare: %w", err)
	}
	return result.Fprint(s.out)
}

func writeComparison(o *compareOptions, result *compare.Result) error {
	if o.json != "" {
		text, err := json.MarshalIndent(result, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.html != "" {
		var page bytes.Buffer
		if err := result.HTML(&page); err != nil {
			return err
		}
		return os.WriteFile(o.html, page.Bytes(), 0o644)
	}
	return nil
}
