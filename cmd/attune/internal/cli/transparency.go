package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/cmd/attune/internal/versions"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry/transparency"
)

// transparencyOptions are the flags of "attune transparency".
type transparencyOptions struct {
	since, until, out, now string
	publicKeys             []string
	json                   bool
}

func newTransparency(s *settings) *cobra.Command {
	var o transparencyOptions
	cmd := &cobra.Command{
		Use:     "transparency",
		GroupID: groupOperator,
		Short:   "Write what is held, for how long, who asked for it, and what a court could obtain",
		Long: "Reads the database, the message server, the published policies and the log of requests as they are, changes none of\n" +
			"them, and writes one report: as Markdown to standard output, as JSON with --json, and as report.md, report.html and\n" +
			"report.json with --out. The exit status is 1 when a promise is broken, or when there is a table or column that the\n" +
			"registry of fields does not explain; the report is written all the same.",
		Example: "  attune transparency --since 2026-01-01 --until 2026-02-01 --out public\n" +
			"  attune transparency --data out/demo --json\n" +
			"  attune transparency request add --kind court-order --jurisdiction DE --received 2026-01-05 \\\n" +
			"    --answered 2026-01-07 --answer \"nothing to hand over\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := o.sources()
			if err != nil {
				return err
			}
			return s.transparency(cmd.Context(), &o, sources)
		},
	}
	s.serverFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "", "first day of the period, as 2026-01-01 (default: 90 days before its end)")
	flags.StringVar(&o.until, "until", "", "first day after the period (default: tomorrow)")
	flags.StringVar(&o.out, "out", "", "directory for report.md, report.html and report.json")
	flags.StringVar(&o.now, "at", "", "write the report as of this time, as 2026-02-01T12:00:00Z (default: now)")
	flags.StringSliceVar(&o.publicKeys, "key", nil, "public key files that the log of requests must be signed with (default: "+transparency.PublicKeyFile+" in the keys directory)")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	cmd.AddCommand(newTransparencyRequest(s))
	return cmd
}

// sources reads the period from the flags.
func (o *transparencyOptions) sources() (transparency.Sources, error) {
	const day = 24 * time.Hour
	sources := transparency.Sources{Now: time.Now(), Program: versions.Read().Attune}
	if o.now != "" {
		now, err := time.Parse(time.RFC3339, o.now)
		if err != nil {
			return sources, usageError{fmt.Errorf("--at: %q is not a time, such as 2026-02-01T12:00:00Z", o.now)}
		}
		sources.Now = now
	}
	sources.Until = sources.Now.UTC().Truncate(day).Add(day)
	for _, bound := range []struct {
		flag, text string
		into       *time.Time
	}{{"until", o.until, &sources.Until}, {"since", o.since, &sources.Since}} {
		if bound.text == "" {
			continue
		}
		at, err := time.Parse(time.DateOnly, bound.text)
		if err != nil {
			return sources, usageError{fmt.Errorf("--%s: %q is not a day, such as 2026-01-01", bound.flag, bound.text)}
		}
		*bound.into = at
	}
	if o.since == "" {
		sources.Since = sources.Until.Add(-90 * day)
	}
	if !sources.Since.Before(sources.Until) {
		return sources, usageError{fmt.Errorf("--since %s is not before --until %s", transparency.DayOf(sources.Since), transparency.DayOf(sources.Until))}
	}
	return sources, nil
}

