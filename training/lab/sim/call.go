package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/codec/playout"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/network"
)

// Plan is one call. The same plan gives the same result.
type Plan struct {
	// Profile is the access network of both sides. Required.
	Profile *network.Profile
	// Seed drives the networks, where the speech begins, and the phases of the clocks.
	Seed uint64
	// LinksSeeds are those of the caller's and the callee's access networks, where other calls are to live through the same
	// ones; see network.Profile.Links. 0 draws them from Seed.
	LinksSeeds [2]uint64
	// Duration of the call from when media can flow. Required.
	Duration time.Duration
	// Frames is the speech. Required; share it between calls.
	Frames *Frames
	// Core is the one-way delay between the two access networks, and between either and the relay, where the profile
	// declares no paths of its own. 0 = DefaultCore.
	Core time.Duration
	// Began is the time the call's clock starts at, for reports. The zero time is 1970.
	Began time.Time
	// Caller and Callee are the options of each side's decisions; see policy.NewStepped. The caller owns the transport,
	// the callee follows. Transport switches and seeds are set by the simulation.
	Caller, Callee []policy.Option
	// FromStart makes both sides speak from the beginning of the speech, instead of from a random place.
	FromStart bool
	// Watch is told of what the caller sends and the callee gets. May be nil.
	Watch Watcher
	// Windows is told of each window of the audio that the caller (0) and the callee (1) send. The window is its until it
	// returns. When it returns false of either, the call ends there: nobody wants to know the rest. May be nil.
	Windows func(side int, w *Window) bool
}

// Watcher follows the audio of one direction, so that it can be heard. Times are since the call began to be set up; they do
// not go back within Coded nor within Arrived.
type Watcher interface {
	// Coded is called for each 20 ms of speech: those that end now are coded under an action. Where a packet is sent with
	// the frame that they complete, packet is its number, counted from 0, and the action has the redundancy of the packet;
	// otherwise it is -1.
	Coded(now time.Duration, action model.Action, packet int)
	// Arrived is called when a packet comes in, which may be twice or never.
	Arrived(now time.Duration, packet int)
	// Played is called each 20 ms of the callee's clock.
	Played(now time.Duration)
}

// DefaultCore is the core delay of package vnet.
const DefaultCore = 4 * time.Millisecond

// Validate reports every fault with its field.
func (p *Plan) Validate() error {
	var faults []error
	if p.Profile == nil {
		faults = append(faults, errors.New("no Profile: see network.Load"))
	}
	if p.Frames == nil {
		faults = append(faults, errors.New("no Frames: see NewFrames"))
	}
	if p.Duration <= 0 || p.Duration > maxDuration {
		faults = append(faults, fmt.Errorf("duration %v is outside 0..%v", p.Duration, maxDuration))
	}
	if p.Core < 0 || p.Core > time.Second {
		faults = append(faults, fmt.Errorf("core %v is outside 0..1 s", p.Core))
	}
	return errors.Join(faults...)
}

const maxDuration = 24 * time.Hour

// Result is what came of a call.
type Result struct {
	Stage  model.Stage
	Setup  time.Duration // until media could flow; the whole wait when the call was never set up
	Moves  int           // ICE restarts to another transport
	Caller Leg
	Callee Leg
}

// Leg is what one side sent and how it was heard.
type Leg struct {
	Segments []model.Segment
	Heard    model.Playout // totals of what this side played of the other
	Dropped  bool          // nothing came any more
}

// How long a call waits, as the clients of package lab do.
const (
	setupPatience   = 15 * time.Second
	silencePatience = 27 * time.Second // ICE: disconnected, then failed
)

// call is a call in progress.
type call struct {
	plan   *Plan
	memory *memory
	epoch  time.Time
	beyond beyond
	sides  [2]*side
	result Result
	move   move

	pinger    *pinger // of the caller; nil where nothing is pinged
	beats     beats
	exchanges int32         // of setting up, so far
	offered   time.Duration // when the callee was last offered a path
}

// Call makes one call.
func Call(plan Plan) (Result, error) {
	if err := plan.Validate(); err != nil {
		return Result{}, fmt.Errorf("simulate call: %w", err)
	}
	if plan.Core == 0 {
		plan.Core = DefaultCore
	}
	if plan.Began.IsZero() {
		plan.Began = time.Unix(0, 0).UTC()
	}
	c := &call{plan: &plan, memory: memories.Get().(*memory), epoch: plan.Began, beyond: newBeyond(plan.Profile, plan.Core, plan.Seed)}
	defer func() { c.memory.giveBack(c.sides) }()
	c.move.beyond = &c.beyond
	if err := c.prepare(); err != nil {
		return Result{}, fmt.Errorf("simulate call: %w", err)
	}
	now, ok := c.setUp()
	c.result.Setup = now
	if !ok {
		c.result.Stage = model.StageICE
		c.result.Caller.Dropped, c.result.Callee.Dropped = true, true
		for _, s := range c.sides {
			s.driver.Close(c.epoch.Add(now))
		}
		return c.result, nil
	}
	if err := c.talk(now); err != nil {
		return Result{}, fmt.Errorf("simulate call: %w", err)
	}
	return c.result, nil
}

