package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/telemetry/transparency"
)

func newTransparencyRequest(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "request",
		Short: "Keep the signed log of requests for data: courts, prosecutors, users, regulators",
		Long: "The log is append-only. Each entry carries the hash of the one before and a signature, so that none can be changed\n" +
			"later. It holds kinds, countries, dates, answers and a short note, and nothing about the people concerned.",
		Example: "  attune transparency request add --kind subpoena --jurisdiction US --received 2026-01-20\n" +
			"  attune transparency request answer 2 --answered 2026-02-02 --answer refused\n" +
			"  attune transparency request list\n  attune transparency request verify",
	}
	cmd.AddCommand(newRequestAdd(s), newRequestAnswer(s), newRequestList(s), newRequestVerify(s))
	return cmd
}

// answerFlags are the flags of an answer.
type answerFlags struct {
	answered, answer, note string
	publicKeys             []string
}

func (a *answerFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.answered, "answered", "", "day of the answer, as 2026-01-07")
	flags.StringVar(&a.answer, "answer", "", "what was answered: one of "+fmt.Sprintf("%q", transparency.Answers()))
	flags.StringVar(&a.note, "note", "", "a few words, with nothing about a person in them")
	flags.StringSliceVar(&a.publicKeys, "key", nil, "public key files of earlier entries, where the key has changed since")
}

func (a *answerFlags) parse() (day transparency.Day, answer transparency.Answer, err error) {
	if a.answer != "" {
		if answer, err = transparency.ParseAnswer(a.answer); err != nil {
			return "", 0, usageError{fmt.Errorf("--answer: %w", err)}
		}
	}
	if a.answered != "" {
		if day, err = transparency.ParseDay(a.answered); err != nil {
			return "", 0, usageError{fmt.Errorf("--answered: %w", err)}
		}
	}
	return day, answer, nil
}

func newRequestAdd(s *settings) *cobra.Command {
	var (
		kind, jurisdiction, received string
		answer                       answerFlags
	)
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Enter a request, with its answer or without",
		Long: "Enters a request. The first one makes the key that signs entries, in the keys directory; publish its public half. An\n" +
			"entry cannot be changed or removed, so what is not right is refused before it is signed.",
		Example: "  attune transparency request add --kind court-order --jurisdiction DE --received 2026-01-05 \\\n" +
			"    --answered 2026-01-07 --answer \"nothing to hand over\"",
		RunE: func(*cobra.Command, []string) error {
			request := transparency.Request{Jurisdiction: jurisdiction, Received: transparency.Day(received), Note: answer.note}
			var err error
			if request.Kind, err = transparency.ParseKind(kind); err != nil {
				return usageError{fmt.Errorf("--kind: %w", err)}
			}
			if request.Answered, request.Answer, err = answer.parse(); err != nil {
				return err
			}
			now := time.Now()
			if err := request.Validate(transparency.DayOf(now)); err != nil {
				return usageError{fmt.Errorf("request: %w", err)}
			}
			key, trusted, err := s.requestKey(answer.publicKeys, true)
			if err != nil {
				return err
			}
			entry, err := transparency.Append(s.requestLogPath(), key, now, request, trusted...)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "request %d entered\nhash %s\n", entry.Sequence, entry.Hash)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kind, "kind", "", "who asks: one of "+fmt.Sprintf("%q", transparency.Kinds()))
	flags.StringVar(&jurisdiction, "jurisdiction", "", "country of who asks, two letters of ISO 3166-1")
	flags.StringVar(&received, "received", "", "day it came, as 2026-01-05")
	answer.flags(cmd)
	s.dataFlag(cmd)
	return cmd
}

func newRequestAnswer(s *settings) *cobra.Command {
	var answer answerFlags
	cmd := &cobra.Command{
		Use:     "answer NUMBER",
		Short:   "Enter the answer to a request that was open",
		Example: "  attune transparency request answer 2 --answered 2026-02-02 --answer refused",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var number uint64
			if _, err := fmt.Sscanf(args[0], "%d", &number); err != nil || fmt.Sprint(number) != args[0] {
				return usageError{fmt.Errorf("request answer: %q is not the number of a request", args[0])}
			}
			answered, given, err := answer.parse()
			if err != nil {
				return err
			}
			if answered == "" || given == transparency.AnswerNone {
				return usageError{errors.New("request answer: --answered and --answer are required")}
			}
			key, trusted, err := s.requestKey(answer.publicKeys, false)
			if err != nil {
				return err
			}
			entry, err := transparency.AppendAnswer(s.requestLogPath(), key, time.Now(), number, answered, given, answer.note, trusted...)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "answer to request %d entered\nhash %s\n", number, entry.Hash)
			return nil
		},
	}
	answer.flags(cmd)
	s.dataFlag(cmd)
	return cmd
}

