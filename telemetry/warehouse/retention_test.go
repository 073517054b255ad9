package warehouse_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/telemetry/warehouse/warehousetest"
)

// The days on which something of a table is stored.
func storedDays(t *testing.T, conn driver.Conn, table string) map[time.Time]bool {
	t.Helper()
	days := make(map[time.Time]bool)
	rows, err := conn.Query(t.Context(), "SELECT day FROM "+table+" GROUP BY day")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var day time.Time
		if err := rows.Scan(&day); err != nil {
			t.Fatal(err)
		}
		days[day.UTC()] = true
	}
	return days
}

// Time moves over 40 weeks of reports, in steps that are not weeks, while reports arrive and two processes drop. After
// each step nothing older than the limit is there, and everything younger than the limit less a week.
func TestDropExpired(t *testing.T) {
	t.Parallel()
	onBoth(t, testDropExpired)
}

func testDropExpired(t *testing.T, empty func(testing.TB) database) {
	db := empty(t)
	w := db.open()
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const day, retention = 24 * time.Hour, 90 * 24 * time.Hour
	// A Thursday so late that the TTL of a current server, which goes by its own clock, does nothing; the weeks cross a
	// new year.
	first := time.Date(2085, 12, 20, 0, 0, 0, 0, time.UTC)
	reports := randomReports(rand.New(rand.NewPCG(41, 42)), 40*7, 1)
	var rejects []warehouse.Reject
	for i := range reports {
		reports[i].Hour = telemetry.HourOf(first.Add(time.Duration(i)*day + time.Duration(i%24)*time.Hour))
		rejects = append(rejects, warehouse.Reject{Hour: reports[i].Hour, Reason: telemetry.RejectHour, Sequence: uint64(i)})
	}
	insert(t, w, reports...)
	if err := w.CountRejects(t.Context(), rejects); err != nil {
		t.Fatal(err)
	}
	last := first.Add(time.Duration(len(reports)-1) * day)
	var dropped warehouse.Dropped
	steps := 0
	for now := last.Add(-200 * day); now.Before(last.Add(retention + 12*day)); now = now.Add(11*day + 7*time.Hour) {
		steps++
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				d, err := w.DropExpired(t.Context(), now, retention)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				dropped.Partitions += d.Partitions
				dropped.Reports += d.Reports
				dropped.Rejects += d.Rejects
			})
		}
		if now.Before(last.Add(30 * day)) { // later, what arrives for that day may be past its time before it is stored
			fresh := randomReports(rand.New(rand.NewPCG(43, uint64(steps))), 3, 1)
			for i := range fresh {
				fresh[i].Hour = telemetry.HourOf(last)
			}
			wg.Go(func() {
				if err := w.Insert(t.Context(), fresh); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, table := range []string{"calls", "rejects"} {
			days := storedDays(t, db.conn, table)
			for d := first; !d.After(last); d = d.Add(day) {
				age := now.Sub(d)
				if age >= retention && days[d] {
					t.Errorf("%v: %s still has %v, %v old", now, table, d, age)
				}
				if age < retention-7*day && !days[d] {
					t.Errorf("%v: %s has lost %v, %v old", now, table, d, age)
				}
			}
		}
	}
	counts, err := w.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// 280 days from a Thursday on lie in 41 weeks; the last drop is after the last of them.
	if counts.Rows != 0 || len(counts.Rejected) != 0 || dropped.Partitions < 2*41 || dropped.Rejects < uint64(len(rejects)) {
		t.Errorf("after all is past its time: %+v, dropped %+v", counts, dropped)
	}
	if steps < 20 {
		t.Errorf("only %d steps", steps)
	}
}

func TestDropExpiredWithoutTables(t *testing.T) {
	t.Parallel()
	w := open(t, warehousetest.Database(t))
	if d, err := w.DropExpired(t.Context(), time.Now(), 30*24*time.Hour); err != nil || d != (warehouse.Dropped{}) {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := w.DropExpired(t.Context(), time.Now(), 24*time.Hour); err == nil {
		t.Error("a retention of a day was accepted: a partition is a week")
	}
}
