package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/training"
)

func newPublish(s *settings) *cobra.Command {
	var mirror string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "publish RUN",
		GroupID: groupOperator,
		Short:   "Sign a candidate and put it in force for everybody",
		Long: "Takes the candidate of a run directory as the next policy, signs it with the keys of the keys directory, and brings\n" +
			"it to NATS (with --nats) and to a directory that any web server can serve (with --mirror). Short of 2 of 3 targets\n" +
			"keys it is staged, and other key holders add theirs with \"attune publish sign\". To try a candidate on some calls\n" +
			"first, use \"attune rollout start\".",
		Example: "  attune publish runs/run-20261123-101500-v2-1f0c8a77 --nats nats://nats:4222 --mirror /srv/policy",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			run, err := training.ReadRun(args[0])
			if err != nil {
				return err
			}
			releases, done, err := s.releases(ctx, mirror)
			if err != nil {
				return err
			}
			defer done()
			inForce, err := releases.InForce(ctx)
			if err != nil {
				return err
			}
			document := loop.Everybody(inForce, run.Policy.Document(), s.config.Policy, time.Now())
			err = releases.Publish(ctx, document, run.Models)
			short := new(delivery.ThresholdError)
			staged := errors.As(err, &short)
			switch {
			case err != nil && !staged:
				return err
			case asJSON:
				return json.NewEncoder(s.out).Encode(map[string]any{"policy": document.Version, "inForce": !staged})
			case staged:
				fmt.Fprintf(s.out, "policy %d is staged: %v\nAnother key holder runs: attune publish sign --key FILE\n", document.Version, short)
			default:
				fmt.Fprintf(s.out, "policy %d is in force\n", document.Version)
			}
			return nil
		},
	}
	s.serverFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&mirror, "mirror", "", "directory to bring the published files to as well")
	cmd.AddCommand(newPublishSign(s), newPublishStatus(s), newPublishRefresh(s))
	return cmd
}

// releases opens the repository of the data directory, with the stores that were asked for.
func (s *settings) releases(ctx context.Context, mirror string) (*loop.Releases, func(), error) {
	var stores []delivery.Store
	done := func() {}
	if s.config.NATS != "" {
		backends, err := loop.Open(ctx, s.config, loop.NeedConnection, 0, s.log)
		if err != nil {
			return nil, nil, err
		}
		done = func() { _ = backends.Close() }
		stores = append(stores, delivery.NewNATSStore(backends.JetStream))
	}
	if mirror != "" {
		stores = append(stores, delivery.NewDirStore(mirror))
	}
	releases, err := loop.OpenReleases(ctx, s.config.Data, s.config.KeysDir(), stores...)
	if err != nil {
		done()
		return nil, nil, err
	}
	return releases, done, nil
}

func newPublishSign(s *settings) *cobra.Command {
	var keyFile, mirror string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "sign",
		Short:   "Add one key's signature to the staged policy; at the threshold it comes into force",
		Example: "  attune publish sign --key /media/key/targets-2.pem",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keyFile == "" {
				return usageError{errors.New("publish sign: --key is required")}
			}
			key, err := loadKey(keyFile)
			if err != nil {
				return err
			}
			releases, done, err := s.releases(cmd.Context(), mirror)
			if err != nil {
				return err
			}
			defer done()
			have, want, err := releases.Sign(cmd.Context(), key)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(map[string]any{"signatures": have, "needed": want, "inForce": have >= want})
			}
			if have < want {
				fmt.Fprintf(s.out, "signed: %d of %d\n", have, want)
				return nil
			}
			fmt.Fprintf(s.out, "signed: %d of %d; the policy is in force\n", have, want)
			return nil
		},
	}
	s.serverFlags(cmd)
	cmd.Flags().StringVar(&keyFile, "key", "", "private key file (.pem)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&mirror, "mirror", "", "directory to bring the published files to as well")
	return cmd
}

// loadKey reads a root or targets key; which of the two is in the file.
func loadKey(file string) (*delivery.Key, error) {
	key, err := delivery.LoadKey(file, delivery.RoleTargets)
	if err == nil {
		return key, nil
	}
	if root, rootErr := delivery.LoadKey(file, delivery.RoleRoot); rootErr == nil {
		return root, nil
	}
	return nil, err
}

func newPublishStatus(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what is in force, its arms, and when it expires",
		Example: "  attune publish status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			repository, err := loop.OpenRepository(s.config.Data)
			if err != nil {
				return err
			}
			published, err := repository.Published(cmd.Context())
			if errors.Is(err, delivery.ErrNotFound) {
				return fmt.Errorf("%s: nothing is published there yet; \"attune up\" publishes the first policy", filepath.Join(s.config.Data, loop.RepositoryName))
			}
			if err != nil {
				return err
			}
			document, err := repository.InForce(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(map[string]any{"published": published, "experiment": document.Experiment, "arms": document.Arms})
			}
			fmt.Fprintf(s.out, "policy %d, signed chain good until %s\n", published.Policy, published.Expires.Format(time.RFC3339))
			for _, arm := range document.Arms {
				kind := "static"
				if arm.Model != "" {
					kind = arm.Model
				}
				fmt.Fprintf(s.out, "  %-10s %5.1f %%  %s\n", arm.Name, float64(arm.Weight)/100, kind)
			}
			return nil
		},
	}
	s.dataFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newPublishRefresh(s *settings) *cobra.Command {
	var mirror string
	cmd := &cobra.Command{
		Use:     "refresh",
		Short:   "Sign a new timestamp, so that clients know nothing was kept from them",
		Example: "  attune publish refresh --nats nats://nats:4222",
		RunE: func(cmd *cobra.Command, _ []string) error {
			releases, done, err := s.releases(cmd.Context(), mirror)
			if err != nil {
				return err
			}
			defer done()
			return releases.Refresh(cmd.Context())
		},
	}
	s.serverFlags(cmd)
	cmd.Flags().StringVar(&mirror, "mirror", "", "directory to bring the published files to as well")
	return cmd
}
