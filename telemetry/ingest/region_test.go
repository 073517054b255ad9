package ingest_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/ingest"
	"github.com/attune-calls/attune/telemetry/internal/await"
)

// reader is a connection of its own to the tables of b.
func (b *bench) reader(t testing.TB) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(b.dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// regions counts the reports that show each region. With final it counts as queries do, without as a thief of the files.
func regions(ctx context.Context, t testing.TB, conn driver.Conn, final string) map[string]uint64 {
	t.Helper()
	rows, err := conn.Query(ctx, `SELECT toString(region), toString(network), uniqExact(id) FROM calls `+final+`
WHERE toString(region) != 'ZZ' GROUP BY day, region, network`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	counts := make(map[string]uint64)
	for rows.Next() {
		var region, network string
		var n uint64
		if err := rows.Scan(&region, &network, &n); err != nil {
			t.Fatal(err)
		}
		counts[region+" "+network] += n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return counts
}

func callFrom(rng *rand.Rand, region model.Region, network model.NetworkType) telemetry.Report {
	r := validReport(rng)
	r.Origin, r.Context.Region, r.Context.Network = telemetry.OriginCall, region, network
	for i := range r.Segments {
		r.Segments[i].Context.Region, r.Segments[i].Context.Network = region, network
	}
	return r
}

// The region of a call appears with that of the k-th of its cell and not before; a second delivery is not a second call.
func TestRegionAppearsWithTheKth(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	conn := b.reader(t)
	rng := rand.New(rand.NewPCG(41, 42))
	cfg := b.config()
	cfg.MinCell = 5
	i, stop := start(t, cfg)
	send := func(reports ...telemetry.Report) {
		t.Helper()
		before := i.Stats().Received
		for _, r := range reports {
			b.publish(t, encode(t, r), "")
		}
		await.Eventually(t, "they have been taken", func() bool { return i.Stats().Received == before+uint64(len(reports)) })
		b.drained(t)
	}
	const region = model.Region(3)
	name := region.String()
	var sent []telemetry.Report
	for range 4 {
		sent = append(sent, callFrom(rng, region, model.NetworkWiFi))
	}
	send(sent...)
	send(sent...)                                       // again
	elsewhere := callFrom(rng, region, model.Network4G) // the region's fifth, but not the cell's
	send(elsewhere)
	if got := regions(t.Context(), t, conn, ""); len(got) != 0 {
		t.Fatalf("regions are stored of 4 calls of a cell: %v", got)
	}
	if s := i.Stats(); s.Stored != 5 || s.Withheld != 5 || s.Revealed != 0 {
		t.Errorf("%+v, want 5 withheld", s)
	}
	fifth := callFrom(rng, region, model.NetworkWiFi)
	moved := len(fifth.Segments) - 1
	fifth.Segments[moved].Context.Network = model.Network4G // it ended in a cell that is not open
	send(fifth)
	want := map[string]uint64{name + " wifi": 5}
	if diff := cmp.Diff(want, regions(t.Context(), t, conn, "FINAL")); diff != "" {
		t.Error(diff)
	}
	send(callFrom(rng, region, model.NetworkWiFi), callFrom(rng, 0, model.NetworkWiFi))
	want[name+" wifi"]++
	if diff := cmp.Diff(want, regions(t.Context(), t, conn, "FINAL")); diff != "" {
		t.Error(diff)
	}
	if s := i.Stats(); s.Stored != 8 || s.Withheld != 5 || s.Revealed != 4 {
		t.Errorf("%+v, want 8 stored, 5 withheld, 4 of them revealed", s)
	}
	var elsewhereShown uint64
	err := conn.QueryRow(t.Context(), `SELECT count() FROM calls FINAL ARRAY JOIN segment AS s
WHERE s.network = ? AND s.region != 0`, uint8(model.Network4G)).Scan(&elsewhereShown)
	if err != nil || elsewhereShown != 0 {
		t.Errorf("%d segments show the region in another network (%v)", elsewhereShown, err)
	}
	counts, err := b.store.Counts(t.Context())
	if err != nil || counts.Reports != 8 {
		t.Errorf("%d reports (%v), want 8: a copy that shows its region counts once", counts.Reports, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Somebody reads the table all the time while several workers store calls of many cells, and one process ends and
// another begins. They never find a region with fewer than k reports.
func TestNobodyEverSeesASmallCell(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	conn := b.reader(t)
	const k = 20
	rng := rand.New(rand.NewPCG(43, 44))
	cfg := b.config()
	cfg.MinCell, cfg.Workers, cfg.Batch, cfg.MaxWait = k, 3, 150, 5*time.Millisecond

	ctx, cancel := context.WithCancel(context.Background())
	var watcher sync.WaitGroup
	var looks, seen atomic.Int64
	watcher.Go(func() {
		for ctx.Err() == nil {
			for place, n := range regions(context.WithoutCancel(ctx), t, conn, "") {
				seen.Add(1)
				if n < k {
					t.Errorf("%d reports show %s, want at least %d", n, place, k)
				}
			}
			looks.Add(1)
		}
	})
	var stored uint64
	for range 2 { // processes
		i, stop := start(t, cfg)
		for range 25 {
			var pack [][]byte
			for range 50 {
				region := model.Region(1 + rng.IntN(1+rng.IntN(60))) // few calls from most
				pack = append(pack, encode(t, callFrom(rng, region, model.NetworkType(1+rng.IntN(2)))))
			}
			b.publishPack(t, pack...)
		}
		b.drained(t)
		if err := stop(); err != nil {
			t.Error(err)
		}
		s := i.Stats()
		stored += s.Stored
		if s.Revealed == 0 || s.Withheld <= s.Revealed {
			t.Errorf("%+v, want some revealed and some withheld for good", s)
		}
	}
	cancel()
	watcher.Wait()
	counts, err := b.store.Counts(t.Context())
	if err != nil || counts.Reports != 2500 || stored != 2500 {
		t.Errorf("%d reports are stored (%v), want 2500", counts.Reports, err)
	}
	if looks.Load() < 5 || seen.Load() == 0 {
		t.Errorf("%d looks at %d cells prove nothing", looks.Load(), seen.Load())
	}
}

// What is older than the retention is deleted when ingest starts, and refused when it arrives.
func TestRetentionMovesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rng := rand.New(rand.NewPCG(45, 46))
	cfg := b.config()
	cfg.Retention = 30 * 24 * time.Hour
	past := now.Add(-25 * 24 * time.Hour)
	run := func(at time.Time, hours ...uint32) ingest.Stats {
		t.Helper()
		cfg.Now = func() time.Time { return at }
		i, stop := start(t, cfg, (*ingest.Ingest).TrustClock)
		for _, h := range hours {
			r := validReport(rng)
			r.Hour = h
			b.publish(t, encode(t, r), "")
		}
		await.Eventually(t, "they have been taken", func() bool { return i.Stats().Received == uint64(len(hours)) })
		b.drained(t)
		if len(hours) == 0 {
			await.Eventually(t, "what is too old is deleted", func() bool { return i.Stats().Expired > 0 })
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		return i.Stats()
	}
	run(past, telemetry.HourOf(past), telemetry.HourOf(past))
	s := run(now, hour, telemetry.HourOf(now.Add(-31*24*time.Hour)))
	if diff := cmp.Diff(map[telemetry.RejectReason]uint64{telemetry.RejectHour: 1}, s.Rejected); diff != "" || s.Stored != 1 {
		t.Errorf("of one call of today and one of 31 days ago %d are stored, rejects: %s", s.Stored, diff)
	}
	if s := run(now.Add(13 * 24 * time.Hour)); s.Expired != 2 {
		t.Errorf("%d rows were deleted, want 2", s.Expired)
	}
	counts, err := b.store.Counts(t.Context())
	if err != nil || counts.Reports != 1 {
		t.Errorf("%d reports are left (%v), want the one of today", counts.Reports, err)
	}
}
