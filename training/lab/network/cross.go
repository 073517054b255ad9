package network

import (
	"math/rand/v2"
	"time"
)

// CrossTraffic is a load of others that shares the queue: packets at a constant rate during on times, none during off
// times, both exponentially distributed.
type CrossTraffic struct {
	Kbps        float64 `json:"kbps"`                  // while on, headers included
	OnMillis    float64 `json:"onMillis"`              // mean
	OffMillis   float64 `json:"offMillis"`             // mean
	PacketBytes int     `json:"packetBytes,omitempty"` // 0 = 1500
	Source      string  `json:"source"`
}

func (c *CrossTraffic) validate(path string, fault func(string, ...any), between func(string, float64, float64, float64)) {
	if *c == (CrossTraffic{}) {
		return
	}
	between("crossTraffic.kbps", c.Kbps, 1, maxKbps)
	between("crossTraffic.onMillis", c.OnMillis, 1, 1e9)
	between("crossTraffic.offMillis", c.OffMillis, 1, 1e9)
	if c.PacketBytes != 0 {
		between("crossTraffic.packetBytes", float64(c.PacketBytes), 40, maxPacketBytes)
	}
	if c.Source == "" {
		fault("%s.crossTraffic.source is empty: say where the figures come from", path)
	}
}

// crossLoad is the traffic at work.
type crossLoad struct {
	model    CrossTraffic
	random   *rand.Rand
	bytes    int
	interval time.Duration // between two packets
	next     time.Duration // when the next packet comes
	until    time.Duration // end of the on time that packet is in
}

func newCrossLoad(model CrossTraffic, seed uint64) *crossLoad {
	if model.Kbps <= 0 {
		return nil
	}
	c := &crossLoad{model: model, random: rand.New(rand.NewPCG(seed, 0x63726f7373)), bytes: model.PacketBytes}
	if c.bytes == 0 {
		c.bytes = maxPacketBytes
	}
	c.interval = max(millis(float64(c.bytes)*8/model.Kbps), time.Nanosecond)
	if c.random.Float64()*(model.OnMillis+model.OffMillis) >= model.OnMillis {
		c.next = c.time(model.OffMillis)
	}
	c.until = c.next + c.time(model.OnMillis)
	return c
}

func (c *crossLoad) time(meanMillis float64) time.Duration {
	return max(millis(c.random.ExpFloat64()*meanMillis), time.Microsecond)
}

// step moves to the packet after next.
func (c *crossLoad) step() {
	if c.next += c.interval; c.next >= c.until {
		c.next = c.until + c.time(c.model.OffMillis)
		c.until = c.next + c.time(c.model.OnMillis)
	}
}
