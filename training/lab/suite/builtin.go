package suite

import (
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// mix is how often the committed networks occur and where. The shares are chosen: most calls on Wi-Fi and 4G, one in
// twenty on an access that throttles UDP. The regions are chosen too, one for each, so that slices by region exist.
var mix = []struct {
	profile string
	region  string
	weight  float64
}{
	{"2g", "TD", 0.05},
	{"3g", "NG", 0.15},
	{"4g", "IN", 0.25},
	{"4g-udp-throttled", "IR", 0.05},
	{"ethernet", "DE", 0.10},
	{"satellite", "BR", 0.05},
	{"wifi", "US", 0.35},
}

// Builtin is the committed profiles, so that nothing outside the binary is needed. Shares of calls and regions are
// chosen, not measured.
func Builtin() *Suite {
	s := &Suite{Name: "builtin", About: "The committed network profiles. Weights and regions are chosen."}
	for _, m := range mix {
		profile, err := network.Load(m.profile)
		if err != nil {
			panic(err) // it is part of the binary
		}
		region, err := model.ParseRegion(m.region)
		if err != nil {
			panic(err)
		}
		s.Networks = append(s.Networks, Network{
			Name: m.profile, Source: "profile " + m.profile, Type: profile.Network, Region: region, Weight: m.weight, Profile: profile,
		})
	}
	return s
}
