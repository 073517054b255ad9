package network

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/attune-calls/attune/model"
)

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
		d.direction.validate(d.path, false, fault)
	}
	p.Paths.validate(fault)
	top := func(field string, v, low, high float64) { checkRange(fault, field, v, low, high) }
	p.Events.Outages.validate("events.outages", fault, top)
	p.Events.Handovers.validate("events.handovers", fault, top)
	if p.NAT != (NAT{}) && p.NAT.Source == "" {
		fault("nat.source is empty: say where it comes from")
	}
	if len(faults) > 0 {
		return fmt.Errorf("profile %s: %w", p.Name, errors.Join(faults...))
	}
	return nil
}

func checkRange(fault func(string, ...any), field string, v, low, high float64) {
	if math.IsNaN(v) || v < low || v > high {
		fault("%s is %v, want %v to %v", field, v, low, high)
	}
}

// validate holds a direction of an access network to its rules, or a stretch beyond it, which needs no capacity.
func (d *Direction) validate(path string, stretch bool, fault func(string, ...any)) {
	sourced := func(section, source string) {
		if strings.TrimSpace(source) == "" {
			fault("%s.%s.source is empty: say where the figures come from", path, section)
		}
	}
	between := func(field string, v, low, high float64) {
		checkRange(fault, path+"."+field, v, low, high)
	}
	if stretch && !d.Capacity.given() {
		if d.Queue.Bytes != 0 || d.Queue.CoDel != nil || d.CrossTraffic != (CrossTraffic{}) {
			fault("%s: queue and crossTraffic mean nothing without a capacity", path)
		}
	} else {
		d.Capacity.validate(path, fault, between)
		sourced("capacity", d.Capacity.Source)
		if d.Queue.Bytes < maxPacketBytes {
			fault("%s.queue.bytes is %d, want at least %d so that one packet fits", path, d.Queue.Bytes, maxPacketBytes)
		}
		sourced("queue", d.Queue.Source)
	}
	if c := d.Queue.CoDel; c != nil {
		between("queue.codel.targetMillis", c.TargetMillis, 0.1, 10_000)
		between("queue.codel.intervalMillis", c.IntervalMillis, 1, 100_000)
	}
	d.CrossTraffic.validate(path, fault, between)
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
		if police.rule.Except443 && police.protocol == "udp" {
			fault("%s.policing.udp.except443: port 443 is spared for tcp only", path)
		}
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

// given tells a capacity from none at all.
func (c *Capacity) given() bool {
	return c.Kbps != 0 || len(c.States) > 0 || c.Trace != nil || c.TraceFile != ""
}

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
