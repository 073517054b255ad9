package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/history"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/suite"
)

// History is the first act: the simulated calls whose reports the learner learned from.
type History struct {
	Calls       int     `json:"calls"`
	SecondsEach int     `json:"secondsEach"`
	Days        float64 `json:"days"` // over which they are spread
	Segments    int     `json:"segments"`
	Explored    int     `json:"explored"` // segments
	SetupFailed int     `json:"setupFailed"`
	Dropped     int     `json:"dropped"`
	Seconds     float64 `json:"seconds"` // that simulating, sending and storing took
}

const (
	// historyDays spreads the first act over a week, so that it has calls of every hour, and whole days to hold out.
	historyDays = 7
	// simulatedSpeech of the speech is coded once in each setting that a simulated call uses.
	simulatedSpeech = 24 * time.Second
)

// explore makes the first act: policy 1 explores in simulated calls, and what clients would report of them goes through
// NATS and ingest into ClickHouse, where every report is counted.
func (r *run) explore(ctx context.Context) error {
	begin := time.Now()
	document, err := r.releases.InForce(ctx)
	if err != nil {
		return err
	}
	inForce, err := contender("policy 1", document, nil)
	if err != nil {
		return err
	}
	voice := r.speech.Samples
	if r.frames, err = sim.NewFrames(voice[:min(len(voice), int(simulatedSpeech.Seconds())*48000)]); err != nil {
		return err
	}
	stream, err := telemetry.NewPublisher(r.backends.JetStream.Conn())
	if err != nil {
		return err
	}
	sender := &history.Sender{Stream: stream}
	r.progress.step("history: %d simulated calls of %v on %d networks under policy 1, their reports to NATS, and through ingest into ClickHouse",
		r.options.Simulated, r.options.Duration, len(r.profiles))
	made, err := history.Make(ctx, history.Config{
		Suite: networksOf(r.profiles...), Contender: inForce, Frames: r.frames, Calls: r.options.Simulated, Seed: r.seed(roundHistory),
		Duration: r.options.Duration, Over: historyDays * 24 * time.Hour,
		Progress: func(done, of int64) {
			if done%100 == 0 {
				r.progress.update("%d of %d simulated calls, %d reports acknowledged", done, of, sender.Counts().Acknowledged)
			}
		},
	}, func(id telemetry.ReportID, report []byte) error { return sender.Send(ctx, id, report) })
	if err == nil {
		err = sender.Flush(ctx)
	}
	if err != nil {
		return err
	}
	sent := sender.Counts()
	r.summary.Reports.Simulated = Delivery{Sent: sent.Reports, Acknowledged: sent.Acknowledged}
	if err := r.drain(ctx); err != nil {
		return err
	}
	r.summary.History = History{
		Calls: made.Calls, SecondsEach: int(r.options.Duration.Seconds()), Days: historyDays, Segments: made.Segments,
		Explored: made.Explored, SetupFailed: made.SetupFailed, Dropped: made.Dropped, Seconds: time.Since(begin).Seconds(),
	}
	return nil
}

// The seeds of the rounds: no call of one round meets the network of another.
const (
	roundHistory = iota + 1
	roundForecast
	roundChangeover
	roundExperiment
)

// seed is that of a whole simulated round.
func (r *run) seed(round uint64) uint64 {
	return rand.New(rand.NewPCG(r.options.Seed, round<<32)).Uint64()
}

// networksOf makes a suite in which each network occurs as often as the others.
func networksOf(profiles ...*network.Profile) *suite.Suite {
	s := &suite.Suite{Name: "demo", About: "The networks of the demo, each as often as the others."}
	for _, p := range profiles {
		s.Networks = append(s.Networks, suite.Network{
			Name: p.Name, Source: "profile " + p.Name, Type: p.Network, Weight: 1, Profile: p,
		})
	}
	return s
}

// contender decides simulated calls by a document.
func contender(name string, document policy.Document, models map[string][]byte) (compare.Contender, error) {
	text, err := document.Marshal()
	if err != nil {
		return compare.Contender{}, fmt.Errorf("simulate %s: %w", name, err)
	}
	parsed, err := policy.Parse(text, models)
	if err != nil {
		return compare.Contender{}, fmt.Errorf("simulate %s: %w", name, err)
	}
	return compare.Policy(name, parsed)
}
