package network

import (
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
	Events  Events            `json:"events,omitzero"`
	NAT     NAT               `json:"nat,omitzero"`
	Paths   Paths             `json:"paths,omitzero"` // what lies beyond, and the relay sites
	Fit     *Fit              `json:"fit,omitempty"`  // of a profile that was fitted to recordings
}

// NAT is what the address translators in front of a peer allow.
type NAT struct {
	// Symmetric translators give each destination another port (RFC 4787 section 4.1), so that two peers behind such ones
	// have no direct path, and need a relay.
	Symmetric bool   `json:"symmetric"`
	Source    string `json:"source"`
}

// DirectPath tells whether a peer on this network and one on another can send to each other without a relay.
func (p *Profile) DirectPath(other *Profile) bool { return !p.NAT.Symmetric || !other.NAT.Symmetric }

// Direction is one way through a network. The zero Direction is a perfect wire: no limit, no delay, no loss.
type Direction struct {
	Capacity    Capacity    `json:"capacity"`
	Queue       Queue       `json:"queue"`
	Propagation Propagation `json:"propagation"`
	Jitter      Jitter      `json:"jitter,omitzero"`
	Loss        Loss        `json:"loss,omitzero"`
	Policing    Policing    `json:"policing,omitzero"`
	// CrossTraffic shares capacity and queue. It is not policed, lost or counted.
	CrossTraffic CrossTraffic `json:"crossTraffic,omitzero"`
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

// Queue is the buffer in front of the capacity: drop-tail, with CoDel on top if that is set.
type Queue struct {
	Bytes  int    `json:"bytes"` // packets that would take it above this are dropped; 0 = no limit
	CoDel  *CoDel `json:"codel,omitempty"`
	Source string `json:"source"`
}

// Propagation is the one-way delay of an empty network: a constant, and with a Series half of each recorded round trip
// time on top.
type Propagation struct {
	Millis float64 `json:"millis"`
	// SeriesFile names a file of round trip times, or of a matrix of them between hosts, relative to the profile's file; Load reads it into Series.
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
	P    float64 `json:"p"`
	R    float64 `json:"r"`
	Good float64 `json:"good"` // chance of losing a packet in the good state
	Bad  float64 `json:"bad"`  // and in the bad state
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
	Except443  bool    `json:"except443,omitempty"`  // but leave TCP to and from port 443 alone; for TCP only
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

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
