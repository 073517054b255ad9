package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab/client"
	"github.com/attune-calls/attune/training/lab/vnet"
)

// The addresses of every call's own network (RFC 1918, RFC 5737).
const (
	callerIP = "10.1.0.2"
	calleeIP = "10.2.0.2"
	relayNet = "192.0.2." // and the number of the site
)

// RelaySite is the relay site that every laboratory network has; networks that declare several have those that follow.
const RelaySite model.Site = 1

// Site describes the relay site of every network for a policy document.
func Site() policy.Site { return Sites(1)[0] }

// Sites describes the first so many relay sites for a policy document, see network.Profile.SiteCount.
func Sites(count int) []policy.Site {
	var all []policy.Site
	for i := range count {
		ip, name := relayIP(i), "lab"
		if i > 0 {
			name = fmt.Sprintf("lab-%d", i+1)
		}
		all = append(all, policy.Site{ID: RelaySite + model.Site(i), Name: name, URLs: []string{
			fmt.Sprintf("turn:%s:%d?transport=udp", ip, vnet.DefaultRelayPort),
			fmt.Sprintf("turn:%s:%d?transport=tcp", ip, vnet.DefaultRelayPort),
			fmt.Sprintf("turns:%s:%d?transport=tcp", ip, vnet.DefaultRelayTLSPort),
		}})
	}
	return all
}

func relayIP(i int) string { return relayNet + strconv.Itoa(1+i) }

// LinksSeeds are the seeds of the access networks (see network.Profile.Links) of the caller and the callee of a Plan with
// such a Seed, for a simulation of a call on the same networks.
func LinksSeeds(planSeed uint64) [2]uint64 {
	seed := random(planSeed).Uint64()
	return [2]uint64{vnet.LinksSeed(seed, netip.MustParseAddr(callerIP)), vnet.LinksSeed(seed, netip.MustParseAddr(calleeIP))}
}

// random is what a plan's seed draws from: the seed of the network first.
func random(planSeed uint64) *rand.Rand { return rand.New(rand.NewPCG(planSeed, 0x6c6162)) }

// site is where one call takes place: a network of its own with relays, and what is drawn for the call.
type site struct {
	plan    *Plan
	began   time.Time
	random  *rand.Rand
	network *vnet.Network
	relays  []*vnet.Relay // the first is RelaySite
}

func newSite(plan *Plan, began time.Time) (*site, error) {
	random := random(plan.Seed)
	s := &site{plan: plan, began: began, random: random, network: vnet.New(vnet.Config{Seed: random.Uint64()})}
	for i := range plan.Profile.SiteCount() {
		host, err := s.network.AddSite(relayIP(i), RelaySite+model.Site(i))
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		relay, err := vnet.NewRelay(host, vnet.RelayConfig{})
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.relays = append(s.relays, relay)
	}
	return s, nil
}

func (s *site) close() error {
	var faults []error
	for _, r := range s.relays {
		faults = append(faults, r.Close())
	}
	return errors.Join(append(faults, s.network.Close())...)
}

// credentials are those of one client for every relay.
func (s *site) credentials() ([]client.Relay, error) {
	var all []client.Relay
	for i, r := range s.relays {
		username, credential, err := r.Credentials(s.plan.Duration + time.Hour)
		if err != nil {
			return nil, err
		}
		all = append(all, client.Relay{
			Site: RelaySite + model.Site(i), Username: username, Credential: credential,
			URLs: []string{r.URL(model.TransportRelayUDP), r.URL(model.TransportRelayTCP), r.URL(model.TransportRelayTLS)},
		})
	}
	return all, nil
}

// side puts one client on the network.
func (s *site) side(ip string, party Party, leg *Leg) (client.Config, error) {
	host, err := s.network.AddHost(ip, s.plan.Profile)
	if err != nil {
		return client.Config{}, err
	}
	relays, err := s.credentials()
	if err != nil {
		return client.Config{}, err
	}
	profile := s.plan.Profile
	return client.Config{
		Policy: party.Policy, Reporter: party.Reporter, Origin: telemetry.OriginCall,
		Context: model.Context{
			Network: profile.Network, Metered: profile.Metered, Reach: profile.Reach,
			Device: model.DeviceClass(1 + s.random.IntN(model.DeviceClassCount-1)), TimeOfDay: timeOfDay(s.began),
		},
		Net: host, RelayDialer: host.RelayDialer(s.relays...), Relays: relays,
		Speech: s.plan.Speech, SpeechOffset: s.random.IntN(len(s.plan.Speech)), Play: party.Play,
		Seed: s.random.Uint64(), ExplorationSeed: s.random.Uint64(),
		Events: func(e policy.Event) {
			leg.follow(e)
			if party.Events != nil {
				party.Events(e)
			}
		},
	}, nil
}

// timeOfDay is the quarter of the day on this machine's clock.
func timeOfDay(t time.Time) model.TimeOfDay {
	return model.TimeNight + model.TimeOfDay(t.Hour()/6)
}