func (s *settings) transparency(ctx context.Context, o *transparencyOptions, sources transparency.Sources) (err error) {
	if err := s.findData(); err != nil {
		return err
	}
	if sources.Log, sources.Trusted, err = s.requestLog(o.publicKeys); err != nil {
		return err
	}
	sources.Policies = s.publishedPolicies(ctx)
	sources.MinCell, sources.Retention = s.config.Privacy.MinCell, s.config.Privacy.Retention
	held, err := loop.Open(ctx, s.config, loop.NeedWarehouse|loop.AsItIs, 0, s.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	sources.Warehouse = held.Warehouse
	broker, why := s.openStreams(ctx)
	if broker != nil {
		defer func() { err = errors.Join(err, broker.Close()) }()
		sources.JetStream = broker.JetStream
	}
	sources.NoStreams = why
	sources.Purposes = map[string]string{
		"KV_" + delivery.Bucket:         "the signed metadata of the policy, the same for everybody",
		"OBJ_" + delivery.TargetsBucket: "the policy and its models, the same for everybody",
	}
	report, err := transparency.Gather(ctx, sources)
	if err != nil {
		return err
	}
	if err := o.write(s, report); err != nil {
		return err
	}
	if serious := report.Serious(); len(serious) > 0 {
		lines := make([]string, len(serious))
		for i, f := range serious {
			lines[i] = "\n  " + f.Where + ": " + f.What + " " + f.Action
		}
		return fmt.Errorf("what is held is not as it is promised:%s", strings.Join(lines, ""))
	}
	return nil
}

// findData makes sure that there is something to look at: servers that are started make their directories. The
// directory of a demo has its data one level down.
func (s *settings) findData() error {
	if s.config.ClickHouse != "" {
		return nil
	}
	for _, data := range []string{s.config.Data, filepath.Join(s.config.Data, "data")} {
		if info, err := os.Stat(filepath.Join(data, "clickhouse")); err == nil && info.IsDir() {
			s.config.Data = data
			return nil
		}
	}
	return fmt.Errorf("%s holds no ClickHouse of \"attune up\" or \"attune demo\"; name its directory with --data, or an external server with --clickhouse", s.config.Data)
}

// openStreams reaches the message server, or says why it cannot be looked at.
func (s *settings) openStreams(ctx context.Context) (*loop.Backends, string) {
	if s.config.NATS == "" {
		if _, err := os.Stat(filepath.Join(s.config.Data, "nats")); err != nil {
			return nil, "no NATS server was given"
		}
	}
	b, err := loop.Open(ctx, s.config, loop.NeedConnection, 0, s.log)
	if err != nil {
		s.log.Warn("the message server cannot be looked at", "err", err)
		return nil, "the NATS server could not be reached"
	}
	return b, ""
}

func (o *transparencyOptions) write(s *settings, report *transparency.Report) error {
	text, err := report.Markdown()
	if err != nil {
		return err
	}
	data, err := report.JSON()
	if err != nil {
		return err
	}
	if o.out != "" {
		page, err := report.HTML()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		for name, content := range map[string][]byte{"report.md": text, "report.html": page, "report.json": data} {
			if err := os.WriteFile(filepath.Join(o.out, name), content, 0o644); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
		}
	}
	switch {
	case o.json:
		_, err = s.out.Write(data)
	case o.out != "":
		_, err = fmt.Fprintf(s.out, "wrote report.md, report.html and report.json to %s\n", o.out)
	default:
		_, err = s.out.Write(text)
	}
	return err
}

// publishedPolicies lists every policy in the repository of the data directory.
func (s *settings) publishedPolicies(ctx context.Context) transparency.Policies {
	policies := transparency.Policies{
		Threshold: delivery.RoleTargets.Threshold(), Keys: delivery.RoleTargets.Keys(), List: []transparency.Policy{},
	}
	unknown := func(why string, err error) transparency.Policies {
		if err != nil {
			s.log.Warn("the published policies cannot be looked at", "err", err)
		}
		policies.Why = why
		return policies
	}
	directory := filepath.Join(s.config.Data, loop.RepositoryName)
	files, err := filepath.Glob(filepath.Join(directory, "targets", "*.policy.json"))
	if _, missing := os.Stat(directory); missing != nil || err != nil {
		return unknown("no policies are published from this machine", err)
	}
	repository, err := loop.OpenRepository(s.config.Data)
	if err != nil {
		return unknown("the repository of policies cannot be read", err)
	}
	published, err := repository.Published(ctx)
	if err != nil {
		return unknown("the signatures of the published policies do not verify", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		var document policy.Document
		if err == nil {
			err = json.Unmarshal(content, &document)
		}
		if err != nil {
			return unknown("the repository of policies cannot be read", err)
		}
		policies.List = append(policies.List, transparency.Policy{
			Version: document.Version, Created: document.Created, Expires: document.Expires,
			Experiment: document.Experiment.Number, Arms: len(document.Arms),
			Bytes: len(content), SHA256: fmt.Sprintf("%x", sha256.Sum256(content)),
		})
	}
	slices.SortFunc(policies.List, func(a, b transparency.Policy) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.SHA256, b.SHA256))
	})
	policies.Known, policies.InForce = true, published.Policy
	return policies
}

// requestLog reads the log of requests and the public keys it must be signed with.
func (s *settings) requestLog(keyFiles []string) ([]byte, []transparency.PublicKey, error) {
	keys, err := s.requestKeys(keyFiles)
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(s.requestLogPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("log of requests: %w", err)
	}
	return text, keys, nil
}

// requestKeys reads public keys; without names, the one in the keys directory if there is one.
func (s *settings) requestKeys(files []string) ([]transparency.PublicKey, error) {
	named := len(files) > 0
	if !named {
		files = []string{filepath.Join(s.config.KeysDir(), transparency.PublicKeyFile)}
	}
	var keys []transparency.PublicKey
	for _, file := range files {
		key, err := transparency.LoadPublicKey(file)
		if errors.Is(err, fs.ErrNotExist) && !named {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// requestLogPath is where the log of requests is.
func (s *settings) requestLogPath() string {
	return filepath.Join(s.config.Data, "transparency", "requests.jsonl")
}
