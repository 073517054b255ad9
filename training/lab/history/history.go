package history

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/internal/inorder"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

// Config says what calls to make.
type Config struct {
	Suite     *suite.Suite
	Contender compare.Contender // who decides; neither the oracle nor the best static action
	Frames    *sim.Frames       // the speech
	Calls     int
	Seed      uint64
	Duration  time.Duration // of a call; 0 = a minute
	// Began is when the last call begins; the others begin before it, within Over, at random. Reports tell the hour and
	// the time of day (UTC). 0 = now.
	Began time.Time
	Over  time.Duration

	Workers  int                  // 0 = one for each core; they do not change the reports
	Progress func(done, of int64) // in calls; may be nil
}

// MaxDuration keeps the segments of a call within what a report holds.
const MaxDuration = 8 * time.Minute

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
	if c.Contender.Options() == nil {
		fault("%q decides after the fact: it cannot make calls", c.Contender.Name)
	}
	if c.Calls < 1 || c.Calls > 100_000_000 {
		fault("%d calls, want 1 to 100 million", c.Calls)
	}
	if c.Duration != 0 && (c.Duration < 5*time.Second || c.Duration > MaxDuration) {
		fault("calls of %v, want 5 s to %v", c.Duration, MaxDuration)
	}
	if c.Over < 0 || c.Over > 366*24*time.Hour {
		fault("calls over %v, want 0 to 366 days", c.Over)
	}
	return errors.Join(faults...)
}

// Summary is what came of the calls.
type Summary struct {
	Calls       int   `json:"calls"`
	Reports     int   `json:"reports"`
	Segments    int   `json:"segments"`
	Explored    int   `json:"explored"` // segments
	SetupFailed int   `json:"setupFailed"`
	Dropped     int   `json:"dropped"`
	Bytes       int64 `json:"bytes"` // of the encoded reports
}

// Make makes the calls and gives each report to take, encoded, in an order that depends on the config alone. The same
// config gives the same reports, ids included, so that a history which is sent again counts once. The first error ends
// it.
func Make(ctx context.Context, config Config, take func(id telemetry.ReportID, report []byte) error) (Summary, error) {
	if err := config.Validate(); err != nil {
		return Summary{}, fmt.Errorf("simulate history: %w", err)
	}
	if config.Duration == 0 {
		config.Duration = time.Minute
	}
	if config.Began.IsZero() {
		config.Began = time.Now()
	}
	if config.Workers <= 0 {
		config.Workers = runtime.GOMAXPROCS(0)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d %d %v %d %v\n", config.Contender.Identity(), config.Seed, config.Calls, config.Duration,
		telemetry.HourOf(config.Began), config.Over)
	if err := errors.Join(config.Frames.WriteContent(h), config.Suite.WriteContent(h)); err != nil {
		return Summary{}, fmt.Errorf("simulate history: %w", err)
	}
	m := &maker{config: config, identity: [sha256.Size]byte(h.Sum(nil))}
	var s Summary
	err := inorder.Each(ctx, config.Workers, 0, config.Calls, m.call, func(i int, c made) error {
		s.Calls++
		s.Segments += c.segments
		s.Explored += c.explored
		s.SetupFailed += c.setupFailed
		s.Dropped += c.dropped
		for _, r := range c.reports {
			s.Reports++
			s.Bytes += int64(len(r.data))
			if err := take(r.id, r.data); err != nil {
				return err
			}
		}
		if config.Progress != nil {
			config.Progress(int64(i+1), int64(config.Calls))
		}
		return nil
	})
	return s, err
}

type maker struct {
	config   Config
	identity [sha256.Size]byte
}

// made is one call's worth of reports.
type made struct {
	reports                                  []encoded
	segments, explored, setupFailed, dropped int
}

type encoded struct {
	id   telemetry.ReportID
	data []byte
}

func (m *maker) call(k int) (made, error) {
	drawn := compare.Draw(m.config.Suite, m.config.Seed, k, m.config.Calls)
	random := rand.New(rand.NewPCG(drawn.Seed, 0x686973746f7279))
	began := m.config.Began
	if m.config.Over > 0 {
		began = began.Add(-time.Duration(random.Int64N(int64(m.config.Over))))
	}
	var contexts [2]model.Context
	var options [2][]policy.Option
	for side := range contexts {
		contexts[side] = drawn.Context()
		contexts[side].Device = model.DeviceClass(1 + random.IntN(model.DeviceClassCount-1))
		contexts[side].TimeOfDay = model.TimeNight + model.TimeOfDay(began.UTC().Hour()/6)
		options[side] = append([]policy.Option{
			policy.WithContext(contexts[side]), policy.WithQuality(codec.Measured{}),
		}, m.config.Contender.Options()...)
	}
	result, err := sim.Call(sim.Plan{
		Profile: drawn.Network.Profile, Seed: drawn.Seed, Duration: m.config.Duration, Frames: m.config.Frames,
		Began: began, Caller: options[0], Callee: options[1],
	})
	if err != nil {
		return made{}, fmt.Errorf("simulate history: network %s: %w", drawn.Network.Name, err)
	}
	var c made
	for side, leg := range []*sim.Leg{&result.Caller, &result.Callee} {
		report := m.report(&result, leg, contexts[side], began)
		report.ID = m.id(k, side)
		data, err := report.AppendMarshal(nil)
		if err != nil {
			return made{}, fmt.Errorf("simulate history: report of network %s: %w", drawn.Network.Name, err)
		}
		c.reports = append(c.reports, encoded{report.ID, data})
		c.segments += len(report.Segments)
		for i := range report.Segments {
			if report.Segments[i].Explored {
				c.explored++
			}
		}
	}
	switch {
	case result.Stage < model.StageMedia:
		c.setupFailed++
	case result.Caller.Dropped || result.Callee.Dropped:
		c.dropped++
	}
	return c, nil
}

// report is what telemetry.Call makes of a leg.
func (m *maker) report(result *sim.Result, leg *sim.Leg, context model.Context, began time.Time) telemetry.Report {
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Hour: telemetry.HourOf(began),
		Origin: telemetry.OriginSimulation, Context: context, Stage: result.Stage, Dropped: leg.Dropped, Segments: leg.Segments,
	}
	if result.Stage >= model.StageMedia {
		seconds := 0.0
		for i := range leg.Segments {
			seconds += float64(leg.Segments[i].Seconds)
		}
		r.Duration = telemetry.ScaleDuration.Bucket(seconds)
	}
	if lost := len(leg.Segments) - telemetry.MaxSegments; lost > 0 { // rules that decide each second: keep the end
		r.Segments, r.LostSegments = leg.Segments[lost:], uint32(lost)
	}
	return r
}

// id names a report: by the config with the content of networks and speech, so that another history has others.
func (m *maker) id(k, side int) telemetry.ReportID {
	name := binary.BigEndian.AppendUint64(m.identity[:len(m.identity):len(m.identity)], uint64(2*k+side))
	sum := sha256.Sum256(name)
	return telemetry.ReportID(sum[:16])
}
