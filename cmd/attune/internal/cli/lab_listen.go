package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/codec/wav"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/listen"
)

// listenOptions are the flags of "attune lab listen".
type listenOptions struct {
	networks        labNetworks
	network, policy string
	wav, out        string
	seed            uint64
}

func newLabListen(s *settings) *cobra.Command {
	var o listenOptions
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Hear what a policy does on a network",
		Long: "Makes one simulated call and writes what the callee hears: the speech is really coded by libopus as the policy decides,\n" +
			"packets are lost and late as the simulation says, and the rest is really decoded, with the client's jitter buffer,\n" +
			"FEC, redundancy and concealment. The same network and seed under another policy: hear the difference.",
		Example: "  attune lab listen --network 3g --policy default --wav speech.wav --out default.wav\n" +
			"  attune lab listen --network 3g --policy learned:attune-data/runs/run-1 --wav speech.wav --out learned.wav\n" +
			"  attune lab listen --network traces/Verizon-LTE.down --policy ana --out heard.wav",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.network == "" || o.out == "" {
				return usageError{errors.New("lab listen: --network and --out are required")}
			}
			return s.labListen(cmd.Context(), &o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.network, "network", "", "network of both sides: a name of the suite, a committed profile, or the file of a profile or recording")
	o.networks.flags(cmd)
	flags.StringVar(&o.policy, "policy", compare.NameDefault, "who decides: a policy document, a run directory (learned:RUN, greedy:RUN), or a fixed rule")
	flags.StringVar(&o.wav, "wav", "", "WAV file to talk with (default: Debian's recorded prompts, or espeak-ng)")
	flags.StringVar(&o.out, "out", "", "WAV file for what the callee hears")
	flags.Uint64Var(&o.seed, "seed", 1, "of the network")
	return cmd
}

func (s *settings) labListen(ctx context.Context, o *listenOptions) (err error) {
	contender, err := compare.Named(o.policy)
	if err != nil {
		return usageError{fmt.Errorf("lab listen: %w", err)}
	}
	if contender.Options() == nil {
		return usageError{fmt.Errorf("lab listen: %q decides after the fact, and cannot make a call", o.policy)}
	}
	profile, err := o.networks.network(s, o.network)
	if err != nil {
		return fmt.Errorf("lab listen: %w", err)
	}
	voice, err := speechFrom(ctx, o.wav)
	if err != nil {
		return err
	}
	heard, err := wav.Create(o.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, heard.Close()) }()
	began := time.Unix(0, 0)
	result, err := listen.Call(listen.Config{
		Profile: profile, Seed: o.seed, Speech: voice.Samples, Options: contender.Options, Play: heard.Write,
		Events: func(e policy.Event) {
			if e.Kind == policy.EventSegment {
				m := e.Measurement
				fmt.Fprintf(s.out, "%4.0f s  %-44v MOS %s, loss %s %%, after repair %s %%, round trip %s, %s kbps\n", e.At.Sub(began).Seconds(),
					e.Segment.Action, known("%.2f", m.MOS), known("%.1f", 100*m.LossBefore), known("%.1f", 100*m.LossAfter),
					knownTime(m.RoundTripTime), known("%.0f", m.SentKbps))
			}
		},
	})
	switch {
	case err != nil:
		return err
	case !result.Set:
		_, err = fmt.Fprintf(s.out, "the call was not set up: %s is empty\n", o.out)
	default:
		_, err = fmt.Fprintf(s.out, "%s: %v of what the callee hears; %d of %d packets came; MOS %s\n", o.out,
			heard.Duration().Round(100*time.Millisecond), result.Arrived, result.Packets, known("%.2f", result.MOS))
	}
	return err
}

// known is a figure, or "-" for what was not measured.
func known(format string, v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func knownTime(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}
