package warehouse

import (
	"context"
	"fmt"
	"time"
)

// week is the stretch of time of a partition, which is dropped as a whole.
const week = 7 * 24 * time.Hour

// minRetention leaves at least a week after the partition of the running week.
const minRetention = 2 * week

// Dropped is what a DropExpired deleted.
type Dropped struct {
	Partitions int    // weeks of one table
	Reports    uint64 // rows, copies included
	Rejects    uint64
}

// DropExpired deletes the reports, and what is known of refused reports, of every week whose Monday is retention or
// longer before now. So nothing is ever older than retention at the time of a call, counted from the start of the
// report's day, and everything younger than retention less a week is still there. It may be called by several processes
// at once, and while others insert. It does nothing while there are no tables.
func (w *Warehouse) DropExpired(ctx context.Context, now time.Time, retention time.Duration) (Dropped, error) {
	var dropped Dropped
	if retention < minRetention {
		return dropped, fmt.Errorf("drop what is past its time in %s: retention %v, want at least %v: a partition is a week",
			w.where, retention, minRetention)
	}
	limit := now.Add(-retention).UTC()
	for _, t := range []struct {
		name string
		rows *uint64
	}{{"calls", &dropped.Reports}, {"rejects", &dropped.Rejects}} {
		place, err := w.distributed(ctx, t.name)
		if err != nil {
			return dropped, err
		}
		if place.name == "" {
			place.database, place.table = w.database, t.name
		}
		partitions, err := w.expired(ctx, place, limit)
		if err != nil {
			return dropped, fmt.Errorf("look for what is past its time in %s: %w", w.where, err)
		}
		for _, p := range partitions {
			if err := w.conn.Exec(ctx, place.dropPartition(p.id)); err != nil {
				return dropped, fmt.Errorf("drop week %s of %s in %s: %w", p.id, t.name, w.where, err)
			}
			dropped.Partitions++
			*t.rows += p.rows
		}
	}
	return dropped, nil
}

type partition struct {
	id   string // the Monday of its week as 20261130
	rows uint64
}

// expired lists the partitions whose Monday is not after the limit. Those of version 1 have other names: they are left to
// its migration.
func (w *Warehouse) expired(ctx context.Context, place distributedTable, limit time.Time) ([]partition, error) {
	parts := "system.parts"
	if place.name != "" {
		parts = "cluster(" + quoteText(place.name) + ", system.parts)"
	}
	rows, err := w.conn.Query(ctx, fmt.Sprintf("SELECT partition_id, sum(rows) FROM %s WHERE database = %s AND table = %s AND active "+
		"AND length(partition_id) = 8 AND toUInt32OrZero(partition_id) <= %s GROUP BY partition_id ORDER BY partition_id",
		parts, quoteText(place.database), quoteText(place.table), limit.Format("20060102")))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []partition
	for rows.Next() {
		var p partition
		if err := rows.Scan(&p.id, &p.rows); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// dropPartition is the statement that drops one; it does nothing when another process was faster.
func (t distributedTable) dropPartition(id string) string {
	on := ""
	if t.name != "" {
		on = onCluster(t.name)
	}
	return "ALTER TABLE " + quoteName(t.database) + "." + quoteName(t.table) + on + " DROP PARTITION ID " + quoteText(id)
}
