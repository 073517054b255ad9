package suite

import (
	"embed"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// mix is how often the committed networks occur and where. The shares are chosen: most calls on Wi-Fi and 4G, one in
// twenty on an access that throttles UDP. The regions are chosen too, one for each, so that slices by region exist.
var mix = []share{
	{"2g", "TD", 0.05},
	{"3g", "NG", 0.15},
	{"4g", "IN", 0.25},
	{"4g-udp-throttled", "IR", 0.05},
	{"ethernet", "DE", 0.10},
	{"satellite", "BR", 0.05},
	{"wifi", "US", 0.35},
}

// troubled is networks of this package that stop some transports, come and go, or whose relay sites differ. Their figures
// are chosen.
var troubled = []share{
	{"4g-moving", "IN", 0.05},
	{"4g-two-sites", "KE", 0.05},
	{"wifi-only-443", "CN", 0.03},
}

// share is how often a profile occurs, and where.
type share struct {
	profile string
	region  string
	weight  float64
}

// fitted is the profiles of this package, which were fitted to recordings that no profile of package network is taken
// from. They are held out. Weights and regions are chosen as above; the regions are where the recordings were made, or
// withheld.
var fitted = []struct {
	profile string
	source  string
	region  string
	weight  float64
}{
	{"4g-att-driving", "Mahimahi trace ATT-LTE-driving", "US", 0.05},
	{"ethernet-fcc", "FCC Measuring Broadband America 2016", "US", 0.05},
	{"wifi-lossgen", "loss generator of Opus 1.5.2", "ZZ", 0.10},
}

//go:embed profiles/*.json
var profiles embed.FS

// Builtin is the committed profiles, so that nothing outside the binary is needed: those of package network and some of
// networks that stop or interrupt calls, to train on, and some that "attune lab fit" made of recordings, held out. Shares of calls and regions are chosen, not measured.
func Builtin() *Suite {
	s := &Suite{Name: BuiltinName, About: "The committed network profiles. Weights and regions are chosen."}
	for _, m := range mix {
		profile, err := network.Load(m.profile)
		s.add(profile, err, "profile "+m.profile, m.region, m.weight, Train)
	}
	for _, m := range troubled {
		profile, err := own(m.profile)
		s.add(profile, err, "profile "+m.profile, m.region, m.weight, Train)
	}
	for _, m := range fitted {
		profile, err := own(m.profile)
		s.add(profile, err, m.source, m.region, m.weight, Validation)
	}
	return s
}

// own opens a profile of this package.
func own(name string) (*network.Profile, error) {
	data, err := profiles.ReadFile("profiles/" + name + ".json")
	if err != nil {
		return nil, err
	}
	return network.ParseProfile(data, name)
}

func (s *Suite) add(profile *network.Profile, err error, source, regionCode string, weight float64, split Split) {
	if err != nil {
		panic(err) // it is part of the binary
	}
	region, err := model.ParseRegion(regionCode)
	if err != nil {
		panic(err)
	}
	s.Networks = append(s.Networks, Network{
		Name: profile.Name, Source: source, Type: profile.Network, Region: region, Weight: weight, Split: split, Profile: profile,
	})
}
