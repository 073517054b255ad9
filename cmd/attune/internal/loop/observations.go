package loop

import (
	"context"
	"fmt"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy/rollout"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// observations reads what the experiment has shown so far: one observation for each call leg that lived under the
// experiment from beginning to end. A leg that another version reached on the way belongs to neither arm. Real calls alone
// count, and of a crowded cell no more of them than the caps of the configuration.
func (e *Experiment) observations(ctx context.Context, w *warehouse.Warehouse) ([]rollout.Observation, error) {
	legs, err := w.CallQualities(ctx, capped(e.config, warehouse.Filter{Origins: []telemetry.Origin{telemetry.OriginCall}}))
	if err != nil {
		return nil, fmt.Errorf("observations of experiment %d: %w", e.Number(), err)
	}
	price := e.config.Training.Price.Model()
	var observations []rollout.Observation
	for i := range legs {
		leg := &legs[i]
		step, known := e.state.Versions[leg.Policy]
		if leg.Experiment != e.Number() || leg.Mixed || !known {
			continue
		}
		o := rollout.Observation{
			Arm: leg.Arm, Step: uint8(step), Network: leg.Network, MOS: leg.MOS, Kbps: leg.Kbps, Failed: leg.Died,
		}
		if leg.Died {
			o.MOS = model.WorstMOS
		}
		o.Poor = o.MOS < warehouse.PoorMOS
		o.Quality = price.Net(leg.Metered, o.MOS, o.Kbps)
		observations = append(observations, o)
	}
	return observations, nil
}
