package warehouse

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// distributedTables are the tables that a cluster has over one of each of its servers, whose name is localTable.
var distributedTables = []string{"calls", "rejects"}

func localTable(name string) string { return name + "_local" }

// distributedTable is where the rows of a table of a cluster are.
type distributedTable struct {
	name            string // of the cluster; empty for a table of one server
	database, table string // on its servers
}

var distributedEngine = regexp.MustCompile(`^Distributed\('?([^',]+)'?, '?([^',]+)'?, '?([^',)]+)'?`)

// distributed looks for the tables behind a table; the zero value is for one that is its own, or none.
func (w *Warehouse) distributed(ctx context.Context, table string) (distributedTable, error) {
	engines, err := w.strings(ctx, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() "+
		"AND engine = 'Distributed' AND name = "+quoteText(table))
	if err != nil {
		return distributedTable{}, fmt.Errorf("read how %s is stored in %s: %w", table, w.where, err)
	}
	if len(engines) == 0 {
		return distributedTable{}, nil
	}
	parts := distributedEngine.FindStringSubmatch(engines[0])
	if parts == nil {
		return distributedTable{}, fmt.Errorf("read how %s is stored in %s: cannot read %q", table, w.where, engines[0])
	}
	return distributedTable{parts[1], parts[2], parts[3]}, nil
}

// askQuorum decides whether inserts are to wait for the majority of the replicas of a shard, so that no single one takes
// what was acknowledged with it. A quorum that the operator has put into the user's profile, or forbids to change, stays.
// Tables that are not replicated have no use for it.
func (w *Warehouse) askQuorum(ctx context.Context) error {
	if !w.features().quorum {
		return nil
	}
	free, err := w.strings(ctx, "SELECT name FROM system.settings WHERE name = 'insert_quorum' AND value = '0' AND readonly = 0")
	if err != nil {
		return fmt.Errorf("look for a quorum of inserts: %w", err)
	}
	w.quorum = len(free) > 0
	return nil
}

// onCluster has a statement executed by every server of a cluster.
func onCluster(name string) string { return " ON CLUSTER " + quoteName(name) }

// quoteName writes a name for SQL.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "\\`") + "`" }

// quoteText writes a text for SQL.
func quoteText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
