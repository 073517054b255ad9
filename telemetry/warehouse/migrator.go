package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
)

// migrator does the work of one MigrateWith. ClickHouse has no transactions across statements, so it goes by what it
// finds, not by what it remembers: each statement leads to a state from which the next run goes on.
//
// A table of version 1 is moved in four steps:
//
//  1. It is renamed to x_version_1. From then on programs of version 1 get an error for each insert, and keep what they
//     have; what they had inserted by then is waited for.
//  2. x_version_2 is made and filled day by day. A day that is there already is not copied again; a day copied in part
//     is copied whole, and the copies count once. No rating is copied: version 1 stored them as they were given.
//  3. It is renamed to x. Only a complete copy gets that name.
//  4. x_version_1 is dropped.
type migrator struct {
	warehouse *Warehouse
	lock      *migrationLock
	dialect   dialect
	settings  Settings
}

// movedTable is a table of which version 1 had another form.
type movedTable struct {
	name   string
	create func(tableForm) string
	newer  string // a column that version 1 did not have
	copy   func(m *migrator, day time.Time) string
	id     string // what tells two rows apart that are not copies
}

var movedTables = []movedTable{
	{"calls", callsTable, "region_state", (*migrator).copyCalls, "id"},
	{"rejects", rejectsTable, "position", (*migrator).copyRejects, "hour, reason, sequence"},
}

func (m *migrator) run(ctx context.Context) error {
	if err := m.exec(ctx, createVersionTable(versionTable, "", "MergeTree")); err != nil {
		return err
	}
	if err := m.exec(ctx, "DROP TABLE IF EXISTS "+settingsView); err != nil {
		return err
	}
	for _, t := range movedTables {
		if err := m.table(ctx, t); err != nil {
			return err
		}
	}
	if err := m.salt(ctx); err != nil {
		return err
	}
	have, err := m.warehouse.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if have < schemaVersion {
		if err := m.exec(ctx, recordVersion(schemaVersion, schemaAbout)); err != nil {
			return err
		}
	}
	for _, view := range views(m.settings) {
		if err := m.exec(ctx, "DROP TABLE IF EXISTS "+viewName(view)); err != nil {
			return err
		}
		if err := m.exec(ctx, view); err != nil {
			return err
		}
	}
	return m.exec(ctx, m.dialect.createSettingsView("", m.settings))
}

// salt draws the salt of samples where there is none.
func (m *migrator) salt(ctx context.Context) error {
	if err := m.exec(ctx, createSaltTable(saltTable, "", "MergeTree")); err != nil {
		return err
	}
	var salts uint64
	if err := m.warehouse.conn.QueryRow(ctx, saltExists).Scan(&salts); err != nil {
		return fmt.Errorf("look for the salt of samples: %w", err)
	}
	if salts > 0 {
		return nil
	}
	return m.exec(ctx, insertSalt())
}

// viewName is the name in a statement that makes a view.
func viewName(statement string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(statement, createView), " ")
	return name
}

const createView = "CREATE VIEW IF NOT EXISTS "

// exec runs a statement if this process still has the lock.
func (m *migrator) exec(ctx context.Context, statement string) error {
	if err := m.lock.check(ctx); err != nil {
		return err
	}
	if err := m.warehouse.conn.Exec(ctx, statement); err != nil {
		first, _, _ := strings.Cut(statement, "\n")
		return fmt.Errorf("%.120s: %w", first, err)
	}
	return nil
}

// table brings one table to the form of today, whatever of its steps were made before.
func (m *migrator) table(ctx context.Context, t movedTable) error {
	older, newer := t.name+"_version_1", t.name+"_version_2"
	columns, err := m.columns(ctx, t.name)
	if err != nil {
		return err
	}
	if len(columns) > 0 && !columns[t.newer] { // version 1
		// A version 1 interrupted before its end would make the table again.
		have, err := m.warehouse.SchemaVersion(ctx)
		if err != nil {
			return err
		}
		if have == 0 {
			if err := m.exec(ctx, recordVersion(1, "the first")); err != nil {
				return err
			}
		}
		if err := m.exec(ctx, "RENAME TABLE "+t.name+" TO "+older); err != nil {
			return err
		}
		columns = nil
	}
	olderColumns, err := m.columns(ctx, older)
	if err != nil {
		return err
	}
	form := plainForm(t.name, m.dialect)
	switch {
	case len(columns) > 0: // version 2
		if err := m.adjust(ctx, t.name); err != nil {
			return err
		}
	case len(olderColumns) == 0:
		if err := m.exec(ctx, t.create(form)); err != nil {
			return err
		}
	default:
		form.name = newer
		if err := m.exec(ctx, t.create(form)); err != nil {
			return err
		}
		if err := m.fill(ctx, t, older, newer); err != nil {
			return err
		}
		if err := m.exec(ctx, "RENAME TABLE "+newer+" TO "+t.name); err != nil {
			return err
		}
	}
	return m.exec(ctx, "DROP TABLE IF EXISTS "+older)
}

