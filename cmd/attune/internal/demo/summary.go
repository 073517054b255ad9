package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/attune-calls/attune/cmd/attune/internal/versions"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy/rollout"
	"github.com/attune-calls/attune/training/evaluate"
)

// Summary is out/demo/summary.json: everything the table and the page show, and what is needed to run it again.
type Summary struct {
	Versions versions.Versions `json:"versions"`
	Seed     uint64            `json:"seed"`
	Speech   string            `json:"speech"`
	Began    time.Time         `json:"began"`
	Seconds  float64           `json:"seconds"`

	History      History           `json:"history"` // simulated
	Calls        Calls             `json:"calls"`   // real
	Pace         Pace              `json:"pace"`    // of the machine during the real calls
	Reports      Reports           `json:"reports"`
	PolicyChange PolicyChange      `json:"policyChange"`
	Training     Training          `json:"training"`
	Forecast     Forecast          `json:"forecast"` // simulated, over all networks
	Networks     []NetworkResult   `json:"networks"` // real, but for the forecast in each
	Overall      NetworkResult     `json:"overall"`  // real
	Verdict      string            `json:"verdict"`
	Reasons      []string          `json:"reasons"`
	Rollout      rollout.Report    `json:"rollout"`
	Published    []PublishedPolicy `json:"published"`
	Timeline     Timeline          `json:"timeline"`
}

// Calls counts the real calls by round.
type Calls struct {
	SecondsEach int `json:"secondsEach"`
	Changeover  int `json:"changeover"` // under policy 1, running while policy 2 arrived
	Experiment  int `json:"experiment"` // under policy 2, half of them on each arm
	SetupFailed int `json:"setupFailed"`
	Dropped     int `json:"dropped"`
}

// PolicyChange tells what a policy published during calls did to them.
type PolicyChange struct {
	Legs    int     `json:"legs"`    // of calls that were running
	Applied int     `json:"applied"` // that decided under the new policy before they ended
	Median  float64 `json:"medianSeconds"`
	Slowest float64 `json:"slowestSeconds"` // from the publication to the decision
}

// Training is what the learner saw and said before anyone heard the candidate.
type Training struct {
	Run        string           `json:"run"` // directory, beside the summary
	Seconds    float64          `json:"seconds"`
	Rows       int              `json:"rows"`
	Refused    int              `json:"refused"`
	Gate       evaluate.Verdict `json:"gate"`
	Estimators []Estimator      `json:"estimators"` // gain over the policy in force, by estimator
	Types      []TypeEstimate   `json:"types"`      // gain by network type
}

// Estimator is one way to estimate the candidate's gain in reward over the policy in force, both without exploration.
type Estimator struct {
	Name string            `json:"name"`
	Gain evaluate.Estimate `json:"gain"`
}

// TypeEstimate is the doubly robust estimate of the candidate's gain in reward, on the calls of one network type.
type TypeEstimate struct {
	Network model.NetworkType `json:"network"`
	Gain    evaluate.Estimate `json:"gain"`
}

// PublishedPolicy is one version that clients could fetch.
type PublishedPolicy struct {
	Version uint32 `json:"version"`
	What    string `json:"what"`
}

// NetworkResult compares the two arms on one kind of network, in real calls.
type NetworkResult struct {
	Network string `json:"network"`
	Before  Arm    `json:"before"` // the old policy
	After   Arm    `json:"after"`  // the learned one
	// Gain of the mean quality, after minus before.
	Gain evaluate.Estimate `json:"gain"`
	// Forecast is what simulation had said; of all networks it is Summary.Forecast.
	Forecast Forecast `json:"forecast"`
}

// Arm is what the calls of one arm were like. Intervals are at 95 %, two-sided, with the two legs of a call as one
// observation.
type Arm struct {
	Legs    int               `json:"legs"`
	Calls   int               `json:"calls"`
	Setting string            `json:"setting"` // sent with for most of the time
	Share   float64           `json:"share"`   // of the time that setting was in force
	MOS     evaluate.Estimate `json:"mos"`
	Poor    evaluate.Estimate `json:"poor"` // share of legs with a MOS below PoorMOS, failed ones included
	Kbps    evaluate.Estimate `json:"kbps"`
}

// PoorMOS is the mean quality below which a call counts as poor: "nearly all users dissatisfied" begins at R = 60,
// MOS 3.1, in ITU-T G.107 annex B.
const PoorMOS = 3.1

// Timeline is one leg of one call that a new policy reached while it ran.
type Timeline struct {
	Network string  `json:"network"`
	Points  []Point `json:"points"`
	Change  float64 `json:"changeSecond"` // when the first decision under the new policy was made
}

// Point is one segment of a Timeline.
type Point struct {
	Second  float64      `json:"second"` // since the leg began
	Length  float64      `json:"length"`
	Action  model.Action `json:"action"`
	MOS     float64      `json:"mos"`
	Kbps    float64      `json:"kbps"`
	Policy  uint32       `json:"policy"`
	Cause   model.Cause  `json:"cause"`
	Setting string       `json:"setting"`
}

// write stores the summary as indented JSON.
func (s *Summary) write(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "summary.json"), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	return nil
}
