package transparency_test

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker/brokertest"
	"github.com/attune-calls/attune/telemetry/transparency"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

func TestMain(m *testing.M) { os.Exit(warehousetest.Run(m)) }

// newWarehouse has empty tables.
func newWarehouse(t testing.TB) (*warehouse.Warehouse, driver.Conn) {
	t.Helper()
	w, dsn := warehousetest.Migrated(t)
	return w, warehousetest.Raw(t, dsn)
}

func execute(t testing.TB, conn driver.Conn, statement string) {
	t.Helper()
	if err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

var (
	since = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	until = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	now   = time.Date(2026, 2, 3, 12, 30, 45, 0, time.UTC)
)

// group is some reports that have all but their ids in common.
type group struct {
	n        int
	day      string
	region   string // ZZ: not given, or withheld
	network  model.NetworkType
	withheld bool
	stars    uint8
}

// seeded is what the golden files are about: a cell of 60, one of 50, one of 10 that is withheld, reports without a
// region, rated ones, some before and after the period, and refusals.
var seeded = []group{
	{n: 7, day: "2025-12-30", region: "ZZ", network: model.NetworkWiFi},
	{n: 60, day: "2026-01-05", region: "DE", network: model.NetworkWiFi, stars: 4},
	{n: 10, day: "2026-01-05", region: "ZZ", network: model.Network4G, withheld: true},
	{n: 50, day: "2026-01-14", region: "FR", network: model.Network4G},
	{n: 55, day: "2026-01-14", region: "ZZ", network: model.Network4G},
	{n: 3, day: "2026-02-02", region: "ZZ", network: model.NetworkWiFi},
}

func fill(t testing.TB, w *warehouse.Warehouse, groups []group) {
	t.Helper()
	var block warehouse.Block
	for _, g := range groups {
		at, err := time.Parse(time.DateOnly, g.day)
		if err != nil {
			t.Fatal(err)
		}
		region, err := model.ParseRegion(g.region)
		if err != nil {
			t.Fatal(err)
		}
		for range g.n {
			r := telemetry.Report{
				Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Hour: telemetry.HourOf(at) + 9,
				Origin: telemetry.OriginCall, Stage: model.StageEnded, Context: model.Context{Network: g.network, Region: region},
				Stars: g.stars, Problem: min(g.stars, 1),
			}
			binary.BigEndian.PutUint64(r.ID[8:], uint64(len(block.Reports)+1))
			block.Reports, block.Withheld = append(block.Reports, r), append(block.Withheld, g.withheld)
		}
	}
	if err := w.InsertBlock(t.Context(), block); err != nil {
		t.Fatal(err)
	}
}

func refuse(t testing.TB, w *warehouse.Warehouse) {
	t.Helper()
	hour := telemetry.HourOf(time.Date(2026, 1, 6, 1, 0, 0, 0, time.UTC))
	err := w.CountRejects(t.Context(), []warehouse.Reject{
		{Hour: hour, Reason: telemetry.RejectAction, Sequence: 1},
		{Hour: hour, Reason: telemetry.RejectAction, Sequence: 2, Position: 3},
		{Hour: hour + 24, Reason: telemetry.RejectMalformed, Sequence: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newStreams is a message server with the stream of reports, in which one waits, and a stream of somebody else.
func newStreams(t testing.TB) jetstream.JetStream {
	t.Helper()
	site := brokertest.New(t).Start()
	js := site.Publisher(site.OperatorURL())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), telemetry.Subject, []byte("report")); err != nil {
		t.Fatal(err)
	}
	return js
}

func sources(t testing.TB, w *warehouse.Warehouse) transparency.Sources {
	t.Helper()
	return transparency.Sources{Since: since, Until: until, Now: now, Program: "v1.2.3", Warehouse: w}
}

func gather(t testing.TB, s transparency.Sources) *transparency.Report {
	t.Helper()
	r, err := transparency.Gather(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
