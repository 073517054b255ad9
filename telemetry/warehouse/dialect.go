package warehouse

import (
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// features is what a server can do beyond ClickHouse 18.16.
type features struct {
	partitions bool // a limit on partitions per insert, which is to be lifted
	fsync      bool // after each insert
	ttl        bool // rows past their time are deleted by the server itself
	codecs     bool // a compression per column
	tokens     bool // the same block inserted twice under the same token is stored once
	quorum     bool // an insert may wait for the majority of replicas, however many there are
	async      bool // inserts that are answered before they are stored, which are to be switched off
}

// Feature is something that newer servers add.
type Feature struct {
	Name  string `json:"name"`  // for people
	Since string `json:"since"` // the first release it is used on
	Has   bool   `json:"has"`   // the server in question has it
}

// featureList names each feature with the first release it is used on, which may be later than the one it appeared in.
var featureList = []struct {
	name         string
	major, minor uint64
	field        func(*features) *bool
}{
	{"reports of any number of weeks in one insert", 20, 3, func(f *features) *bool { return &f.partitions }},
	{"a compression per column (CODEC)", 20, 3, func(f *features) *bool { return &f.codecs }},
	{"the server itself also deletes what is past its time (TTL)", 20, 3, func(f *features) *bool { return &f.ttl }},
	{"an insert is on the disk when it is answered (fsync_after_insert)", 20, 10, func(f *features) *bool { return &f.fsync }},
	{"no insert is answered before it is stored, whatever the server prefers (async_insert)", 22, 3, func(f *features) *bool { return &f.async }},
	{"a block inserted twice is stored once (insert_deduplication_token)", 22, 3, func(f *features) *bool { return &f.tokens }},
	{"in a cluster an insert is on most replicas when it is answered (insert_quorum = 'auto')", 23, 3, func(f *features) *bool { return &f.quorum }},
}

// tokensSince is the first release that tokens are used on.
func tokensSince() string {
	var f features
	for _, known := range featureList {
		if known.field(&f) == &f.tokens {
			return fmt.Sprintf("%d.%d", known.major, known.minor)
		}
	}
	return ""
}

// featuresOf is what a server of a version can do.
func featuresOf(major, minor uint64) features {
	var f features
	for _, known := range featureList {
		*known.field(&f) = major > known.major || major == known.major && minor >= known.minor
	}
	return f
}

// list is features for people.
func (f features) list() []Feature {
	var list []Feature
	for _, known := range featureList {
		list = append(list, Feature{known.name, fmt.Sprintf("%d.%d", known.major, known.minor), *known.field(&f)})
	}
	return list
}

// insertSettings go with an insert: nothing may be answered before it is stored, with a quorum by most replicas, and
// reports of very different weeks must not fail the block they are in.
func (f features) insertSettings(token string, quorum bool) clickhouse.Settings {
	settings := clickhouse.Settings{}
	if f.partitions {
		settings["max_partitions_per_insert_block"] = 0
		settings["insert_distributed_sync"] = 1
	}
	if f.async {
		settings["async_insert"] = 0
	}
	if f.tokens && token != "" {
		settings["insert_deduplication_token"] = token
	}
	if quorum {
		settings["insert_quorum"] = "auto"
	}
	return settings
}

// deduplicationWindow is how many tokens a table remembers. A block waits for its redelivery for minutes; ten workers
// with a block a second each fill the window in more than a quarter of an hour.
const deduplicationWindow = 10_000

// dialect is how tables are made: by what the server can do, and by the settings.
type dialect struct {
	features
	retention time.Duration
}

// codec is the compression of a column, for the end of its declaration. An id is random, compressing it is work for
// nothing. The segments are nearly all of a row, and their columns repeat themselves.
func (d dialect) codec(column string) string {
	switch {
	case !d.codecs:
		return ""
	case column == "id":
		return " CODEC(NONE)"
	case column == "segment":
		return " CODEC(ZSTD(1))"
	default:
		return ""
	}
}

// ttlExpression is of the time at which a row is deleted. All rows of a partition have the same, so that the
// server drops whole parts and rewrites none.
func (d dialect) ttlExpression() string {
	return fmt.Sprintf("toDateTime(toMonday(day), 'UTC') + toIntervalSecond(%d)", int64(d.retention/time.Second))
}

// tableSettings are those of a table, as the server prints them.
func (d dialect) tableSettings(replicated bool) []string {
	var list []string
	if d.fsync {
		list = append(list, "fsync_after_insert = 1", "fsync_part_directory = 1")
	}
	if d.ttl {
		list = append(list, "ttl_only_drop_parts = 1")
	}
	switch {
	case !d.tokens:
	case replicated:
		list = append(list, fmt.Sprintf("replicated_deduplication_window = %d", deduplicationWindow))
	default:
		list = append(list, fmt.Sprintf("non_replicated_deduplication_window = %d", deduplicationWindow))
	}
	return list
}

// storageClauses is all of the dialect that the text of a table depends on.
func (d dialect) storageClauses() []string {
	list := d.tableSettings(false)
	if d.ttl {
		list = append(list, d.ttlExpression())
	}
	return list
}

// adjustments are the statements that give a table, of which engine is what the server says about its storage, what it
// lacks.
func (d dialect) adjustments(table, engine string) []string {
	var list []string
	if ttl := d.ttlExpression(); d.ttl && !strings.Contains(engine, ttl) {
		list = append(list, "ALTER TABLE "+table+" MODIFY TTL "+ttl)
	}
	var missing []string
	for _, setting := range d.tableSettings(false) {
		if !strings.Contains(engine, setting) {
			missing = append(missing, setting)
		}
	}
	if len(missing) > 0 {
		list = append(list, "ALTER TABLE "+table+" MODIFY SETTING "+strings.Join(missing, ", "))
	}
	return list
}

// tableForm is the form in which a table is made.
type tableForm struct {
	name      string
	onCluster string // " ON CLUSTER name" or nothing
	replica   string // the path of a replicated table and the name of its replica, quoted; empty for a table of one server
	dialect
}

// create is the statement that makes a table; version is the column that ranks copies.
func (f tableForm) create(columns, version, key string) string {
	engine, arguments := "ReplacingMergeTree", version
	if f.replica != "" {
		engine, arguments = "ReplicatedReplacingMergeTree", strings.TrimSuffix(f.replica+", "+version, ", ")
	}
	statement := fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s (\n%s\n) ENGINE = %s(%s) PARTITION BY toMonday(day) ORDER BY (%s)",
		f.name, f.onCluster, columns, engine, arguments, key)
	if f.ttl {
		statement += " TTL " + f.ttlExpression()
	}
	if settings := f.tableSettings(f.replica != ""); len(settings) > 0 {
		statement += " SETTINGS " + strings.Join(settings, ", ")
	}
	return statement
}

// plainForm is a table of one server.
func plainForm(name string, d dialect) tableForm { return tableForm{name: name, dialect: d} }
