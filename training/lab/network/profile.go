package network

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
)

// Profile describes an access network: the stretch between one peer and the well-connected core. A call crosses two of
// them, one for each peer.
type Profile struct {
	Name    string            `json:"name"`
	About   string            `json:"about"`   // one or two sentences for people
	Network model.NetworkType `json:"network"` // what a client's operating system would call it
	Metered model.Metered     `json:"metered"`
	Reach   model.Reach       `json:"reach"`
	Up      Direction         `json:"up"`   // from the peer to the core
	Down    Direction         `json:"down"` // from the core to the peer
}

// Direction is one way through a network. The zero Direction is a perfect wire: no limit, no delay, no loss.
type Direction struct {
	Capacity    Capacity    `json:"capacity"`
	Queue       Queue       `json:"queue"`
	Propagation Propagation `json:"propagation"`
	Jitter      Jitter      `json:"jitter,omitzero"`
	Loss        Loss        `json:"loss,omitzero"`
	Policing    Policing    `json:"policing,omitzero"`
}

// Capacity is the rate at which packets are served. One of Kbps, States and Trace is set; none means no limit.
type Capacity struct {
	Kbps   float64 `json:"kbps,omitempty"`   // constant, in 1000 bit/s, headers included
	States []State `json:"states,omitempty"` // two or three rates that take turns
	// TraceFile names a recording, relative to the profile's file; Load reads it into Trace.
	TraceFile string `json:"trace,omitempty"`
	Source    string `json:"source"` // where the figures come from
	Trace     *Trace `json:"-"`
}

// State is one rate of a capacity that changes at random: a continuous-time Markov chain that stays in a state for an
// exponentially distributed time and then moves to one of the others, each with the same chance.
type State struct {
	Kbps            float64 `json:"kbps"`            // 0 is an outage
	MeanDwellMillis float64 `json:"meanDwellMillis"` // mean time in the state
}

// Queue is the drop-tail buffer in front of the capacity.
type Queue struct {
	Bytes  int    `json:"bytes"` // packets that would take it above this are dropped; 0 = no limit
	Source string `json:"source"`
}

// Propagation is the one-way delay of an empty network: a constant, and with a Series half of each recorded round trip
// time on top.
type Propagation struct {
	Millis float64 `json:"millis"`
	// SeriesFile names a file of round trip times, relative to the profile's file; Load reads it into Series.
	SeriesFile string `json:"series,omitempty"`
	// SeriesIntervalMillis is how long each of them lasts; 0 = DefaultSeriesInterval.
	SeriesIntervalMillis float64 `json:"seriesIntervalMillis,omitempty"`
	Source               string  `json:"source"`
	Series               *Series `json:"-"`
}

// Duration is the constant part of the delay.
func (p Propagation) Duration() time.Duration { return millis(p.Millis) }

// Jitter is a random delay on top of propagation and queueing. Without Reorder a packet that would overtake an earlier
// one arrives together with it.
type Jitter struct {
	Distribution string  `json:"distribution"`        // "lognormal" or "normal"; empty = none
	Millis       float64 `json:"millis"`              // median of the log-normal, mean of the normal distribution
	Spread       float64 `json:"spread"`              // sigma of the logarithm, or the standard deviation in ms
	MaxMillis    float64 `json:"maxMillis,omitempty"` // longer draws are cut here; 0 = 1000
	Reorder      bool    `json:"reorder,omitempty"`
	Source       string  `json:"source"`
}

// The distributions of Jitter.
const (
	JitterLogNormal = "lognormal"
	JitterNormal    = "normal"
)

// LossStep is the time the chances P and R of Loss refer to: the packet interval of ordinary voice.
const LossStep = 20 * time.Millisecond

// Loss is the Gilbert-Elliott model (Elliott 1963, Bell System Technical Journal 42(5)): a good and a bad state, each
// with its own chance of losing a packet. P and R are the chances of moving from good to bad and back within LossStep;
// packets closer together or farther apart than that see the same process in continuous time, so that a burst lasts
// some milliseconds, not some packets.
type Loss struct {
	P      float64 `json:"p"`
	R      float64 `json:"r"`
	Good   float64 `json:"good"` // chance of losing a packet in the good state
	Bad    float64 `json:"bad"`  // and in the bad state
	// MaskFile names a recorded loss mask, relative to the profile's file, that takes the place of the model; Load reads it
	// into Mask.
	MaskFile string `json:"mask,omitempty"`
	Source   string `json:"source"`
	Mask     *Mask  `json:"-"`
}

// Mean is the share of packets lost in the long run.
func (l Loss) Mean() float64 {
	if l.Mask != nil {
		return l.Mask.Mean()
	}
	bad := l.badShare()
	return bad*l.Bad + (1-bad)*l.Good
}

// badShare is the share of time spent in the bad state.
func (l Loss) badShare() float64 {
	if l.P == 0 {
		return 0
	}
	return l.P / (l.P + l.R)
}

// Policing is what the operator does to a protocol before the queue.
type Policing struct {
	UDP Police `json:"udp,omitzero"`
	TCP Police `json:"tcp,omitzero"`
}

// Police is a token bucket (RFC 2697 with one bucket): packets above the rate and the burst are dropped, never delayed.
type Police struct {
	Blocked    bool    `json:"blocked,omitempty"`    // drop everything
	RateKbps   float64 `json:"rateKbps,omitempty"`   // 0 = no limit
	BurstBytes int     `json:"burstBytes,omitempty"` // the bucket: what may pass at once
	Source     string  `json:"source"`
}

