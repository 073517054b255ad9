package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/codec/wav"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/client"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/speech"
)

// callOptions are the flags of "attune call".
type callOptions struct {
	network       string
	listen, peer  string
	offer, answer bool
	root          string
	edge          bool
	state         string
	wavIn, wavOut string
	duration      time.Duration
	stun          []string
	seed          uint64
	networkType   string
	noReport      bool
	showReport    bool
	json          bool
}

func newCall(s *settings) *cobra.Command {
	var o callOptions
	cmd := &cobra.Command{
		Use:     "call",
		GroupID: groupClient,
		Short:   "Make one real call: over a shaped network in this process, or to a peer",
		Long: "A real client: pion peer connection, libopus, jitter buffer, policy.Interceptor. Without a peer, both sides run here\n" +
			"over the named network. With --listen and --peer, or --offer and --answer, the two sides are two processes.\n" +
			"With --nats and --root it fetches and verifies the policy and reports the call; without, it uses the compiled-in one.",
		Example: "  attune call --network 2g --wav-in speech.wav --wav-out heard.wav\n" +
			"  attune call --network 2g --show-report\n" +
			"  attune call --network 3g --nats nats://127.0.0.1:4222 --root attune-data/root.json\n" +
			"  attune call --listen 127.0.0.1:8090 --wav-out heard.wav\n" +
			"  attune call --peer http://127.0.0.1:8090 --wav-in speech.wav\n" +
			"  attune call --offer",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(s.config.NATS); err != nil {
				return usageError{err}
			}
			return s.call(cmd.Context(), o)
		},
	}
	s.serverFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.network, "network", "", "call over this network, both sides here: a built-in name or a profile file")
	flags.StringVar(&o.listen, "listen", "", "wait for a peer that signals over HTTP to this address, such as 127.0.0.1:8090")
	flags.StringVar(&o.peer, "peer", "", "call the peer that listens at this URL")
	flags.BoolVar(&o.offer, "offer", false, "call a peer by copy and paste: print an offer, read the answer")
	flags.BoolVar(&o.answer, "answer", false, "take a call by copy and paste: read an offer, print the answer")
	flags.StringVar(&o.root, "root", "", "trusted root.json, with --nats")
	flags.BoolVar(&o.edge, "edge", false, "report through an edge, which packs; the default goes straight to the stream and needs none")
	flags.StringVar(&o.state, "state", "", "directory for the client's policy cache and unsent reports (default: a temporary one)")
	flags.StringVar(&o.wavIn, "wav-in", "", "WAV file to talk with (default: Debian's recorded prompts, or espeak-ng)")
	flags.StringVar(&o.wavOut, "wav-out", "", "WAV file for what is heard; with --network, by the caller")
	flags.BoolVar(&o.noReport, "no-report", false, "collect and send nothing about the call, and delete unsent reports in --state; the policy works as ever")
	flags.BoolVar(&o.showReport, "show-report", false, "print the exact bytes of each report before it is sent, and what each means; without --nats it is only shown")
	flags.DurationVar(&o.duration, "duration", 20*time.Second, "of the call")
	flags.StringSliceVar(&o.stun, "stun", nil, "stun: URLs, for a peer behind another NAT")
	flags.StringVar(&o.networkType, "network-type", "unknown", "what kind of network this machine is on, for a call to a peer")
	flags.BoolVar(&o.json, "json", false, "print decisions, segments and faults as JSON, one object a line")
	flags.Uint64Var(&o.seed, "seed", 1, "of the shaped network and of exploration")
	return cmd
}

func (o *callOptions) validate(nats string) error {
	ways := 0
	for _, chosen := range []bool{o.network != "", o.listen != "", o.peer != "", o.offer, o.answer} {
		if chosen {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("call: choose one of --network, --listen, --peer, --offer, --answer")
	case (nats == "") != (o.root == ""):
		return errors.New("call: --nats and --root go together: a policy is worth nothing without a root of trust")
	case o.edge && nats == "":
		return errors.New("call: --edge needs --nats")
	case o.showReport && o.noReport:
		return errors.New("call: --show-report and --no-report: there is none to show")
	case o.json && (o.offer || o.answer || o.showReport):
		return errors.New("call: --json is not for --offer, --answer and --show-report, which print for people")
	case o.duration <= 0 || o.duration > time.Hour:
		return fmt.Errorf("call: --duration %v, want above 0 and at most 1h", o.duration)
	}
	var network model.NetworkType
	return network.UnmarshalText([]byte(o.networkType))
}

func (s *settings) call(ctx context.Context, o callOptions) (err error) {
	voice, err := speechFrom(ctx, o.wavIn)
	if err != nil {
		return err
	}
	var heard *wav.Writer
	if o.wavOut != "" {
		if heard, err = wav.Create(o.wavOut); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, heard.Close()) }()
	}
	state := o.state
	if state == "" {
		if state, err = os.MkdirTemp("", "attune-call-"); err != nil {
			return fmt.Errorf("call: %w", err)
		}
		defer func() { _ = os.RemoveAll(state) }()
	}
	c := &caller{settings: s, options: o, voice: voice, heard: heard, state: state}
	if o.network != "" {
		return c.here(ctx)
	}
	return c.toPeer(ctx)
}

func speechFrom(ctx context.Context, file string) (speech.Speech, error) {
	if file != "" {
		return speech.Load(file)
	}
	return speech.Find(ctx)
}

// caller makes the one call of the verb.
type caller struct {
	*settings
	options callOptions
	voice   speech.Speech
	heard   *wav.Writer
	state   string

	printing sync.Mutex // guards what is printed while the call runs
}

