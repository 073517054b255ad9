package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// Reports accounts for every report: Sent == Acknowledged == Stored + Rejected, and Duplicates is 0, or reports were
// lost or counted twice. That holds for all of them, and for those of simulated and of real calls apart.
type Reports struct {
	Delivery
	Duplicates uint64   `json:"duplicates"`
	Segments   uint64   `json:"segments"`
	Simulated  Delivery `json:"simulated"`
	Real       Delivery `json:"real"`
}

// Delivery is how far reports got.
type Delivery struct {
	Sent         uint64 `json:"sent"`
	Acknowledged uint64 `json:"acknowledged"` // by the stream, on disk
	Stored       uint64 `json:"stored"`       // in ClickHouse
	Rejected     uint64 `json:"rejected"`     // by ingest
}

// exact reports whether each report is accounted for.
func (d Delivery) exact() bool { return d.Sent == d.Acknowledged && d.settled() }

// settled reports whether what was acknowledged has come out of the stream.
func (d Delivery) settled() bool { return d.Acknowledged == d.Stored+d.Rejected }

// Exact reports whether every report is accounted for once.
func (r Reports) Exact() bool {
	return r.exact() && r.Simulated.exact() && r.Real.exact() && r.Duplicates == 0
}

// update is the account of what was sent against what a warehouse holds. What is rejected while no real call has been
// made is simulated.
func (r *Reports) update(clients telemetry.Counts, stored warehouse.Counts) {
	r.Duplicates, r.Segments = stored.Duplicates, stored.Segments
	rejected := uint64(0)
	for _, n := range stored.Rejected {
		rejected += n
	}
	if clients.Created == 0 {
		r.Simulated.Rejected = rejected
	}
	r.Simulated.Stored = stored.Origins[telemetry.OriginSimulation]
	r.Real = Delivery{
		Sent: clients.Created, Acknowledged: clients.Acknowledged, Stored: stored.Reports - r.Simulated.Stored,
		Rejected: rejected - r.Simulated.Rejected,
	}
	r.Delivery = Delivery{
		Sent: r.Simulated.Sent + r.Real.Sent, Acknowledged: r.Simulated.Acknowledged + r.Real.Acknowledged,
		Stored: stored.Reports, Rejected: rejected,
	}
}

// drainTimeout is how long acknowledged reports may take to be stored.
const drainTimeout = time.Minute

// drain waits until every acknowledged report is stored or rejected, and accounts for all of them.
func (r *run) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainTimeout, fmt.Errorf("reports were not stored within %v", drainTimeout))
	defer cancel()
	clients, err := r.fleet.total()
	if err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	reports := &r.summary.Reports
	for {
		stored, err := r.backends.Warehouse.Counts(ctx)
		if err != nil {
			return err
		}
		if reports.update(clients, stored); reports.Stored+reports.Rejected >= reports.Acknowledged {
			r.progress.step("reports: %v; %d counted twice", reports, reports.Duplicates)
			return nil
		}
		r.progress.update("%d of %d reports in ClickHouse", reports.Stored+reports.Rejected, reports.Acknowledged)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %+v", context.Cause(ctx), *reports)
		}
	}
}

// String tells simulated and real reports apart, those there are.
func (r *Reports) String() string {
	switch {
	case r.Real.Sent == 0:
		return "simulated: " + r.Simulated.String()
	case r.Simulated.Sent == 0:
		return "real: " + r.Real.String()
	}
	return fmt.Sprintf("simulated: %v; real: %v", r.Simulated, r.Real)
}

func (d Delivery) String() string {
	return fmt.Sprintf("%d sent, %d acknowledged, %d stored, %d rejected", d.Sent, d.Acknowledged, d.Stored, d.Rejected)
}
