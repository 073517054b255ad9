package sim_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

// pair is a network and an action to compare the clocks on.
type pair struct {
	network string
	action  model.Action
	quick   int // calls that are enough to tell by; 0 = more than there is time for in every run of the test
	much    int // how many times as many calls as the others it takes to tell by; 0 = 1
}

// Bandwidths, for short.
const (
	narrow    = model.BandwidthNarrow
	wide      = model.BandwidthWide
	superWide = model.BandwidthSuperWide
	full      = model.BandwidthFull
)

// pairs is every committed network with what is usual there, with what it cannot carry, and with all transports, frame
// durations and uses of redundancy among them.
var pairs = []pair{
	{"ethernet", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"ethernet", opus(24, superWide, 60, 25, model.TransportDirect), 1, 0},
	{"ethernet", opus(32, full, 20, 0, model.TransportRelayTCP), 1, 0},
	{"ethernet-fcc", opus(24, wide, 20, 0, model.TransportRelayUDP), 1, 0},

	{"wifi", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"wifi", opus(24, superWide, 60, 25, model.TransportDirect), 2, 0},
	{"wifi", redundant(1, opus(16, wide, 20, 0, model.TransportDirect)), 1, 0},
	{"wifi", opus(20, wide, 40, 0, model.TransportRelayUDP), 3, 0},
	{"wifi", opus(32, full, 20, 0, model.TransportRelayTCP), 2, 0},
	{"wifi", opus(16, wide, 60, 0, model.TransportRelayTLS), 2, 0},
	{"wifi-only-443", opus(32, full, 40, 0, model.TransportRelayTLS), 2, 0},
	{"wifi-lossgen", opus(24, superWide, 20, 25, model.TransportDirect), 0, 0},

	{"4g", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"4g", opus(24, superWide, 60, 25, model.TransportDirect), 1, 0},
	{"4g", redundant(2, opus(12, wide, 60, 0, model.TransportDirect)), 1, 0},
	{"4g", opus(48, full, 20, 0, model.TransportRelayUDP), 1, 0},
	{"4g", opus(32, full, 20, 0, model.TransportRelayTCP), 1, 0},
	{"4g-moving", opus(24, superWide, 60, 25, model.TransportRelayUDP), 1, 0},
	{"4g-att-driving", opus(16, wide, 60, 10, model.TransportDirect), 0, 3},

	{"4g-udp-throttled", opus(32, full, 20, 10, model.TransportDirect), 0, 12},
	{"4g-udp-throttled", opus(6, narrow, 120, 0, model.TransportDirect), 0, 2},
	{"4g-udp-throttled", opus(32, full, 20, 0, model.TransportRelayTCP), 1, 0},

	{"3g", opus(32, full, 20, 10, model.TransportDirect), 2, 0},
	{"3g", opus(16, wide, 60, 10, model.TransportDirect), 2, 0},
	{"3g", opus(32, full, 20, 0, model.TransportRelayTCP), 0, 0},
	{"3g", opus(12, wide, 120, 0, model.TransportRelayTLS), 0, 0},

	{"2g", opus(6, narrow, 120, 0, model.TransportDirect), 3, 0},
	{"2g", opus(8, narrow, 60, 20, model.TransportDirect), 0, 0},
	{"2g", opus(16, wide, 60, 0, model.TransportDirect), 0, 0},
	{"2g", opus(32, full, 20, 10, model.TransportDirect), 0, 3},
	{"2g", opus(12, wide, 60, 0, model.TransportRelayTCP), 0, 3},

	{"satellite", opus(32, full, 20, 10, model.TransportDirect), 1, 0},
	{"satellite", opus(16, wide, 60, 20, model.TransportRelayUDP), 2, 0},
	{"satellite", opus(24, wide, 40, 0, model.TransportRelayTCP), 2, 0},

	{"reorder", opus(24, wide, 20, 0, model.TransportDirect), 1, 0},
	{"reorder", opus(24, wide, 40, 0, model.TransportRelayUDP), 0, 0},
	{"reorder", opus(24, wide, 40, 0, model.TransportRelayTCP), 0, 0},
	{"busy-codel", opus(24, wide, 20, 0, model.TransportDirect), 0, 0},
	{"busy-codel", opus(24, wide, 40, 0, model.TransportRelayTCP), 0, 0},
	{"busy-droptail", opus(24, wide, 20, 0, model.TransportDirect), 0, 0},
	{"recorded", opus(16, wide, 60, 10, model.TransportDirect), 0, 0},
	{"tcp-policed", opus(16, wide, 40, 0, model.TransportRelayTCP), 0, 0},
	{"interrupted", opus(24, wide, 20, 0, model.TransportDirect), 0, 0},
	{"4g-two-sites", opus(24, wide, 40, 0, model.TransportRelayUDP), 0, 0},
}

