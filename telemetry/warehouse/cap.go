package warehouse

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A cell is what one sender without an identity can flood: the reports of one day, origin, region and network type.
// Filter.CellCap bounds what a cell has a say in, and Filter.CellGrowth what it has more than usual, see usual.go. Of a cell
// with more reports those count whose number in a fixed lottery is lowest.
// The number is the SHA-256 hash of a random salt and the report's id, and the salt never leaves the warehouse. So a
// sender, who chooses the ids, can neither aim for the sample nor learn from outside whether a report is in it; an honest
// report of a flooded cell has the same chance as a false one; and two reads take the same sample. With more reports the
// sample only changes by those that are drawn instead of others.

// The table of the salt. It has one row; should several programs ever write one at once, the least is meant.
const saltTable = "sample_salt"

func createSaltTable(name, onCluster, engine string) string {
	return "CREATE TABLE IF NOT EXISTS " + name + onCluster + " (salt String) ENGINE = " + engine + " ORDER BY salt"
}

// insertSalt draws a salt of more than 128 random bits.
func insertSalt() string {
	return "INSERT INTO " + saltTable + " (salt) SELECT '" + rand.Text() + "'"
}

// saltExists counts the salts.
const saltExists = "SELECT count() FROM " + saltTable

// drawDigits are the leading hexadecimal digits of the hash that a draw is made of: 64 bits, so that of a million
// reports two are the same once in 30 million times.
const drawDigits = 16

// draw is SQL for the number of a report in the lottery.
func draw(salt string) string {
	return fmt.Sprintf("substring(hex(SHA256(concat('%s', toString(id)))), 1, %d)", salt, drawDigits)
}

// place is what tells the cells of a day apart.
type place struct{ origin, region, network string }

// cell is one with its reports, copies included.
type cell struct {
	day time.Time
	place
	reports uint64
	limit   uint64 // of reports that count
}

// cellKey is SQL for what tells cells apart.
const cellKey = "concat(toString(day), toString(origin), toString(region), toString(network))"

func (c *cell) key() string {
	return c.day.Format(time.DateOnly) + c.origin + c.region + c.network
}

// cellSample is a further condition on the reports of f, " AND ...", that keeps of each cell at most what its caps allow;
// empty when none has more. f.Policy and f.Experiment make no difference: the sample is of all reports of the time and
// origins.
func (w *Warehouse) cellSample(ctx context.Context, f Filter) (string, error) {
	cells, err := w.crowdedCells(ctx, f)
	if err != nil || len(cells) == 0 {
		return "", err
	}
	var salt string
	if err := w.conn.QueryRow(ctx, "SELECT min(salt) FROM "+saltTable).Scan(&salt); err != nil {
		return "", w.queryError("the salt of samples", err)
	}
	if salt == "" {
		return "", fmt.Errorf("sample the cells of %s: the table %s is empty: run `attune warehouse migrate`", w.where, saltTable)
	}
	var keys, limits []string
	for i := range cells {
		limit, err := w.lastDrawn(ctx, f, &cells[i], salt)
		if err != nil {
			return "", err
		}
		if limit != "" {
			keys, limits = append(keys, "'"+cells[i].key()+"'"), append(limits, "'"+limit+"'")
		}
	}
	if len(keys) == 0 {
		return "", nil
	}
	// G is greater than any hexadecimal digit: what is not in the list is not limited.
	return fmt.Sprintf(" AND %s <= transform(%s, [%s], [%s], 'G')",
		draw(salt), cellKey, strings.Join(keys, ", "), strings.Join(limits, ", ")), nil
}

// crowdedCells lists the cells that may have more reports than may count, with their limits. It counts rows, copies
// included, which reads four narrow columns and sorts nothing: where no cell comes near a cap that is all the caps cost.
func (w *Warehouse) crowdedCells(ctx context.Context, f Filter) ([]cell, error) {
	least := f.leastCap()
	if least == 0 {
		return nil, nil
	}
	cells, err := w.countCells(ctx, f.calls(), least)
	if err != nil || len(cells) == 0 {
		return nil, err
	}
	if err := w.limitCells(ctx, f, cells); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(cells, func(c cell) bool { return c.reports <= c.limit }), nil
}

// countCells counts the cells with more than so many of the reports that meet a condition, in the order of days.
func (w *Warehouse) countCells(ctx context.Context, condition string, more uint64) ([]cell, error) {
	rows, err := w.conn.Query(ctx, fmt.Sprintf(`SELECT day, toString(origin), toString(region), toString(network), count() AS reports
FROM calls WHERE %s GROUP BY day, origin, region, network HAVING reports > %d ORDER BY day, origin, region, network`, condition, more))
	if err != nil {
		return nil, w.queryError("crowded cells", err)
	}
	defer func() { _ = rows.Close() }()
	var cells []cell
	for rows.Next() {
		var c cell
		if err := rows.Scan(&c.day, &c.origin, &c.region, &c.network, &c.reports); err != nil {
			return nil, w.queryError("crowded cells", err)
		}
		cells = append(cells, c)
	}
	if err := rows.Err(); err != nil {
		return nil, w.queryError("crowded cells", err)
	}
	return cells, nil
}

// lastDrawn is the highest draw of a cell's sample; empty when all of its reports may count. The server keeps no more
// draws in memory than the cap.
func (w *Warehouse) lastDrawn(ctx context.Context, f Filter, c *cell, salt string) (string, error) {
	rows, err := w.conn.Query(ctx, fmt.Sprintf(`SELECT %s AS draw FROM calls FINAL
WHERE day = %s AND origin = '%s' AND network = '%s' AND region = '%s' AND %s ORDER BY draw LIMIT %d, 2`,
		draw(salt), sqlDate(c.day), c.origin, c.network, c.region, f.calls(), c.limit-1))
	if err != nil {
		return "", w.queryError("the sample of a cell", err)
	}
	defer func() { _ = rows.Close() }()
	var draws []string
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return "", w.queryError("the sample of a cell", err)
		}
		draws = append(draws, d)
	}
	if err := rows.Err(); err != nil {
		return "", w.queryError("the sample of a cell", err)
	}
	if len(draws) < 2 { // nothing comes after the last that may count
		return "", nil
	}
	return draws[0], nil
}

// sampled is ctx for a query with a sample in it: the list of its cells may be long.
func sampled(ctx context.Context, sample string) context.Context {
	if sample == "" {
		return ctx
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_query_size": 1<<20 + 8*len(sample)}))
}
