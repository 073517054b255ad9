package warehouse

import (
	"fmt"
	"strings"
	"time"
)

// HoldingsQuery is one question that Holdings asks, so that others can ask it too.
type HoldingsQuery struct {
	Figure string // what it tells
	SQL    string
}

// The places of the queries in HoldingsQueries.
const (
	holdingsTables = iota
	holdingsColumns
	holdingsParts
	holdingsReports
	holdingsDays
	holdingsCells
	holdingsGroups
	holdingsRejected
	holdingsRejectedDays
	holdingsServerLogs
	holdingsDatabases
)

// HoldingsQueries are the questions behind the figures of Holdings for the days from since to before until, with k =
// minCell. They read, and change nothing. With the name of a cluster they ask all its servers what is in a database there.
func HoldingsQueries(since, until time.Time, minCell int, cluster, database string) []HoldingsQuery {
	here, different := "currentDatabase()", ""
	system := func(table string) string { return "system." + table }
	if cluster != "" {
		here, different = quoteText(database), "DISTINCT " // every server tells of its own
		system = func(table string) string { return "cluster(" + quoteText(cluster) + ", system." + table + ")" }
	}
	days := fmt.Sprintf("day >= toDate('%s') AND day < toDate('%s')", since.UTC().Format(time.DateOnly), until.UTC().Format(time.DateOnly))
	return []HoldingsQuery{
		holdingsTables:  {"every table and view", "SELECT " + different + "name, engine FROM " + system("tables") + " WHERE database = " + here + " ORDER BY name"},
		holdingsColumns: {"every column", "SELECT " + different + "table, name, type FROM " + system("columns") + " WHERE database = " + here},
		holdingsParts: {"rows and bytes of each table", "SELECT table, sumIf(rows, active = 1) AS stored, sumIf(bytes_on_disk, active = 1) AS bytes, " +
			"sumIf(bytes_on_disk, active = 0) AS removed, uniqExactIf(partition, active = 1) AS partitions " +
			"FROM " + system("parts") + " WHERE database = " + here + " GROUP BY table ORDER BY table"},
		holdingsReports: {"all reports, the oldest and the newest day, rated ones", "SELECT count(), min(day), max(day), countIf(stars > 0) FROM calls FINAL"},
		holdingsDays: {"reports by day, with and without their region", fmt.Sprintf("SELECT day, count() AS reports, countIf(region_state = %d) AS withheld, "+
			"countIf(region_state = %d) AS not_given, countIf(region_state = %d) AS shown, countIf(stars > 0) AS rated "+
			"FROM calls FINAL WHERE %s GROUP BY day ORDER BY day", regionWithheld, regionNotGiven, regionShown, days)},
		holdingsCells: {"cells (day, origin, region, network) whose region is stored, and the smallest of them", fmt.Sprintf("SELECT count(), min(reports) FROM "+
			"(SELECT day, origin, region, network, count() AS reports FROM calls FINAL WHERE region_state = %d AND %s GROUP BY day, origin, region, network)", regionShown, days)},
		holdingsGroups: {"groups (day, origin, network) that the views hide from people", fmt.Sprintf("SELECT count(), countIf(reports < %d), sumIf(reports, reports < %[1]d) FROM "+
			"(SELECT count() AS reports FROM calls FINAL WHERE %s GROUP BY day, origin, network)", minCell, days)},
		holdingsRejected: {"all refused reports, the oldest and the newest day", "SELECT count(), min(day), max(day) FROM rejects FINAL"},
		holdingsRejectedDays: {"refused reports by day and reason", "SELECT day, toUInt8(reason) AS number, count() FROM rejects FINAL WHERE " + days +
			" GROUP BY day, number ORDER BY day, number"},
		holdingsServerLogs: {"tables the server keeps about its own work", "SELECT table, sum(rows) FROM " + system("parts") + " WHERE active = 1 AND database = 'system' GROUP BY table ORDER BY table"},
		holdingsDatabases: {"other databases of the server", "SELECT " + different + "name FROM " + system("databases") + " WHERE name NOT IN " +
			"(" + here + ", 'system', 'information_schema', 'INFORMATION_SCHEMA', '_temporary_and_external_tables') ORDER BY name"},
	}
}

// bookkeeping is every column of the tables that this program makes besides calls, and what each is for.
var bookkeeping = map[string]map[string]string{
	"rejects": {
		"day": "day the refused report arrived", "hour": "hour it arrived", "reason": "why it was refused, from a closed list",
		"sequence": "its number in the stream, so that one delivered twice counts once",
		"position": "its place in a pack of reports",
	},
	versionTable: {
		"version": "version of the tables", "about": "what that version brought, a fixed text of the program", "applied": "when it was applied",
	},
	saltTable: {"salt": "random, chosen once: it decides which reports of a flooded cell count"},
	lockPrefix: {
		"owner": "random name of the process that is migrating", "seen": "when it last showed that it lives",
	},
}

// BaseTable is the table whose rows one of this name holds: on a server of a cluster those of calls are in calls_local.
func BaseTable(name string) string {
	for _, t := range distributedTables {
		if name == localTable(t) {
			return t
		}
	}
	return name
}

// ColumnPurpose tells what a column of a table that this program makes besides calls is for; ok is false for a column that
// it does not know. The columns of calls are in the registry of fields.
func ColumnPurpose(table, column string) (purpose string, ok bool) {
	table = BaseTable(table)
	if strings.HasPrefix(table, lockPrefix) {
		table = lockPrefix
	}
	purpose, ok = bookkeeping[table][column]
	return purpose, ok
}

// madeHere tells whether this program makes a table or view of this name and engine.
func madeHere(name, engine string) bool {
	if engine != "View" {
		base := BaseTable(name)
		_, known := bookkeeping[base]
		return base == "calls" || known || strings.HasPrefix(name, lockPrefix)
	}
	for _, v := range peopleViews(1) {
		if v.name == name {
			return true
		}
	}
	return name == settingsView
}
