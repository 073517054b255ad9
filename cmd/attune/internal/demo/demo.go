// Package demo is the main job: from a first policy that explores in simulated calls, through training on what they
// report, to an A/B rollout in real calls with a verdict; and a table, a summary and a page of what was measured.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/cmd/attune/internal/versions"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab/history"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/speech"
)

// Options of one demo. Out is required.
type Options struct {
	Out       string        // directory for summary.json, report.html and everything the servers keep
	Networks  []string      // names of profiles, or files; default Networks
	Trace     string        // file with a capacity trace to add as a network of its own
	WAV       string        // file to talk with; default the speech this machine has
	Simulated int           // simulated calls, on all networks together, that the learner learns from
	Calls     int           // real calls on each network in the experiment, both arms together; 0 = what there is time for
	Duration  time.Duration // of a call, simulated or real
	Parallel  int           // real calls at once; 0 = what the machine has room for, see room
	Explore   float64       // share of exploring decisions in the simulated calls
	Seed      uint64        // default 1

	Terminal bool // whether Progress can be rewritten in place
	Progress io.Writer
	Log      *slog.Logger
}

// Networks is what a demo calls over: seven kinds, of which two look the same to the client's operating system.
var Networks = []string{"ethernet", "wifi", "4g", "3g", "2g", "satellite", "4g-udp-throttled"}

// Validate reports every fault with its flag.
func (o *Options) Validate() error {
	var faults []error
	check := func(ok bool, flag string, value any, want string) {
		if !ok {
			faults = append(faults, fmt.Errorf("--%s: %v, want %s", flag, value, want))
		}
	}
	check(o.Simulated >= 100 && o.Simulated <= 200_000, "simulated", o.Simulated, "100..200000 calls")
	check(o.Calls == 0 || o.Calls >= 2 && o.Calls <= 1000, "calls", o.Calls, "2..1000")
	check(o.Duration >= 10*time.Second && o.Duration <= history.MaxDuration, "duration", o.Duration, "10s.."+history.MaxDuration.String())
	check(o.Parallel >= 0 && o.Parallel <= 1000, "parallel", o.Parallel, "1..1000")
	check(o.Explore > 0 && o.Explore <= 1, "explore", o.Explore, "above 0 and at most 1: nothing is learned from one setting")
	check(len(o.Networks) > 0, "networks", o.Networks, "at least one")
	return errors.Join(faults...)
}

// run is the state of one demo.
type run struct {
	options   Options
	progress  *progress
	config    config.Config
	profiles  []*network.Profile
	speech    speech.Speech
	backends  *loop.Backends
	releases  *loop.Releases
	fleet     *fleet
	frames    *sim.Frames         // the speech, for simulated calls
	forecasts map[string]Forecast // by network
	trial     *loop.Experiment
	room      int // for real calls at once
	summary   Summary

	before, after map[string][]leg // legs of the experiment's arms, by network
}

// Run does it all and prints the table to out. What it leaves in the directory is complete when the error is nil.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if err := o.Validate(); err != nil {
		return err
	}
	r := &run{
		options: o, progress: &progress{out: o.Progress, terminal: o.Terminal, begin: time.Now()},
		before: make(map[string][]leg), after: make(map[string][]leg),
	}
	r.summary = Summary{Versions: versions.Read(), Seed: o.Seed, Began: time.Now().UTC().Truncate(time.Second)}
	defer r.progress.done()
	err := r.prepare(ctx)
	if err == nil {
		err = r.work(ctx)
	}
	if r.backends != nil {
		err = errors.Join(err, r.backends.Close())
	}
	if err != nil {
		return err
	}
	return r.show(out)
}

// prepare reads what the demo needs and starts the servers.
func (r *run) prepare(ctx context.Context) error {
	if err := r.loadNetworks(); err != nil {
		return err
	}
	var err error
	if r.options.WAV != "" {
		r.speech, err = speech.Load(r.options.WAV)
	} else {
		r.speech, err = speech.Find(ctx)
	}
	if err != nil {
		return err
	}
	r.summary.Speech = r.speech.Source

	data := filepath.Join(r.options.Out, "data")
	if err := os.RemoveAll(data); err != nil { // of an earlier demo: its calls are not this one's
		return fmt.Errorf("clear %s: %w", data, err)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("make the demo's directory: %w", err)
	}
	r.config = config.Default()
	r.config.Data = data
	r.config.Training.Seed = r.options.Seed
	r.config.Training.MinSegments = 100
	r.config.Training.Origins = config.Origins{telemetry.OriginSimulation} // the history is simulated, the calls after it are real
	r.config.Policy.Explore = r.options.Explore
	r.config.Rollout.MinCallsPerArm = 10
	r.config.Rollout.Ramp = []int{50} // half and half at once: there is no one to protect

	r.progress.step("starting NATS (JetStream, synced to disk) and ClickHouse")
	if r.backends, err = loop.Open(ctx, r.config, loop.NeedNATS|loop.NeedWarehouse|loop.MakeTables, 0, r.options.Log); err != nil {
		return err
	}
	if err := loop.EnsureKeys(r.config.KeysDir()); err != nil {
		return err
	}
	r.releases, err = loop.OpenReleases(ctx, data, r.config.KeysDir(), delivery.NewNATSStore(r.backends.JetStream))
	return err
}

func (r *run) loadNetworks() error {
	for _, name := range r.options.Networks {
		profile, err := network.Load(name)
		if err != nil {
			return err
		}
		if err := r.addNetwork(profile); err != nil {
			return fmt.Errorf("--networks: %w", err)
		}
	}
	if r.options.Trace == "" {
		return nil
	}
	profile, err := traced(r.options.Trace)
	if err != nil {
		return err
	}
	if err := r.addNetwork(profile); err != nil {
		return fmt.Errorf("--trace %s: %w", r.options.Trace, err)
	}
	return nil
}

func (r *run) addNetwork(profile *network.Profile) error {
	if slices.ContainsFunc(r.profiles, func(p *network.Profile) bool { return p.Name == profile.Name }) {
		return fmt.Errorf("there is a network %q already", profile.Name)
	}
	r.profiles = append(r.profiles, profile)
	return nil
}

// traced is the 4g network with a recording in place of its capacity, both ways: most public recordings are of mobile
// networks, and none says which delay and loss went with it.
func traced(file string) (*network.Profile, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	defer func() { _ = f.Close() }()
	trace, err := network.ParseTrace(f, file)
	if err != nil {
		return nil, err
	}
	base, err := network.Load("4g")
	if err != nil {
		return nil, err
	}
	profile := base.WithTrace(trace, trace)
	profile.Name = "trace " + filepath.Base(file)
	return profile, nil
}

// show writes the summary and the page and prints the table.
func (r *run) show(out io.Writer) error {
	r.summary.Seconds = time.Since(r.progress.begin).Seconds()
	r.progress.done()
	if err := r.summary.write(r.options.Out); err != nil {
		return err
	}
	if err := r.summary.writePage(r.options.Out); err != nil {
		return err
	}
	if err := r.summary.writeTable(out); err != nil {
		return err
	}
	if !r.summary.Reports.Exact() {
		return fmt.Errorf("reports do not add up: %+v", r.summary.Reports)
	}
	return nil
}
