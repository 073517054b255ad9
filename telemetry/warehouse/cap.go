package warehouse

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A cell is what one sender without an identity can flood: the reports of one day, region and network type. Filter.CellCap
// bounds what a cell has a say in. Of a cell with more reports those count whose number in a fixed lottery is lowest.
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

// cell is one that has more reports than may count.
type cell struct {
	day, region, network string
	reports              uint64
}

// cellKey is SQL for what tells cells apart.
const cellKey = "concat(toString(day), toString(region), toString(network))"

func (c *cell) key() string { return c.day + c.region + c.network }

// cellSample is a further condition on the reports of f, " AND ...", that keeps at most f.CellCap of each cell; empty
// when none has more. f.Policy and f.Experiment make no difference: the sample is of all reports of the time and origin.
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

// crowdedCells lists the cells that may have more than f.CellCap reports. It counts rows, copies included, which reads
// three narrow columns and sorts nothing: where no cell comes near the cap that is all the cap costs.
func (w *Warehouse) crowdedCells(ctx context.Context, f Filter) ([]cell, error) {
	if f.CellCap == 0 {
		return nil, nil
	}
	rows, err := w.conn.Query(ctx, fmt.Sprintf(`SELECT toString(day), toString(region), toString(network), count() AS reports
FROM calls WHERE %s GROUP BY day, region, network HAVING reports > %d ORDER BY day, region, network`, f.calls(), f.CellCap))
	if err != nil {
		return nil, w.queryError("crowded cells", err)
	}
	defer func() { _ = rows.Close() }()
	var cells []cell
	for rows.Next() {
		var c cell
		if err := rows.Scan(&c.day, &c.region, &c.network, &c.reports); err != nil {
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
WHERE day = toDate('%s') AND network = '%s' AND region = '%s' AND %s ORDER BY draw LIMIT %d, 2`,
		draw(salt), c.day, c.network, c.region, f.calls(), f.CellCap-1))
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
