package ingest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// AfterInsert sets what happens between insert and acknowledgement: an error stands for the death of the process.
func (i *Ingest) AfterInsert(f func() error) { i.afterInsert = f }

// TrustClock makes the clocks of the stream and the warehouse those of Config.Now: time moves for everybody.
func (i *Ingest) TrustClock() {
	i.clocks.ask = func(context.Context) ([]witness, error) {
		return []witness{{name: "everybody", said: i.cfg.Now(), before: time.Now()}}, nil
	}
}

// LookForLapsed looks now.
func (i *Ingest) LookForLapsed(ctx context.Context) error { return i.lookForLapsed(ctx) }

// TypicalCall is a call of three minutes in this hour.
func TypicalCall(rng *rand.Rand) telemetry.Report {
	return typicalCall(rng, telemetry.HourOf(time.Now()))
}
