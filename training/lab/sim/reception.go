package sim

import (
	"time"

	"github.com/pion/rtcp"
)

// reception is what receiver reports tell (RFC 3550, sections 6.4.1 and A.8).
type reception struct {
	begun    bool
	base     uint32
	highest  uint32 // extended
	received uint32
	transit  float64
	jitter   float64 // in timestamp units

	sender, senderAt time.Duration // when the latest sender report was sent, and when it came; 0 = none yet
}

func (r *reception) observe(p *packet) {
	if !r.begun {
		r.begun = true
		r.base = uint32(p.sequence)
		r.highest = r.base
	}
	if ahead := p.sequence - uint16(r.highest); ahead < 1<<15 {
		r.highest += uint32(ahead)
	}
	r.received++
	transit := float64(p.at)*(samplesPerSecond/float64(time.Second)) - float64(p.stamp)
	if r.received > 1 {
		d := transit - r.transit
		if d < 0 {
			d = -d
		}
		r.jitter += (d - r.jitter) / 16
	}
	r.transit = transit
}

func (r *reception) report(now time.Duration, epoch time.Time) (rtcp.ReceptionReport, bool) {
	lost := int64(r.highest-r.base) + 1 - int64(r.received)
	report := rtcp.ReceptionReport{
		TotalLost: uint32(max(lost, 0)) & 0xffffff, LastSequenceNumber: r.highest, Jitter: uint32(r.jitter),
	}
	if r.senderAt > 0 {
		report.LastSenderReport = ntpMiddle(epoch.Add(r.sender))
		report.Delay = uint32((now - r.senderAt).Seconds() * (1 << 16))
	}
	return report, r.begun
}

// ntpMiddle is the middle 32 bits of the NTP timestamp of t (RFC 3550, section 4).
func ntpMiddle(t time.Time) uint32 {
	const since1900 = 2_208_988_800
	return uint32(t.Unix()+since1900)<<16 | uint32(uint64(t.Nanosecond())<<16/1_000_000_000)
}
