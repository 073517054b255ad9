package compare

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/internal/inorder"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

// Config is a comparison to make.
type Config struct {
	Suite      *suite.Suite
	Contenders []Contender // "default" is added where it is missing: gains are against it
	Frames     *sim.Frames // the speech
	Speech     string      // where it comes from, for the result
	Calls      int         // for each seed
	Seeds      int
	Seed       uint64          // the first one; the others follow it. 0 = 1
	Duration   time.Duration   // of a call; 0 = a minute
	Catalogue  model.Catalogue // of the oracle and the best static action; nil = SiteCatalogue of the sites of the suite

	// None of these changes the result.
	Workers  int             // 0 = one for each core
	Journal  string          // file that a comparison continues from; "" keeps none
	Resume   bool            // continue from Journal, if it is there
	Progress func(done Done) // called now and then, from one goroutine at a time; may be nil
}

// Done is how far a comparison is, in simulated calls; those of the oracles are counted as the most they may make.
type Done struct {
	Calls, Of int64
	Since     int64 // of Calls, those made before an interruption
}

// The bounds of a comparison.
const (
	leastDuration = 10 * time.Second
	mostDuration  = time.Hour
	mostSeeds     = 1000
	mostCalls     = 100_000_000
)

// Validate reports every fault with its field.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Suite == nil {
		fault("no Suite")
	} else if err := c.Suite.Validate(); err != nil {
		faults = append(faults, err)
	}
	if c.Frames == nil {
		fault("no Frames")
	}
	if len(c.Contenders) == 0 {
		fault("no policy to compare")
	}
	names := map[string]bool{}
	for i := range c.Contenders {
		name := c.Contenders[i].Name
		if names[name] {
			fault("two policies are called %q", name)
		}
		names[name] = true
	}
	if c.Calls < 1 || c.Calls > mostCalls {
		fault("%d calls for each seed, want 1 to %d", c.Calls, mostCalls)
	}
	if c.Seeds < 1 || c.Seeds > mostSeeds {
		fault("%d seeds, want 1 to %d", c.Seeds, mostSeeds)
	}
	if c.Duration != 0 && (c.Duration < leastDuration || c.Duration > mostDuration) {
		fault("calls of %v, want %v to %v", c.Duration, leastDuration, mostDuration)
	}
	if c.Catalogue != nil {
		if err := c.Catalogue.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// prepared is c with its defaults.
func (c Config) prepared() (Config, error) {
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("compare: %w", err)
	}
	if !slices.ContainsFunc(c.Contenders, func(k Contender) bool { return k.Name == NameDefault }) {
		base, err := Named(NameDefault)
		if err != nil {
			return c, err
		}
		c.Contenders = append([]Contender{base}, c.Contenders...)
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Duration == 0 {
		c.Duration = time.Minute
	}
	if c.Catalogue == nil {
		c.Catalogue = SiteCatalogue(c.Suite.SiteCount())
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	return c, nil
}

// runner is a comparison at work.
type runner struct {
	config Config
	scale  scale
	bounds bounds
	slices []slice
	of     map[string][]int // the slices each network is in
	state  state
	saved  time.Time
	done   Done
}

// Run makes a comparison. When ctx ends it keeps what is done in the journal, and its error is that of ctx. A journal of a
// complete comparison gives its result again, until Discard.
func Run(ctx context.Context, config Config) (*Result, error) {
	config, err := config.prepared()
	if err != nil {
		return nil, err
	}
	r := &runner{config: config, scale: scale{frames: config.Frames, duration: config.Duration}, bounds: newBounds(config.Catalogue)}
	r.slices, r.of = slicesOf(config.Suite)
	if err := r.open(); err != nil {
		return nil, err
	}
	if err := errors.Join(r.run(ctx), r.save()); err != nil {
		return nil, err
	}
	return r.result(), nil
}

func (r *runner) run(ctx context.Context) error {
	perCall, search := int64(0), int64(0)
	if r.has(oracle) || r.has(oracleBySegment) {
		perCall += int64(len(r.config.Catalogue))
	}
	for i := range r.config.Contenders {
		switch r.config.Contenders[i].kind {
		case oracle:
		case oracleBySegment:
			perCall += int64(r.scale.segmentTries())
		case bestStatic:
			search = r.searchCalls()
			perCall++
		default:
			perCall++
		}
	}
	total := r.config.Calls * r.config.Seeds
	r.done.Of = search + perCall*int64(total)
	r.done.Calls = perCall * int64(r.state.Next)
	if search > 0 {
		r.done.Calls += r.searchedCalls()
	}
	r.done.Since = r.done.Calls
	if search > 0 {
		if err := r.searchStatic(ctx); err != nil {
			return err
		}
	}
	return inorder.Each(ctx, r.config.Workers, r.state.Next, total, r.everyone, func(i int, e entry) error {
		r.take(i, e)
		r.count(perCall)
		if time.Since(r.saved) > saveEvery {
			return r.save()
		}
		return nil
	})
}

// has reports whether there is a contender of a kind.
func (r *runner) has(k kind) bool {
	return slices.ContainsFunc(r.config.Contenders, func(c Contender) bool { return c.kind == k })
}

// entry is what came of one call under every contender.
type entry struct {
	network  string
	outcomes []Outcome
	chosen   int    // by the oracle; -1 without one
	found    *found // by the per-segment oracle; nil without one
	spared   int    // calls that the oracles did not have to make
}

// everyone makes the i-th call with all contenders.
func (r *runner) everyone(i int) (entry, error) {
	c := Draw(r.config.Suite, r.config.Seed+uint64(i/r.config.Calls), i%r.config.Calls, r.config.Calls)
	e := entry{network: c.Network.Name, chosen: -1}
	var all []attempt
	var best int
	var ideal Outcome
	var err error
	switch {
	case r.has(oracleBySegment):
		if all, best, err = r.tryAll(c); err == nil {
			ideal = all[best].Outcome
		}
	case r.has(oracle):
		best, ideal, e.spared, err = r.best(c)
	}
	if err != nil {
		return e, fmt.Errorf("compare %s: %w", NameOracle, err)
	}
	for j := range r.config.Contenders {
		contender := &r.config.Contenders[j]
		var o Outcome
		switch contender.kind {
		case oracle:
			o, e.chosen = ideal, best
		case oracleBySegment:
			var f found
			f, err = r.bySegment(c, all, best)
			o, e.found = f.Outcome, &f
			e.spared += r.scale.segmentTries() - f.simulated
		case bestStatic:
			action := r.static(c.Network.Type)
			o, err = r.scale.call(c, func() []policy.Option { return Always(action) })
		default:
			o, err = r.scale.call(c, contender.options)
		}
		if err != nil {
			return e, fmt.Errorf("compare %s: %w", contender.Name, err)
		}
		e.outcomes = append(e.outcomes, o)
	}
	return e, nil
}

// take adds the i-th call. Calls come in order, so that sums of floating point numbers are the same in every run.
func (r *runner) take(i int, e entry) {
	for _, s := range r.of[e.network] {
		for j, o := range e.outcomes {
			r.state.Current[s][j].add(o, !r.slices[s].network)
		}
		if e.chosen >= 0 && !r.slices[s].network {
			r.state.Chosen[s][e.chosen]++
		}
		if e.found != nil {
			r.state.BySegment[s].add(e.found)
		}
	}
	r.state.Spared += int64(e.spared)
	r.state.Next = i + 1
	if r.state.Next%r.config.Calls == 0 { // a seed is complete
		r.state.Seeds = append(r.state.Seeds, r.closeSeed())
	}
}

func (r *runner) closeSeed() [][]sums {
	seed := make([][]sums, len(r.slices))
	for s := range r.slices {
		for j := range r.state.Current[s] {
			t := &r.state.Current[s][j]
			seed[s] = append(seed[s], t.sums())
			*t = tally{}
		}
	}
	return seed
}

func (r *runner) count(calls int64) {
	r.done.Calls += calls
	if r.config.Progress != nil {
		r.config.Progress(r.done)
	}
}
