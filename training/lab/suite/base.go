package suite

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
)

// Direction is which way a file was recorded.
type Direction uint8

// The values of Direction.
const (
	Unsaid Direction = iota // its name does not tell
	Up                      // from the peer
	Down                    // to the peer
)

// group is the files of one network.
type group struct {
	stem     string // path below the folder given, without ending and Direction
	up, down *network.Recording
	whole    *network.Recording // of a file that says no direction
}

// put gives the group a recording, unless it has one for that direction already.
func (g *group) put(d Direction, r *network.Recording) bool {
	slot := [...]**network.Recording{Unsaid: &g.whole, Up: &g.up, Down: &g.down}[d]
	if *slot != nil {
		return false
	}
	*slot = r
	return true
}

// DirectionOf splits a path into what the two directions of a network have in common and the direction.
func DirectionOf(path string) (stem string, d Direction) {
	stem = path
	for _, ending := range []string{".json", ".txt", ".log", ".dat", ".csv", ".trace", ".mahimahi", ".mask", ".rtt"} {
		if trimmed, ok := strings.CutSuffix(stem, ending); ok {
			stem = trimmed
			break
		}
	}
	lower := strings.ToLower(stem)
	for _, word := range []struct {
		ending string
		d      Direction
	}{{"uplink", Up}, {"downlink", Down}, {"up", Up}, {"down", Down}} {
		at := len(lower) - len(word.ending) - 1
		if at > 0 && strings.HasSuffix(lower, word.ending) && strings.ContainsRune("._-", rune(lower[at])) {
			return filepath.ToSlash(stem[:at]), word.d
		}
	}
	return filepath.ToSlash(stem), Unsaid
}

// The network types of recordings whose names do not tell. Chosen: public capacity recordings are mostly of mobile
// networks; masks and round trip times belong to a network whose capacity is no concern, and most calls are on Wi-Fi.
const (
	defaultCapacityType = model.Network4G
	defaultPathType     = model.NetworkWiFi
)

// typeWords are the words of a name that tell a network type for certain. "3Glogs" counts as "3g", "lte7"
// as "lte".
var typeWords = map[string]model.NetworkType{
	"gprs": model.Network2G, "edge": model.Network2G, "2g": model.Network2G,
	"hsdpa": model.Network3G, "hspa": model.Network3G, "umts": model.Network3G, "evdo": model.Network3G, "3g": model.Network3G,
	"lte": model.Network4G, "4g": model.Network4G, "5g": model.Network5G,
	"wifi": model.NetworkWiFi, "wlan": model.NetworkWiFi,
	"fcc": model.NetworkEthernet, "ethernet": model.NetworkEthernet, "broadband": model.NetworkEthernet, "dsl": model.NetworkEthernet,
	"satellite": model.NetworkSatellite, "starlink": model.NetworkSatellite,
}

// typeOfWord is the network type that a name tells, if it tells exactly one.
func typeOfWord(name string) (model.NetworkType, bool) {
	found := model.NetworkUnknown
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, word := range words {
		word = strings.TrimRight(word, "0123456789")
		t, ok := typeWords[strings.TrimSuffix(strings.TrimSuffix(word, "s"), "log")]
		if !ok {
			continue
		}
		if found != model.NetworkUnknown && found != t {
			return model.NetworkUnknown, false
		}
		found = t
	}
	return found, found != model.NetworkUnknown
}

// TypeOf is the network type that a path with slashes tells for certain. It asks the name of the file first, then the
// folders from the nearest on; a name that tells two types tells none.
func TypeOf(path string) (model.NetworkType, bool) {
	parts := strings.Split(path, "/")
	for _, name := range slices.Backward(parts) {
		if t, ok := typeOfWord(name); ok {
			return t, true
		}
	}
	return model.NetworkUnknown, false
}

// Base is the committed profile that lends queue, propagation, jitter and loss to a recording of a network type: the
// one of the same name, whose file tells where its figures come from or that they are chosen. 5G has none of its own and
// borrows that of 4G.
func Base(t model.NetworkType) *network.Profile {
	name := t.String()
	if t == model.Network5G {
		name = model.Network4G.String()
	}
	p, err := network.Load(name)
	if err != nil {
		panic(err) // it is part of the binary
	}
	base := *p
	base.Network = t
	return &base
}

// part is the end of the name of one of several parts of a recording.
var part = regexp.MustCompile(`[._-]part[._-]?[0-9]+$`)

// network makes the network of a group. Its name is the path; a shorter one comes later.
func (g *group) network() Network {
	n := Network{Name: g.stem, Source: part.ReplaceAllString(g.stem, ""), Weight: 1}
	if g.whole != nil && g.whole.Profile != nil {
		profile := *g.whole.Profile
		n.Taken = []string{g.whole.Taken}
		n.Profile, n.Type = &profile, profile.Network
		return n
	}
	down := g.down
	if g.whole != nil {
		down = g.whole // what is recorded of a client is mostly what it receives
	}
	why := "as its name says"
	t, certain := TypeOf(g.stem)
	if !certain {
		t, why = defaultPathType, "by default, as its name does not tell"
		for _, r := range []*network.Recording{g.up, down} {
			if r != nil && r.Trace != nil {
				t = defaultCapacityType
			}
		}
	}
	p := Base(t)
	var recorded []string
	for _, way := range []struct {
		name string
		r    *network.Recording
		d    *network.Direction
	}{{"up", g.up, &p.Up}, {"down", down, &p.Down}} {
		if way.r != nil {
			recorded = append(recorded, apply(way.r, p, way.d)+" "+way.name)
			n.Taken = append(n.Taken, way.r.Taken)
		}
	}
	p.About = fmt.Sprintf("Recorded %s of %s, taken for %v %s; everything else is that of the profile %s, whose file says what is measured and what is chosen.",
		strings.Join(recorded, " and "), g.stem, t, why, Base(t).Name)
	n.Profile, n.Type = p, t
	return n
}

// apply puts a recording in place of the figures of a profile and names what it was.
func apply(r *network.Recording, p *network.Profile, d *network.Direction) string {
	switch {
	case r.Mask != nil:
		// A mask was recorded over a whole path: no other loss is added in either direction.
		p.Up.Loss, p.Down.Loss = without(p.Up.Loss), without(p.Down.Loss)
		d.Loss = network.Loss{Mask: r.Mask, Source: "loss mask " + r.Mask.Name()}
		return "loss"
	case r.Series != nil:
		// A round trip is to the core and back: half of it each way, in both directions.
		source := "half of the round trip times " + r.Series.Name() + "; chosen: each lasts the 1 s between two pings"
		if r.Series.Lasting() { // which is between two hosts, and so half to the core
			source = "a quarter of the round trip time of a pair of hosts in " + r.Series.Name() + "; chosen: both are as far from the core"
		}
		for _, way := range []*network.Direction{&p.Up, &p.Down} {
			way.Propagation = network.Propagation{Series: r.Series, Source: source}
		}
		return "round trip times"
	default:
		d.Capacity = network.Capacity{Trace: r.Trace, Source: "trace " + r.Trace.Name()}
		return "capacity"
	}
}

// without is no loss unless it is another recording's.
func without(l network.Loss) network.Loss {
	if l.Mask != nil {
		return l
	}
	return network.Loss{}
}