// prepare makes both sides, each with its first decision.
func (c *call) prepare() error {
	random := rand.New(rand.NewPCG(c.plan.Seed, 0x73696d))
	legs := [2]*Leg{&c.result.Caller, &c.result.Callee}
	options := [2][]policy.Option{c.plan.Caller, c.plan.Callee}
	for i := range c.sides {
		s := &side{
			frames: c.plan.Frames, buffer: c.memory.buffers[i], reported: c.memory.reported[i], due: never,
			tick: random.IntN(max(1, int(c.plan.Frames.Duration()/playout.Tick)/wholeTicks)) * wholeTicks,
		}
		links := random.Uint64()
		if given := c.plan.LinksSeeds[i]; given != 0 {
			links = given
		}
		s.wire.up, s.wire.down = c.plan.Profile.Links(links)
		s.phase = time.Duration(random.Int64N(int64(playout.Tick)))
		s.sequence, s.stamp = uint16(random.Uint32()), random.Uint32()
		// The kinds of RTCP of a client are due at once. In which order its goroutines come to it shows on paths that are
		// full, and hardly changes within a call.
		s.reports = [...]kind{kindSenderReport, kindReport, kindFeedback}
		random.Shuffle(len(s.reports), func(i, j int) { s.reports[i], s.reports[j] = s.reports[j], s.reports[i] })
		if c.plan.FromStart {
			s.tick = 0
		}
		profile := c.plan.Profile
		own := []policy.Option{
			policy.WithContext(model.Context{Network: profile.Network, Metered: profile.Metered, Reach: profile.Reach}),
			policy.WithSeed(random.Uint64()), policy.WithExplorationSeed(random.Uint64()),
			policy.WithRecorder(recorder{&legs[i].Segments}),
		}
		if i == caller {
			own = append(own, policy.WithTransport(&c.move))
		} else {
			own = append(own, policy.WithControlledTransport())
		}
		var err error
		if s.driver, err = policy.NewStepped(c.epoch, append(own, options[i]...)...); err != nil {
			return err
		}
		c.sides[i] = s
	}
	c.sides[caller].watch, c.sides[callee].watch = c.plan.Watch, c.plan.Watch
	c.sides[callee].listens = true
	for i, s := range c.sides {
		peer := c.sides[1-i]
		s.receive = func(p *packet) { s.take(p, peer, c.epoch) }
	}
	return nil
}

const caller, callee = 0, 1

// recorder keeps the closed segments of a leg.
type recorder struct{ into *[]model.Segment }

func (r recorder) Record(s model.Segment) { *r.into = append(*r.into, s) }

// talk lets both sides talk from now on. Each tick of each side's clock plays one tick and codes one; what happens
// between two ticks, arrivals, decisions and feedback, is dealt with at the later one, with its own time.
func (c *call) talk(begin time.Duration) error {
	c.result.Stage = model.StageMedia
	end := begin + c.plan.Duration
	first := c.move.former
	c.pinger = newPinger(c.sides[caller].driver.Pinger(), [2]wire{c.sides[0].wire, c.sides[1].wire}, caller, &c.beyond, begin)
	for _, s := range c.sides {
		s.phase += begin
		s.startClocks(begin)
		s.lastCame = begin
		s.transportIs(begin, first, c.epoch)
	}
	c.startMeters(begin)
	order := c.sides
	if order[1].phase < order[0].phase {
		order[0], order[1] = order[1], order[0]
	}
	for offset := time.Duration(0); order[0].phase+offset < end; offset += playout.Tick {
		if !c.meterTick(begin, offset) {
			end = begin + offset
			break
		}
		for _, s := range order {
			if err := c.step(s, s.phase+offset); err != nil {
				return err
			}
			if s.dead {
				end = s.phase + offset
			}
		}
	}
	c.endWindows(end)
	dropped := order[0].dead || order[1].dead
	if !dropped {
		c.result.Stage = model.StageEnded
	}
	for i, leg := range [...]*Leg{&c.result.Caller, &c.result.Callee} {
		c.sides[i].driver.Close(c.epoch.Add(end))
		leg.Heard, leg.Dropped = c.sides[i].buffer.Stats(), dropped
	}
	return nil
}

// step lets one side live through the tick that begins at now.
func (c *call) step(s *side, now time.Duration) error {
	peer := c.sides[caller]
	if peer == s {
		peer = c.sides[callee]
	}
	peer.out.advance(now, s.receive)
	s.play(now)
	if err := s.speak(now, c.epoch); err != nil {
		return err
	}
	s.tell(now, c.epoch)
	if now >= s.due {
		s.driver.Step(c.epoch.Add(now))
		s.look(c.epoch)
	}
	if s == c.sides[caller] {
		c.pinger.step(now)
		c.moveOn(now)
	}
	return nil
}