// requestKey is the key that signs entries, and the other keys that entries may be signed with. The first entry of all
// makes the key; a log whose key is gone gets no second one unasked.
func (s *settings) requestKey(publicKeys []string, first bool) (*transparency.Key, []transparency.PublicKey, error) {
	var trusted []transparency.PublicKey
	if len(publicKeys) > 0 {
		var err error
		if trusted, err = s.requestKeys(publicKeys); err != nil {
			return nil, nil, err
		}
	}
	dir := s.config.KeysDir()
	key, err := transparency.LoadKey(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, trusted, err
	}
	log, logErr := transparency.ReadLogFile(s.requestLogPath(), trusted...)
	if logErr != nil {
		return nil, nil, logErr
	}
	if !first || len(log) > 0 && len(trusted) == 0 {
		return nil, nil, fmt.Errorf("%w; entries are signed with this key: restore it from a copy, or name the public key of the old entries with --key to go on with a new one", err)
	}
	if key, err = transparency.GenerateKey(dir); err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(s.err, "made the key that signs entries, in %s; publish its public half: %s\n", dir, key.Public())
	return key, trusted, nil
}

func newRequestList(s *settings) *cobra.Command {
	var (
		publicKeys []string
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Print the requests and their answers",
		Example: "  attune transparency request list --json",
		RunE: func(*cobra.Command, []string) error {
			log, _, err := s.verifiedLog(publicKeys)
			if err != nil {
				return err
			}
			requests := log.Requests()
			if asJSON {
				if requests == nil {
					requests = []transparency.NumberedRequest{}
				}
				return json.NewEncoder(s.out).Encode(requests)
			}
			w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "number\tkind\tfrom\treceived\tanswered\tanswer\tnote")
			for _, r := range requests {
				answered := string(r.Answered)
				if answered == "" {
					answered = "open"
				}
				fmt.Fprintf(w, "%d\t%v\t%s\t%s\t%s\t%v\t%s\n", r.Number, r.Kind, r.Jurisdiction, r.Received, answered, r.Answer, r.Note)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "%d requests\n", len(requests))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringSliceVar(&publicKeys, "key", nil, "public key files the log must be signed with")
	s.dataFlag(cmd)
	return cmd
}

func newRequestVerify(s *settings) *cobra.Command {
	var (
		publicKeys []string
		head       string
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the chain and every signature of the log",
		Long: "Checks every entry: its encoding, its hash, that of the entry before, and its signature. Entries cut off at the end\n" +
			"show only against a hash that was noted earlier, such as the one in a published report: give it with --head.",
		Example: "  attune transparency request verify --head 9f2c... --key transparency-key.public",
		RunE: func(*cobra.Command, []string) error {
			log, keys, err := s.verifiedLog(publicKeys)
			if err != nil {
				return err
			}
			if head != "" && !log.Contains(head) {
				return fmt.Errorf("%w: it does not contain the entry with hash %.80s: entries are missing from its end", transparency.ErrTampered, head)
			}
			result := struct {
				Entries int      `json:"entries"`
				Head    string   `json:"head"`
				Keys    []string `json:"keys"`
			}{len(log), log.Head(), []string{}}
			for _, key := range keys {
				result.Keys = append(result.Keys, key.String())
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(result)
			}
			fmt.Fprintf(s.out, "%d entries, the chain and every signature verify\nhash of the last: %s\n", result.Entries, result.Head)
			for _, key := range result.Keys {
				fmt.Fprintf(s.out, "public key: %s\n", key)
			}
			if len(keys) == 0 && len(log) > 0 {
				fmt.Fprintln(s.out, "no public key was given: this shows that the log is whole, not who signed it; see --key")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&head, "head", "", "hash of an entry that must be in the log")
	cmd.Flags().StringSliceVar(&publicKeys, "key", nil, "public key files the log must be signed with (default: "+transparency.PublicKeyFile+" in the keys directory)")
	s.dataFlag(cmd)
	return cmd
}

func (s *settings) verifiedLog(publicKeys []string) (transparency.Log, []transparency.PublicKey, error) {
	keys, err := s.requestKeys(publicKeys)
	if err != nil {
		return nil, nil, err
	}
	log, err := transparency.ReadLogFile(s.requestLogPath(), keys...)
	return log, keys, err
}
