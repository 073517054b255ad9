package warehouse

import (
	"fmt"
	"regexp"
	"strconv"
)

// CurrentServer is the server version that DDL is printed for unless another is asked for: a server of this release is
// what the tests run every statement and query on, besides 18.16.
const CurrentServer = "26.7"

// DDL is the statements that make tables and views in an empty database, for a server of the given version, "18.16" or
// "26.7.2": what MigrateWith executes there.
//
// With a cluster they make the form for several servers, which MigrateWith leaves to its operator: replicated tables
// calls_local and rejects_local on each server, and over them the tables calls and rejects, Distributed by what makes
// copies meet on one shard. They can be run again, and with other settings. The servers need a keeper and the macros
// shard and replica.
func DDL(server, cluster string, s Settings) ([]string, error) {
	major, minor, err := parseVersion(server)
	if err != nil {
		return nil, err
	}
	s = s.withDefaults()
	if err := s.validate(); err != nil {
		return nil, err
	}
	d := dialect{features: featuresOf(major, minor), retention: s.Retention}
	if cluster == "" {
		list := append(d.tables(), insertSalt(), recordVersion(schemaVersion, schemaAbout))
		return append(append(list, views(s)...), d.createSettingsView("", s)), nil
	}
	if !d.tokens {
		return nil, fmt.Errorf("tables of a cluster for ClickHouse %s: the form for clusters needs %s or newer", server, tokensSince())
	}
	return d.clusterDDL(cluster, s), nil
}

var serverVersion = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})(\.\d+)*$`)

func parseVersion(version string) (major, minor uint64, err error) {
	m := serverVersion.FindStringSubmatch(version)
	if m == nil {
		return 0, 0, fmt.Errorf("server version %q, want one like %s", version, CurrentServer)
	}
	if major, err = strconv.ParseUint(m[1], 10, 32); err == nil {
		minor, err = strconv.ParseUint(m[2], 10, 32)
	}
	return major, minor, err
}

// tables are the statements that make the tables of the newest schema on one server.
func (d dialect) tables() []string {
	return []string{
		createVersionTable(versionTable, "", "MergeTree"),
		callsTable(plainForm("calls", d)), rejectsTable(plainForm("rejects", d)),
		createSaltTable(saltTable, "", "MergeTree"),
	}
}

// replicaPath is where the replicas of a table find each other. The keeper's paths hold the macros of each server.
func replicaPath(shard, table, replica string) string {
	return fmt.Sprintf("'/clickhouse/tables/%s/{database}/%s', '%s'", shard, table, replica)
}

func (d dialect) clusterDDL(cluster string, s Settings) []string {
	on := onCluster(cluster)
	// Every server has all of the small tables. Replicas of different shards may have one name, so the shard is part of it.
	everywhere := func(table string) string {
		return "ReplicatedMergeTree(" + replicaPath("all", table, "{shard}-{replica}") + ")"
	}
	list := []string{createVersionTable(versionTable, on, everywhere(versionTable))}
	for _, t := range []struct {
		name, shard string
		create      func(tableForm) string
	}{
		{"calls", "sipHash64(id)", callsTable},
		{"rejects", "sipHash64(sequence, position)", rejectsTable},
	} {
		local := localTable(t.name)
		list = append(list,
			t.create(tableForm{name: local, onCluster: on, replica: replicaPath("{shard}", local, "{replica}"), dialect: d}),
			fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s ENGINE = Distributed(%s, currentDatabase(), '%s', %s)",
				t.name, on, local, quoteText(cluster), local, t.shard),
			"ALTER TABLE "+local+on+" MODIFY TTL "+d.ttlExpression())
	}
	list = append(list,
		createSaltTable(saltTable, on, everywhere(saltTable)),
		insertSalt()+" WHERE ("+saltExists+") = 0",
		recordVersion(schemaVersion, schemaAbout)+" WHERE (SELECT max(version) FROM "+versionTable+fmt.Sprintf(") < %d", schemaVersion),
		"DROP VIEW IF EXISTS "+settingsView+on)
	for _, v := range peopleViews(s.MinCell) {
		list = append(list, "DROP VIEW IF EXISTS "+v.name+on, createView+v.name+on+" AS\n"+v.query)
	}
	return append(list, d.createSettingsView(on, s))
}
