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
		partitions, err := w.expired(ctx, t.name, limit)
		if err != nil {
			return dropped, fmt.Errorf("look for what is past its time in %s: %w", w.where, err)
		}
		for _, p := range partitions.list {
			err := w.conn.Exec(ctx, "ALTER TABLE "+partitions.table+partitions.onCluster+" DROP PARTITION ID '"+p.id+"'")
			if err != nil {
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

type expiredPartitions struct {
	table, onCluster string
	list             []partition
}

// expired lists the partitions whose Monday is not after the limit.
func (w *Warehouse) expired(ctx context.Context, table string, limit time.Time) (expiredPartitions, error) {
	e := expiredPartitions{table: table}
	parts, database := "system.parts", w.database
	cluster, err := w.distributed(ctx, table)
	if err != nil {
		return e, err
	}
	if cluster.name != "" {
		parts, database = "clusterAllReplicas('"+cluster.name+"', system.parts)", cluster.database
		e.table, e.onCluster = quoteName(cluster.database)+"."+quoteName(cluster.table), " ON CLUSTER "+quoteName(cluster.name)
		table = cluster.table
	}
	// A table of version 1 has partitions of other names: it is left to its migration.
	rows, err := w.conn.Query(ctx, expiredQuery(parts, database, table, limit))
	if err != nil {
		return e, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p partition
		if err := rows.Scan(&p.id, &p.rows); err != nil {
			return e, err
		}
		e.list = append(e.list, p)
	}
	return e, rows.Err()
}

func expiredQuery(parts, database, table string, limit time.Time) string {
	return fmt.Sprintf("SELECT partition_id, sum(rows) FROM %s WHERE database = %s AND table = %s AND active "+
		"AND length(partition_id) = 8 AND toUInt32OrZero(partition_id) <= %s GROUP BY partition_id ORDER BY partition_id",
		parts, quoteText(database), quoteText(table), limit.Format("20060102"))
}
