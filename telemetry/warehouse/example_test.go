package warehouse_test

import (
	"context"
	"fmt"
	"os"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// A private server, one report stored twice, and what a query sees of it.
func Example() {
	dir, err := os.MkdirTemp("", "attune")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	server, err := warehouse.StartManaged(ctx, warehouse.ManagedConfig{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()
	w, err := warehouse.Open(ctx, server.DSN())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = w.Close() }()
	if err := w.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}

	report := telemetry.Report{
		ID: telemetry.ReportID{1}, Schema: telemetry.SchemaVersion, Hour: telemetry.MinHour,
		Context: model.Context{Network: model.Network4G}, Stage: model.StageEnded,
		Segments: []model.Segment{{
			Action: model.DefaultAction(), Propensity: model.PropensityScale, Seconds: 4,
			Outcome: model.Outcome{MOS: model.ScaleMOS.Bucket(4.21)},
		}},
	}
	for range 2 {
		if err := w.Insert(ctx, []telemetry.Report{report}); err != nil {
			fmt.Println(err)
			return
		}
	}
	err = w.EachSegment(ctx, warehouse.Filter{}, func(batch *warehouse.SegmentBatch) error {
		for _, row := range batch.Rows {
			fmt.Printf("leg %d, segment %d: %v, MOS about %.2f\n",
				row.Call, row.Index, row.Segment.Action, model.ScaleMOS.Value(row.Segment.Outcome.MOS))
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: leg 0, segment 0: opus 32k fullband 20ms fec10 direct, MOS about 4.22
}

// The example queries are plain SQL over the views, to copy and change; Ask answers one.
func ExampleQueries() {
	for _, q := range warehouse.Queries()[:3] {
		fmt.Println(q.Name+":", q.Title)
	}
	// Output:
	// poor_networks: Which networks are poor, and for whom
	// worst_cells: The worst cells of the last day, robustly
	// poor_by_week: The poor-call ratio by week
}