// party is one side: with a device of its own where servers are named, with the compiled-in policy otherwise.
func (c *caller) party(ctx context.Context, name string) (lab.Party, func() error, error) {
	if c.config.NATS == "" {
		return c.aloneParty(name)
	}
	root, err := os.ReadFile(c.options.root)
	if err != nil {
		return lab.Party{}, nil, fmt.Errorf("--root: %w", err)
	}
	servers := lab.Servers{NATS: c.config.NATS, Root: root, NoReports: c.options.noReport, Edge: c.options.edge, Preview: c.preview(name)}
	device, err := lab.NewDevice(ctx, servers, c.state+"/"+name)
	if err != nil {
		return lab.Party{}, nil, err
	}
	return lab.Party{Policy: device.Policy, Reporter: device.Reporter}, closing(device.Close), nil
}

// aloneParty is one side without any server: its report is made only to be shown.
func (c *caller) aloneParty(name string) (lab.Party, func() error, error) {
	reporter, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: c.options.showReport, Publisher: new(outbox), Preview: c.preview(name)})
	if err != nil {
		return lab.Party{}, nil, err
	}
	return lab.Party{Policy: new(policy.Holder), Reporter: reporter}, closing(reporter.Close), nil
}

// closing gives what closes a bound.
func closing(end func(context.Context) error) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		return end(ctx)
	}
}

// preview prints the reports of one side before they are sent; nil when nobody wants to see them.
func (c *caller) preview(name string) func(report []byte) {
	if !c.options.showReport {
		return nil
	}
	return func(report []byte) {
		one, err := show(report)
		var b strings.Builder
		if err != nil { // a bug, which must not cost the report
			fmt.Fprintln(&b, err)
		} else {
			b.WriteByte('\n')
			one.print(&b, "Report of the "+name+", not yet sent")
			b.WriteString(theseAreAll)
		}
		c.printing.Lock()
		defer c.printing.Unlock()
		_, _ = io.WriteString(c.out, b.String()) // as with all that is printed during a call, nobody is left to tell
	}
}

// here runs both sides over a shaped network.
func (c *caller) here(ctx context.Context) error {
	profile, err := network.Load(c.options.network)
	if err != nil {
		return err
	}
	result := lab.Call(ctx, lab.Plan{
		Profile: profile, Seed: c.options.seed, Duration: c.options.duration, Speech: c.voice.Samples,
		Parties: func(ctx context.Context) (caller, callee lab.Party, release func(), err error) {
			caller, closeCaller, err := c.party(ctx, "caller")
			if err != nil {
				return lab.Party{}, lab.Party{}, nil, err
			}
			callee, closeCallee, err := c.party(ctx, "callee")
			if err != nil {
				return lab.Party{}, lab.Party{}, nil, errors.Join(err, closeCaller())
			}
			caller.Play, caller.Events = c.play, c.print
			release = func() {
				if err := errors.Join(closeCaller(), closeCallee()); err != nil {
					fmt.Fprintln(c.err, err)
				}
			}
			return caller, callee, release, nil
		},
	})
	return result.Err
}

// toPeer runs one side over the machine's own network.
func (c *caller) toPeer(ctx context.Context) (err error) {
	party, closeParty, err := c.party(ctx, "client")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeParty()) }()
	config := client.Config{
		Policy: party.Policy, Reporter: party.Reporter, Origin: telemetry.OriginCall, STUN: c.options.stun,
		Speech: c.voice.Samples, Play: c.play, Events: c.print, Seed: c.options.seed,
	}
	if err := config.Context.Network.UnmarshalText([]byte(c.options.networkType)); err != nil {
		return usageError{err}
	}
	connected, err := c.connect(ctx, config)
	if err != nil {
		return err
	}
	return connected.Run(ctx, c.options.duration)
}

// connect signals with the peer the way the flags say.
func (c *caller) connect(ctx context.Context, config client.Config) (*client.Client, error) {
	switch {
	case c.options.peer != "":
		return client.Dial(ctx, config, client.HTTP{URL: c.options.peer})
	case c.options.offer:
		return client.Dial(ctx, config, &client.Paste{In: bufio.NewReader(c.in), Out: c.out})
	case c.options.answer:
		fmt.Fprintln(c.out, "Paste the other side's offer here and press Enter:")
		offer, err := client.ReadDescription(ctx, bufio.NewReader(c.in))
		if err != nil {
			return nil, err
		}
		connected, answer, err := client.Accept(ctx, config, offer)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(c.out, "Give this line to the other side:\n\n%s\n\n", answer)
		return connected, nil
	default:
		return c.await(ctx, config)
	}
}

// await serves HTTP until a peer has called; the server goes on for the call's transport changes and ends with ctx.
func (c *caller) await(ctx context.Context, config client.Config) (*client.Client, error) {
	listener, err := net.Listen("tcp", c.options.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w; is the port taken? choose another", c.options.listen, err)
	}
	answering := client.NewListener(config)
	server := &http.Server{Handler: answering, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends when the server is closed, or with the process
	context.AfterFunc(ctx, func() { _ = server.Close() })
	said := c.out
	if c.options.json {
		said = c.err
	}
	fmt.Fprintf(said, "waiting for a call at http://%s\n", listener.Addr())
	select {
	case connected := <-answering.Client():
		return connected, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *caller) play(pcm []int16) {
	if c.heard != nil {
		_ = c.heard.Write(pcm) // a full disk shows when the file is closed
	}
}
