package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/fit"
)

func newLabFit(s *settings) *cobra.Command {
	var out, name, kind, source string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fit FILE...",
		Short: "Fit a network profile to recordings",
		Long: "Reads capacity traces (X.up, X.down), loss masks and round trip times, recognised by content, and writes a small profile\n" +
			"with fitted models in their place: a Markov capacity, Gilbert-Elliott loss, log-normal jitter. The profile names the files\n" +
			"with their SHA-256, how it was fitted, and how well it describes what was held out: every third file of a kind, or\n" +
			"blocks of a single one. What no file tells is that of the committed profile of the network type.",
		Example: "  attune lab fit traces/Verizon-LTE.up traces/Verizon-LTE.down --out lte.json\n" +
			"  attune lab fit masks/*.txt pings.txt --type wifi --source \"our office, March 2026\" --out office.json",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, files []string) error {
			switch {
			case len(files) == 0:
				return usageError{errors.New("lab fit: name the files to fit to")}
			case out == "":
				return usageError{errors.New("lab fit: say with --out where the profile goes")}
			}
			if name == "" {
				name = strings.TrimSuffix(filepath.Base(out), ".json")
			}
			options := fit.Options{Name: name, Source: source}
			if kind != "" {
				if err := options.Type.UnmarshalText([]byte(kind)); err != nil || options.Type == model.NetworkUnknown {
					return usageError{fmt.Errorf("lab fit: --type %q is not one of ethernet, wifi, 2g, 3g, 4g, 5g, satellite", kind)}
				}
			}
			profile, err := fit.Profile(files, options)
			if err != nil {
				return err
			}
			data, err := fit.Marshal(profile)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, data, 0o644); err != nil {
				return fmt.Errorf("lab fit: %w", err)
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(profile.Fit)
			}
			fmt.Fprintf(s.out, "%s: %d bytes\n\n", out, len(data))
			return printFit(s.out, profile.Fit)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&out, "out", "", "file that the profile is written to (required)")
	flags.StringVar(&name, "name", "", "name of the profile (default: that of the file)")
	flags.StringVar(&kind, "type", "", "network type (default: what the names of the files tell)")
	flags.StringVar(&source, "source", "", "where the recordings come from, for the profile's sources")
	flags.BoolVar(&asJSON, "json", false, "print the goodness of fit as JSON")
	return cmd
}
