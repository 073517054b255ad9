package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/policy/delivery"
)

func newKeys(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "keys",
		GroupID: groupOperator,
		Short:   "Make and list signing keys",
		Long: "Policies are trusted when 2 of 3 targets keys signed them; the keys themselves are trusted when 2 of 3 root keys say\n" +
			"so. Keep the three of each role in three jurisdictions: a court or a thief then needs two of them.",
		Example: "  attune keys generate --dir keys\n  attune keys list --dir keys",
	}
	cmd.AddCommand(newKeysGenerate(s), newKeysList(s))
	return cmd
}

func newKeysGenerate(s *settings) *cobra.Command {
	var (
		dir    string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "generate",
		Short:   "Make all keys of a repository: three root, three targets, snapshot, timestamp",
		Example: "  attune keys generate --dir keys",
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				dir = s.config.KeysDir()
			}
			keys, err := delivery.GenerateKeys(dir)
			if err != nil {
				return err
			}
			rows := make([]keyRow, len(keys))
			for i, key := range keys {
				rows[i] = keyRow{key.Role().String(), key.ID()}
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(map[string]any{"dir": dir, "keys": rows})
			}
			for _, r := range rows {
				fmt.Fprintf(s.out, "%-10s %s\n", r.Role, r.ID)
			}
			fmt.Fprintf(s.out, "The private files are in %s, readable by you alone. Move each root and targets key to where it will be used.\n", dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory for the keys (default: keys in the data directory)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// keyRow is a key as it is listed.
type keyRow struct {
	Role string `json:"role"`
	ID   string `json:"id"`
}

func newKeysList(s *settings) *cobra.Command {
	var (
		dir    string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the public keys of a directory",
		Example: "  attune keys list --dir keys --json",
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				dir = s.config.KeysDir()
			}
			keys, err := delivery.LoadPublicKeys(dir)
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				return fmt.Errorf("%s has no public keys (.pub); is it the right directory? \"attune keys generate\" makes them", dir)
			}
			rows := make([]keyRow, len(keys))
			for i, key := range keys {
				rows[i] = keyRow{key.Role().String(), key.ID()}
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(rows)
			}
			for _, r := range rows {
				fmt.Fprintf(s.out, "%-10s %s\n", r.Role, r.ID)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the keys (default: keys in the data directory)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