// onTheWall is pairs that are compared on the clock on the wall as well, where the machine's scheduler is late now and then.
var onTheWall = []pair{
	{"ethernet", opus(32, full, 20, 10, model.TransportDirect), 0, 0},
	{"wifi", opus(32, full, 20, 10, model.TransportDirect), 0, 0},
	{"wifi", opus(16, wide, 60, 0, model.TransportRelayTLS), 0, 0},
	{"4g", opus(32, full, 20, 0, model.TransportRelayTCP), 0, 0},
	{"3g", opus(16, wide, 60, 10, model.TransportDirect), 0, 0},
	{"satellite", opus(16, wide, 60, 20, model.TransportRelayUDP), 0, 0},
}

func opus(kbps uint8, band model.AudioBandwidth, frame, fec uint8, transport model.Transport) model.Action {
	a := model.Action{
		Codec: model.CodecOpus, BitrateKbps: kbps, Bandwidth: band, FrameMillis: frame, ExpectedLoss: fec, Transport: transport,
	}
	if transport != model.TransportDirect {
		a.Site = lab.RelaySite
	}
	return a
}

// profiles is every committed network by its name, and those of testdata, which are made up to have what these do not.
var profiles = func() map[string]*network.Profile {
	all := make(map[string]*network.Profile)
	for _, n := range suite.Builtin().Networks {
		all[n.Name] = n.Profile
	}
	made, err := filepath.Glob("testdata/networks/*.json")
	if err != nil || len(made) == 0 {
		panic(fmt.Sprintf("testdata/networks: %d networks, %v", len(made), err))
	}
	for _, path := range made {
		p, err := network.Load(path)
		if err != nil {
			panic(err)
		}
		all[p.Name] = p
	}
	return all
}()

// TestPairsHaveEveryClause: whatever a description of a network can say, some pair's network says.
func TestPairsHaveEveryClause(t *testing.T) {
	said := make(map[string]bool)
	var look func(path string, v reflect.Value)
	look = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() && v.Type() != reflect.TypeFor[*network.Trace]() && v.Type() != reflect.TypeFor[*network.Mask]() && v.Type() != reflect.TypeFor[*network.Series]() {
				look(path, v.Elem())
				return
			}
			if v.IsNil() && v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem().NumField() > 0 && v.Type().Elem().Field(0).IsExported() {
				look(path, reflect.Zero(v.Type().Elem())) // so that its fields are asked for
				return
			}
		case reflect.Struct:
			for i := range v.NumField() {
				// Source is for people; Validate refuses Except443 for UDP, and its place is in the rule for TCP.
				if f := v.Type().Field(i); f.Name != "Source" && path+"."+f.Name != "Direction.Policing.UDP.Except443" {
					look(path+"."+f.Name, v.Field(i))
				}
			}
			return
		case reflect.Slice:
			look(path, reflect.Zero(v.Type().Elem()))
			for i := range v.Len() {
				look(path, v.Index(i))
			}
			return
		}
		said[path] = said[path] || !v.IsZero()
	}
	for _, p := range pairs {
		profile := profiles[p.network]
		if profile == nil {
			t.Fatalf("no network %s", p.network)
		}
		for _, part := range []any{profile.Up, profile.Down, profile.Events, profile.NAT} {
			look(reflect.TypeOf(part).Name(), reflect.ValueOf(part))
		}
		look("Paths", reflect.ValueOf(profile.Paths.Sites))
		if profile.Paths.Direct != nil {
			said["direct"] = true
		}
	}
	missing := 0
	for path, ever := range said {
		if !ever && strings.HasPrefix(path, "Paths") && path != "Paths.Name" {
			continue // a stretch is a direction, whose clauses are said elsewhere
		}
		if !ever {
			missing++
			t.Errorf("no network of a pair has %s", path)
		}
	}
	if !said["direct"] || len(said) < 30 {
		t.Errorf("a direct stretch: %v; %d clauses", said["direct"], len(said))
	}
}
