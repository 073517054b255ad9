package conservation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// kind is what a fault does.
type kind string

const (
	faultReset     kind = "reset"
	faultTimeout   kind = "timeout"
	faultTruncate  kind = "truncate"
	faultSlowClose kind = "slow-close"
	faultLatency   kind = "latency"
	faultBandwidth kind = "bandwidth"
	faultCut       kind = "cut"

	faultKill           kind = "kill"
	faultKillAfterStore kind = "kill-after-insert"
	faultStop           kind = "restart"
	faultFreeze         kind = "freeze"
	faultDiskFull       kind = "disk-full"

	faultConsumerDeleted kind = "consumer-deleted"
	faultStreamRecreated kind = "stream-recreated"

	faultClockJump kind = "clock-jump"

	faultResend     kind = "resend-after-window"
	faultCopies     kind = "copies"
	faultWrongHours kind = "wrong-hours"
)

// lane is what strikes one after the other; the lanes strike at the same time.
type lane int

const (
	laneClientLink lane = iota
	laneIngestLink
	laneWarehouseLink
	laneEdgeLink
	laneServers
	laneClients
	lanes
)

// target is a fault with what it hits.
type target struct {
	lane lane
	kind kind
	name string
}

var (
	linkFaults = []kind{faultReset, faultTimeout, faultTruncate, faultSlowClose, faultLatency, faultBandwidth, faultCut}
	targets    = append(linkTargets(), []target{
		{laneServers, faultKill, "ingest"},
		{laneServers, faultKillAfterStore, "ingest"},
		{laneServers, faultStop, "ingest"},
		{laneServers, faultFreeze, "ingest"},
		{laneServers, faultClockJump, "ingest"},
		{laneServers, faultKill, "clickhouse"},
		{laneServers, faultKillAfterStore, "clickhouse"},
		{laneServers, faultFreeze, "clickhouse"},
		{laneServers, faultDiskFull, "clickhouse"},
		{laneServers, faultKill, "nats"},
		{laneServers, faultStop, "nats"},
		{laneServers, faultFreeze, "nats"},
		{laneServers, faultDiskFull, "nats"},
		{laneServers, faultConsumerDeleted, "nats"},
		{laneServers, faultStreamRecreated, "nats"},
		{laneClients, faultKill, "edge"},
		{laneClients, faultStop, "edge"},
		{laneClients, faultFreeze, "edge"},
		{laneClients, faultStop, "client"},
		{laneClients, faultDiskFull, "client"},
		{laneClients, faultWrongHours, "client"},
		{laneClients, faultResend, "client"},
		{laneClients, faultCopies, "client"},
	}...)
)

func linkTargets() []target {
	var list []target
	for _, k := range linkFaults {
		list = append(list, target{laneClientLink, k, "client link"}, target{laneIngestLink, k, "ingest link"}, target{laneWarehouseLink, k, "warehouse link"}, target{laneEdgeLink, k, "edge link"})
	}
	return list
}

// fault is one entry of the schedule.
type fault struct {
	target
	number int
	pause  time.Duration // before it
	hold   time.Duration // how long it lasts, where that is a choice
	draw   uint64        // seed of all other choices
}

func (f fault) String() string {
	return fmt.Sprintf("%4d lane %d: after %v %s of %s for %v, draw %#x", f.number, f.lane, f.pause.Round(time.Millisecond), f.kind, f.name, f.hold.Round(time.Millisecond), f.draw)
}

// schedule is the faults of each lane in order.
type schedule [lanes][]fault

// newSchedule draws n faults, at least len(targets): each target once, then more of them such that every lane gets its
// share.
func newSchedule(seed uint64, n int) schedule {
	rng := rand.New(rand.NewPCG(seed, 0xfa017))
	all := slices.Clone(targets)
	byLane := make([][]target, lanes)
	for _, t := range targets {
		byLane[t.lane] = append(byLane[t.lane], t)
	}
	counts := make([]int, lanes)
	for _, t := range all {
		counts[t.lane]++
	}
	for len(all) < n {
		l := slices.Index(counts, slices.Min(counts))
		all = append(all, byLane[l][rng.IntN(len(byLane[l]))])
		counts[l]++
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var s schedule
	for i, t := range all {
		pause := 3 * time.Second // so that all lanes last about as long
		if t.lane == laneServers {
			pause = 300 * time.Millisecond
		}
		s[t.lane] = append(s[t.lane], fault{
			target: t, number: i + 1, draw: rng.Uint64(),
			pause: 50*time.Millisecond + time.Duration(rng.Int64N(int64(pause))),
			hold:  200*time.Millisecond + time.Duration(rng.Int64N(int64(time.Second))),
		})
	}
	return s
}

func (s *schedule) String() string {
	var b strings.Builder
	for _, faults := range s {
		for _, f := range faults {
			fmt.Fprintln(&b, f)
		}
	}
	return b.String()
}
