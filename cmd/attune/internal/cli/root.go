// Package cli is the command line: it reads flags and signals and wires the packages together. A verb is a file.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
)

// Exit statuses of every verb.
const (
	exitOK    = 0
	exitFault = 1
	exitUsage = 2
)

// usageError is a mistake on the command line rather than in the world.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// streams is what a verb reads and writes; tests give their own.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// settings are the flags every verb has.
type settings struct {
	streams
	configPath string
	verbose    bool
	config     config.Config
	log        *slog.Logger
}

// Run executes one command line and returns its exit status. SIGINT and SIGTERM end the verb in order: children are
// stopped and files are flushed; a second one kills the process.
func Run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on a signal has its default effect
	}()
	root := newRoot(streams{in: in, out: out, err: errOut})
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "attune: %v\nSee \"attune --help\".\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(errOut, "attune: interrupted")
		return exitFault
	default:
		fmt.Fprintf(errOut, "attune: %v\n", err)
		return exitFault
	}
}

// The groups of --help: who uses a verb.
const (
	groupEveryone = "everyone"
	groupClient   = "client"
	groupData     = "data"
	groupOperator = "operator"
)

func newRoot(std streams) *cobra.Command {
	s := &settings{streams: std}
	root := &cobra.Command{
		Use:   "attune",
		Short: "Voice calls that tune themselves",
		Long: "Attune learns from anonymous call statistics which bitrate, protection and relay work best on each kind of\n" +
			"network, and brings the result back to call clients as a signed policy.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&s.configPath, "config", "", "configuration file (default "+config.FileName+" where it exists)")
	root.PersistentFlags().BoolVarP(&s.verbose, "verbose", "v", false, "log what the parts do")
	root.AddGroup(
		&cobra.Group{ID: groupEveryone, Title: "For everyone:"},
		&cobra.Group{ID: groupClient, Title: "For developers of call clients:"},
		&cobra.Group{ID: groupData, Title: "For data teams:"},
		&cobra.Group{ID: groupOperator, Title: "For release operators:"},
	)
	root.SetHelpCommandGroupID(groupEveryone)
	verbs := []*cobra.Command{
		newDemo(s), newUp(s), newVersion(s), newPrivacy(s),
		newCall(s),
		newEdge(s), newIngest(s), newImport(s), newTrain(s), newEvaluate(s), newWarehouse(s), newLab(s),
		newKeys(s), newPublish(s), newRollout(s), newTransparency(s),
	}
	root.AddCommand(verbs...)
	strictArgs(root)
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return s.load() }
	return root
}

// strictArgs makes wrong arguments of a command and all below it usage errors.
func strictArgs(verb *cobra.Command) {
	check := verb.Args
	if check == nil {
		check = cobra.NoArgs
	}
	verb.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
		}
		return nil
	}
	for _, sub := range verb.Commands() {
		strictArgs(sub)
	}
}

// load reads the configuration and sets up the log, which goes to standard error.
func (s *settings) load() error {
	loaded, err := config.Load(s.configPath, os.LookupEnv)
	if err != nil {
		return err
	}
	for _, name := range config.UnknownVariables(os.Environ()) {
		fmt.Fprintf(s.err, "attune: %s is no setting, it is ignored; deploy/attune.yaml says how variables are named\n", name)
	}
	s.config = loaded
	level := slog.LevelWarn
	if s.verbose {
		level = slog.LevelInfo
	}
	s.log = slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
	return nil
}
