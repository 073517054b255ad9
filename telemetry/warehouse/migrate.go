package warehouse

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// schemaVersion is the version of the tables this package reads and writes.
//
// History: 1 = the first; 2 = ratings randomized, regions that may be withheld and shown later, weekly partitions,
// refused reports by their place in a pack.
const schemaVersion = 2

// schemaAbout says in a few words what the newest version brought.
const schemaAbout = "randomized ratings, withheld regions, weekly partitions"

// NewerSchemaError says that a newer program has changed the tables; an older one must not touch them.
type NewerSchemaError struct {
	Where   string // the database
	Version uint32 // of its tables
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("%s has schema version %d, this program knows up to %d: upgrade this program",
		e.Where, e.Version, schemaVersion)
}

// OlderSchemaError says that there are no tables, or that they are those of an older program.
type OlderSchemaError struct {
	Where   string // the database
	Version uint32 // of its tables; 0 when there are none
}

func (e *OlderSchemaError) Error() string {
	if e.Version == 0 {
		return e.Where + " has no tables of reports: start `attune up` or `attune ingest` there, or run `attune warehouse migrate`"
	}
	return fmt.Sprintf("%s has schema version %d, this program needs %d: run `attune warehouse migrate` with the configuration of whoever "+
		"stores the reports there", e.Where, e.Version, schemaVersion)
}

// LooserSettingsError says that settings would promise less to the people whose calls are in the tables than the tables
// were made for.
type LooserSettingsError struct {
	Where       string // the database
	Made, Asked Settings
}

func (e *LooserSettingsError) Error() string {
	days := func(s Settings) string { return fmt.Sprintf("%g days", s.Retention.Hours()/24) }
	return fmt.Sprintf("%s was made to show regions and groups of %d reports or more and to keep reports for %s, not %d and %s: "+
		"people were promised the former. Correct privacy.minCell and privacy.retention, or change the promise for everybody with "+
		"`attune warehouse migrate --loosen`", e.Where, e.Made.MinCell, days(e.Made), e.Asked.MinCell, days(e.Asked))
}

// looser reports whether s promises less than was promised.
func (s Settings) looser(promised Settings) bool {
	return s.MinCell < promised.MinCell || s.Retention > promised.Retention
}

// Settings are what tables and views are made for.
type Settings struct {
	// MinCell is k: the views for people do not show groups of fewer reports. 0 means 50.
	MinCell int
	// Retention is the age at which a report is deleted, where the server does so by itself. 0 means 90 days. DropExpired
	// does the same on every server.
	Retention time.Duration
}

func (s Settings) withDefaults() Settings {
	if s.MinCell == 0 {
		s.MinCell = 50
	}
	if s.Retention == 0 {
		s.Retention = 90 * 24 * time.Hour
	}
	return s
}

func (s Settings) validate() error {
	if s.MinCell < 1 {
		return fmt.Errorf("warehouse settings: MinCell %d, want at least 1", s.MinCell)
	}
	if s.Retention < minRetention {
		return fmt.Errorf("warehouse settings: Retention %v, want at least %v: a partition is a week", s.Retention, minRetention)
	}
	return nil
}

// The table of versions has a row for each migration that was completed.
const versionTable = "schema_version"

func createVersionTable(name, onCluster, engine string) string {
	return "CREATE TABLE IF NOT EXISTS " + name + onCluster + ` (
    version UInt32,
    about String,
    applied DateTime('UTC')
) ENGINE = ` + engine + ` ORDER BY version`
}

func recordVersion(version uint32, about string) string {
	return fmt.Sprintf("INSERT INTO %s (version, about, applied) SELECT %d, '%s', now()", versionTable, version, about)
}

// The view of settings tells for what the tables and views were made. Its digest covers the text of both. It is dropped
// before anything changes and made when all is done, so where it is, all is as it says.
const settingsView = "schema_settings"

func (d dialect) createSettingsView(onCluster string, s Settings) string {
	return fmt.Sprintf("CREATE VIEW IF NOT EXISTS %s%s AS SELECT toUInt64(%d) AS min_cell, toUInt64(%d) AS retention_seconds, '%s' AS digest",
		settingsView, onCluster, s.MinCell, int64(s.Retention/time.Second), d.digest(s))
}

func (d dialect) digest(s Settings) string {
	text := fmt.Sprintf("%+v\n", s) + strings.Join(append(views(s), d.storageClauses()...), "\n")
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16]
}

// Migrate is MigrateWith for the default Settings.
func (w *Warehouse) Migrate(ctx context.Context) error { return w.MigrateWith(ctx, Settings{}) }

// MigrateWith brings the tables and views up to date with this program and with the settings. It may be interrupted at
// any point, repeated, and run by several processes at once: one does the work, the others wait for it. While tables of
// an older version are copied, readers and writers get an error that says a table does not exist, and are right to try
// again. Tables of a newer program are left alone and give a NewerSchemaError. The tables of a cluster are not changed:
// what is missing there is an error that says how to make it.
//
// A smaller MinCell or a longer Retention than the tables have is a LooserSettingsError, and nothing is changed. (After a
// migration that was interrupted nobody knows what they had.)
func (w *Warehouse) MigrateWith(ctx context.Context, s Settings) error {
	return w.migrate(ctx, s, false)
}