// WithTrace is a copy of the profile with recorded capacities in place of its own; nil keeps a direction as it is.
// Queue, delay, loss and policing stay those of the profile: no public recording holds all of them at once.
func (p *Profile) WithTrace(up, down *Trace) *Profile {
	q := *p
	for _, replace := range []struct {
		direction *Direction
		trace     *Trace
	}{{&q.Up, up}, {&q.Down, down}} {
		if replace.trace != nil {
			replace.direction.Capacity = Capacity{Trace: replace.trace, Source: "trace " + replace.trace.Name()}
		}
	}
	return &q
}

// Validate reports every figure that no network can have and every figure without a source, by its JSON path.
func (p *Profile) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if p.Name == "" || strings.ContainsAny(p.Name, `/\ `) {
		fault("name %q: want a word without blanks or slashes", p.Name)
	}
	if p.Network == model.NetworkUnknown || !p.Network.Valid() {
		fault("network: want a known network type")
	}
	if !p.Metered.Valid() || !p.Reach.Valid() {
		fault("metered or reach is off its list")
	}
	for _, d := range []struct {
		path      string
		direction *Direction
	}{{"up", &p.Up}, {"down", &p.Down}} {
		d.direction.validate(d.path, fault)
	}
	if len(faults) > 0 {
		return fmt.Errorf("profile %s: %w", p.Name, errors.Join(faults...))
	}
	return nil
}

func (d *Direction) validate(path string, fault func(string, ...any)) {
	sourced := func(section, source string) {
		if strings.TrimSpace(source) == "" {
			fault("%s.%s.source is empty: say where the figures come from", path, section)
		}
	}
	between := func(field string, v, low, high float64) {
		if math.IsNaN(v) || v < low || v > high {
			fault("%s.%s is %v, want %v to %v", path, field, v, low, high)
		}
	}
	d.Capacity.validate(path, fault, between)
	sourced("capacity", d.Capacity.Source)
	if d.Queue.Bytes < maxPacketBytes {
		fault("%s.queue.bytes is %d, want at least %d so that one packet fits", path, d.Queue.Bytes, maxPacketBytes)
	}
	sourced("queue", d.Queue.Source)
	between("propagation.millis", d.Propagation.Millis, 0, 10_000)
	sourced("propagation", d.Propagation.Source)
	between("propagation.seriesIntervalMillis", d.Propagation.SeriesIntervalMillis, 0, 1e9)
	if d.Propagation.SeriesFile != "" && d.Propagation.Series == nil {
		fault("%s.propagation.series %q was not read: open the profile with Load", path, d.Propagation.SeriesFile)
	}

	if d.Jitter != (Jitter{}) {
		if d.Jitter.Distribution != JitterLogNormal && d.Jitter.Distribution != JitterNormal {
			fault("%s.jitter.distribution is %q, want %q or %q", path, d.Jitter.Distribution, JitterLogNormal, JitterNormal)
		}
		between("jitter.millis", d.Jitter.Millis, 0, 1000)
		between("jitter.spread", d.Jitter.Spread, 0, 1000)
		between("jitter.maxMillis", d.Jitter.MaxMillis, 0, 10_000)
		sourced("jitter", d.Jitter.Source)
	}
	switch l := d.Loss; {
	case l == Loss{}:
	case l.Mask != nil || l.MaskFile != "":
		if l.Mask == nil {
			fault("%s.loss.mask %q was not read: open the profile with Load", path, l.MaskFile)
		}
		if l.P != 0 || l.R != 0 || l.Good != 0 || l.Bad != 0 {
			fault("%s.loss: want either a mask or p, r, good and bad", path)
		}
		sourced("loss", l.Source)
	default:
		between("loss.p", d.Loss.P, 0, 1)
		between("loss.r", d.Loss.R, 0, 1)
		between("loss.p + loss.r", d.Loss.P+d.Loss.R, math.SmallestNonzeroFloat64, 1)
		between("loss.good", d.Loss.Good, 0, 1)
		between("loss.bad", d.Loss.Bad, 0, 1)
		sourced("loss", d.Loss.Source)
	}
	for _, police := range []struct {
		protocol string
		rule     Police
	}{{"udp", d.Policing.UDP}, {"tcp", d.Policing.TCP}} {
		if police.rule == (Police{}) {
			continue
		}
		section := "policing." + police.protocol
		sourced(section, police.rule.Source)
		if police.rule.Blocked {
			continue
		}
		between(section+".rateKbps", police.rule.RateKbps, 0.1, maxKbps)
		between(section+".burstBytes", float64(police.rule.BurstBytes), maxPacketBytes, 1<<30)
	}
}

const (
	maxKbps        = 100_000_000 // 100 Gbit/s
	maxPacketBytes = 1500        // of Ethernet, headers included
)

func (c *Capacity) validate(path string, fault func(string, ...any), between func(string, float64, float64, float64)) {
	given := 0
	if c.Kbps != 0 {
		given++
		between("capacity.kbps", c.Kbps, leastKbps, maxKbps)
	}
	if len(c.States) > 0 {
		given++
		var best float64
		for i, s := range c.States {
			between(fmt.Sprintf("capacity.states[%d].kbps", i), s.Kbps, 0, maxKbps)
			between(fmt.Sprintf("capacity.states[%d].meanDwellMillis", i), s.MeanDwellMillis, 1, 1e9)
			best = max(best, s.Kbps)
		}
		if len(c.States) < 2 || len(c.States) > 3 {
			fault("%s.capacity.states has %d entries, want 2 or 3", path, len(c.States))
		}
		if best < leastKbps {
			fault("%s.capacity.states: no state carries anything", path)
		}
	}
	if c.Trace != nil || c.TraceFile != "" {
		given++
	}
	if c.Trace == nil && c.TraceFile != "" {
		fault("%s.capacity.trace %q was not read: open the profile with Load", path, c.TraceFile)
	}
	if given != 1 {
		fault("%s.capacity: want exactly one of kbps, states and trace", path)
	}
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
