package demo

import "time"

// Pace tells whether the machine could keep up with calls in real time: how many beats of a pulse were counted while
// they were made, one each 20 ms as for a frame of audio, and how many of them came more than 20 ms late.
type Pace struct {
	Beats int `json:"beats"`
	Late  int `json:"late"`
}

const (
	beat = 20 * time.Millisecond
	// busy is the share of late beats above which the calls tell of the machine rather than of the networks: jitter
	// buffers ride out less.
	busy = 0.05
)

// Share of the beats that came late; NaN when there were none.
func (p Pace) Share() float64 { return float64(p.Late) / float64(p.Beats) }

// TooBusy reports whether the real calls are not to be believed.
func (p Pace) TooBusy() bool { return p.Share() > busy }

// String says it.
func (p Pace) String() string {
	share := figure("%.1f %% of 20 ms ticks came more than 20 ms late", 100*p.Share())
	if p.TooBusy() {
		return "the machine was too busy for calls in real time, " + share + "; run it again on a quiet one, or with a smaller --parallel"
	}
	return share
}

// pulse beats until it is stopped.
type pulse struct {
	end  chan struct{}
	pace chan Pace
}

func startPulse() *pulse {
	p := &pulse{end: make(chan struct{}), pace: make(chan Pace)}
	go func() {
		var pace Pace
		timer := time.NewTimer(beat)
		defer timer.Stop()
		due := time.Now().Add(beat)
		for {
			select {
			case <-timer.C:
			case <-p.end:
				p.pace <- pace
				return
			}
			for now := time.Now(); !due.After(now); due = due.Add(beat) { // all that fell due in a stall
				pace.Beats++
				if now.Sub(due) > beat {
					pace.Late++
				}
			}
			timer.Reset(time.Until(due))
		}
	}()
	return p
}

// stop ends the pulse and adds what it counted.
func (p *pulse) stop(into *Pace) {
	close(p.end)
	pace := <-p.pace
	into.Beats += pace.Beats
	into.Late += pace.Late
}
