package ingest

import (
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// AfterInsert sets what happens between insert and acknowledgement: an error stands for the death of the process.
func (i *Ingest) AfterInsert(f func() error) { i.afterInsert = f }

// TypicalCall is a call of three minutes in this hour.
func TypicalCall(rng *rand.Rand) telemetry.Report {
	return typicalCall(rng, telemetry.HourOf(time.Now()))
}
