package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pion/transport/v4"
	"golang.org/x/net/proxy"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
)

// Config is what one leg of one call needs. Policy and Speech are required.
type Config struct {
	// Policy gives the policy in force; it may change during the call.
	Policy policy.Source
	// Reporter receives the report of this leg; nil sends none and the policy works all the same.
	Reporter *telemetry.Reporter
	// Origin is written into the report.
	Origin telemetry.Origin
	// Context is what the client knows before the call: network, device, region. Measured fields are left zero.
	Context model.Context
	// Limits is what the user or the device forbids. A client that forbids opus+red does not take it from its peer either.
	Limits policy.Limits

	// Net carries the packets; nil is the operating system's network.
	Net transport.Net
	// STUN lists stun: URLs for a direct path through NATs.
	STUN []string
	// Relays lists the relay sites this client has credentials for. A call that the policy begins by another site goes by
	// the first of these that offers the same transport; a running call does not move to another site.
	Relays []Relay

	// RelayDialer reaches relays over TCP and, where their URLs say turns:, TLS. Nil trusts the system's certificate
	// authorities.
	RelayDialer proxy.Dialer

	// Speech is what the microphone hears: 48 kHz mono, repeated as long as the call lasts.
	Speech []int16
	// SpeechOffset is the sample the call starts at, so that calls do not speak in chorus.
	SpeechOffset int
	// Play receives each 20 ms that the loudspeaker would play, 960 samples, valid until it returns. May be nil.
	Play func(pcm []int16)

	// Seed decides the A/B arm; it stays on the device.
	Seed uint64
	// ExplorationSeed makes exploration repeatable, for the laboratory only; 0 is unpredictable.
	ExplorationSeed uint64
	// Interval overrides the policy's decision interval; 0 keeps it.
	Interval time.Duration
	// SetupTimeout is how long Run waits for media; the default is DefaultSetupTimeout.
	SetupTimeout time.Duration
	// Complexity of the Opus encoder, 1..10; the default is DefaultComplexity.
	Complexity int
	// Events receives each decision and segment of this leg, for timelines; never on the packet path. May be nil.
	Events func(policy.Event)
}

// Relay is a relay site with this client's credentials for it.
type Relay struct {
	Site       model.Site
	URLs       []string // turn: or turns: URLs, as RFC 7065 spells them
	Username   string
	Credential string
}

// Defaults of Config.
const (
	DefaultSetupTimeout = 15 * time.Second
	DefaultComplexity   = 5
)

// takesRED reports whether this side offers redundant audio.
func (c *Config) takesRED() bool {
	return !slices.Contains(c.Limits.ForbiddenCodecs, model.CodecOpusRED)
}

func (c *Config) setDefaults() {
	if c.SetupTimeout == 0 {
		c.SetupTimeout = DefaultSetupTimeout
	}
	if c.Complexity == 0 {
		c.Complexity = DefaultComplexity
	}
}

// Validate reports every fault with its field.
func (c *Config) Validate() error {
	var faults []error
	if c.Policy == nil {
		faults = append(faults, errors.New("policy: a source is required, for example a *policy.Holder"))
	}
	if len(c.Speech) < samplesPerTick {
		faults = append(faults, fmt.Errorf("speech: %d samples, need at least %d (20 ms at 48 kHz)", len(c.Speech), samplesPerTick))
	}
	if c.SpeechOffset < 0 {
		faults = append(faults, fmt.Errorf("speech offset: %d is negative", c.SpeechOffset))
	}
	if c.Complexity < 0 || c.Complexity > 10 {
		faults = append(faults, fmt.Errorf("complexity: %d is outside 1..10", c.Complexity))
	}
	if err := c.Context.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("context: %w", err))
	}
	if c.Interval < 0 {
		faults = append(faults, fmt.Errorf("interval: %v is negative", c.Interval))
	}
	if c.SetupTimeout < 0 {
		faults = append(faults, fmt.Errorf("setup timeout: %v is negative", c.SetupTimeout))
	}
	for i, relay := range c.Relays {
		for _, url := range relay.URLs {
			if relayTransport(url) == model.TransportUnknown {
				faults = append(faults, fmt.Errorf("relays[%d]: %q is no turn: or turns: URL for UDP, TCP or TLS", i, url))
			}
		}
	}
	return errors.Join(faults...)
}