// fill copies every day that is not there yet.
func (m *migrator) fill(ctx context.Context, t movedTable, older, newer string) error {
	if err := m.awaitInserts(ctx, t.name); err != nil {
		return err
	}
	days, err := m.warehouse.countDays(ctx, "SELECT day, uniqExact("+t.id+") FROM "+older+" GROUP BY day ORDER BY day")
	if err != nil {
		return err
	}
	for _, d := range days {
		var have uint64
		count := "SELECT uniqExact(" + t.id + ") FROM " + newer + " WHERE day = " + sqlDate(d.day)
		if err := m.warehouse.conn.QueryRow(ctx, count).Scan(&have); err != nil {
			return fmt.Errorf("count the copied rows of %s: %w", t.name, err)
		}
		if have == d.reports {
			continue
		}
		if err := m.exec(ctx, t.copy(m, d.day)); err != nil {
			return err
		}
	}
	return nil
}

// awaitInserts waits for the inserts into a table that began before it was renamed. An old server waits for them in
// RENAME; a current one renames at once, and they end in the renamed table.
func (m *migrator) awaitInserts(ctx context.Context, table string) error {
	running := "SELECT query_id FROM system.processes WHERE query LIKE 'INSERT INTO " + table + " (%'"
	before, err := m.warehouse.strings(ctx, running)
	for err == nil && len(before) > 0 {
		before, err = m.warehouse.strings(ctx, running+" AND query_id IN ('"+strings.Join(before, "', '")+"')")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil {
		return fmt.Errorf("list running inserts: %w", err)
	}
	return nil
}

// copyCalls copies a day of reports. A region is shown where the day has enough reports of the same origin, region and
// network, as for reports that arrive today; so is that of a segment, by the same count. The local time of day goes where
// the region goes.
func (m *migrator) copyCalls(day time.Time) string {
	date := sqlDate(day)
	cell := func(region, network string) string {
		return "toUInt32(toUInt32(toInt8(origin)) * 16777216 + toUInt32(" + network + ") * 65536 + " + region + ")"
	}
	own := cell(fmt.Sprintf("indexOf(['%s'], toString(region)) - 1", strings.Join(model.Regions(), "', '")), "toInt8(network)")
	cells := fmt.Sprintf("(SELECT groupArray(cell) FROM (\n    SELECT %s AS cell FROM calls_version_1 FINAL WHERE day = %s GROUP BY cell HAVING count() >= %d\n))",
		own, date, m.settings.MinCell)
	shown := "has(open, " + own + ")"
	hidden := "(region != 'ZZ' AND NOT " + shown + ")"
	var columns, values []string
	for _, c := range callColumns() {
		columns = append(columns, c[0])
		switch c[0] {
		case "region":
			values = append(values, "toFixedString(if(region != 'ZZ' AND "+shown+", toString(region), 'ZZ'), 2)")
		case "region_state":
			values = append(values, fmt.Sprintf("if(region = 'ZZ', %d, if(%s, %d, %d))", regionNotGiven, shown, regionShown, regionWithheld))
		case "time_of_day":
			values = append(values, fmt.Sprintf("CAST(if(%s, 'unknown', toString(time_of_day)) AS %s)", hidden, c[1]))
		case "stars", "problem":
			values = append(values, "0")
		case "origin":
			values = append(values, "CAST(toString(origin) AS "+c[1]+")")
		default:
			values = append(values, c[0])
		}
	}
	for i := range segmentColumns {
		name := "segment." + segmentColumns[i].name
		columns = append(columns, name)
		there := "has(open, " + cell("r", "n") + ")"
		switch segmentColumns[i].name {
		case "region":
			name = "arrayMap((r, n) -> if(" + there + ", r, toUInt16(0)), segment.region, segment.network)"
		case "time_of_day":
			name = "arrayMap((t, r, n) -> if(" + hidden + " OR r != 0 AND NOT " + there + ", toUInt8(0), t), segment.time_of_day, segment.region, segment.network)"
		}
		values = append(values, name)
	}
	return fmt.Sprintf("INSERT INTO calls_version_2 (%s)\nWITH %s AS open\nSELECT %s\nFROM calls_version_1 FINAL WHERE day = %s",
		strings.Join(columns, ", "), cells, strings.Join(values, ", "), date)
}

// copyRejects copies a day of refused reports.
func (m *migrator) copyRejects(day time.Time) string {
	return "INSERT INTO rejects_version_2 (day, hour, reason, sequence, position)\n" +
		"SELECT day, hour, CAST(toString(reason) AS " + rejectReasons() + "), sequence, 0 FROM rejects_version_1 FINAL WHERE day = " + sqlDate(day)
}

// columns lists the columns of a table; none when it does not exist.
func (m *migrator) columns(ctx context.Context, table string) (map[string]bool, error) {
	names, err := m.warehouse.strings(ctx, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '"+table+"'")
	if err != nil {
		return nil, fmt.Errorf("list the columns of %s: %w", table, err)
	}
	set := make(map[string]bool)
	for _, name := range names {
		set[name] = true
	}
	return set, nil
}

// adjust gives a table of today's form what the server has learned since it was made, and the retention of the settings.
func (m *migrator) adjust(ctx context.Context, table string) error {
	var engine string
	err := m.warehouse.conn.QueryRow(ctx, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '"+table+"'").Scan(&engine)
	if err != nil {
		return fmt.Errorf("read how %s is stored: %w", table, err)
	}
	for _, statement := range m.dialect.adjustments(table, engine) {
		if err := m.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