// Loosen is MigrateWith also for settings that promise less.
func (w *Warehouse) Loosen(ctx context.Context, s Settings) error { return w.migrate(ctx, s, true) }

// Check is nil where the tables are those of this program, whatever their settings; otherwise it is an OlderSchemaError
// or a NewerSchemaError. It changes nothing.
func (w *Warehouse) Check(ctx context.Context) error {
	have, err := w.SchemaVersion(ctx)
	switch {
	case err != nil:
		return err
	case have > schemaVersion:
		return &NewerSchemaError{Where: w.where, Version: have}
	case have < schemaVersion:
		return &OlderSchemaError{Where: w.where, Version: have}
	}
	return nil
}

func (w *Warehouse) migrate(ctx context.Context, s Settings, loosen bool) error {
	s = s.withDefaults()
	if err := s.validate(); err != nil {
		return err
	}
	d := w.dialect(s)
	if done, err := w.upToDate(ctx, d.digest(s)); done || err != nil {
		return err
	}
	if cluster, err := w.distributed(ctx, "calls"); err != nil {
		return err
	} else if cluster.name != "" {
		return fmt.Errorf("migrate %s: the tables belong to cluster %q and are not what this program and its settings need; "+
			"apply what `attune warehouse ddl --cluster %s` prints", w.where, cluster.name, cluster.name)
	}
	lock, err := w.lockMigration(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", w.where, err)
	}
	defer lock.release()
	if done, err := w.upToDate(lock.ctx, d.digest(s)); done || err != nil {
		return err
	}
	made, err := w.madeFor(lock.ctx)
	if err != nil {
		return err
	}
	if !loosen && made.MinCell > 0 && s.looser(made) {
		return &LooserSettingsError{Where: w.where, Made: made, Asked: s}
	}
	m := &migrator{warehouse: w, lock: lock, dialect: d, settings: s}
	if err := m.run(lock.ctx); err != nil {
		return fmt.Errorf("migrate %s to version %d: %w", w.where, schemaVersion, errors.Join(err, context.Cause(lock.ctx)))
	}
	return nil
}

// dialect is how this server takes tables made for the settings.
func (w *Warehouse) dialect(s Settings) dialect {
	return dialect{features: w.features(), retention: s.Retention}
}

func (w *Warehouse) features() features {
	return featuresOf(w.version.Version.Major, w.version.Version.Minor)
}

// upToDate reports whether there is nothing to migrate.
func (w *Warehouse) upToDate(ctx context.Context, digest string) (bool, error) {
	have, err := w.SchemaVersion(ctx)
	if err != nil {
		return false, err
	}
	if have > schemaVersion {
		return false, &NewerSchemaError{Where: w.where, Version: have}
	}
	if have < schemaVersion {
		return false, nil
	}
	var found string
	err = w.conn.QueryRow(ctx, "SELECT digest FROM "+settingsView).Scan(&found)
	if isGone(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the settings of the tables of %s: %w", w.where, err)
	}
	return found == digest, nil
}

// refuseNewer is for readers: what a newer program has stored may not mean what this one would say of it.
func (w *Warehouse) refuseNewer(ctx context.Context) error {
	have, err := w.SchemaVersion(ctx)
	if err == nil && have > schemaVersion {
		err = &NewerSchemaError{Where: w.where, Version: have}
	}
	return err
}

// madeFor is what the tables and views were made for; zero where that is not known.
func (w *Warehouse) madeFor(ctx context.Context) (Settings, error) {
	var minCell, seconds uint64
	err := w.conn.QueryRow(ctx, "SELECT min_cell, retention_seconds FROM "+settingsView).Scan(&minCell, &seconds)
	if isGone(err) {
		return Settings{}, nil
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings of the tables of %s: %w", w.where, err)
	}
	return Settings{MinCell: int(minCell), Retention: time.Duration(seconds) * time.Second}, nil
}

// SchemaVersion is the version of the tables in the database; 0 when there are none.
func (w *Warehouse) SchemaVersion(ctx context.Context) (uint32, error) {
	var version uint32
	err := w.conn.QueryRow(ctx, "SELECT max(version) FROM "+versionTable).Scan(&version)
	if isGone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the schema version of %s: %w", w.where, err)
	}
	return version, nil
}

// isException reports whether the server answered with an error of this code.
func isException(err error, code int32) bool {
	var exception *clickhouse.Exception
	return errors.As(err, &exception) && exception.Code == code
}

// isGone reports whether a table that a statement names is not there, or was dropped while the statement ran.
func isGone(err error) bool {
	return isException(err, codeUnknownTable) || isException(err, codeTableIsDropped)
}
