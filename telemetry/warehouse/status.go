package warehouse

import (
	"context"
	"fmt"
	"time"
)

// Status is the state of the tables of one database.
type Status struct {
	Database string `json:"database"`
	Server   string `json:"server"`            // version
	Cluster  string `json:"cluster,omitempty"` // whose tables these are; empty for those of one server

	Found uint32 `json:"found"` // version of the tables; 0 when there are none
	Known uint32 `json:"known"` // newest version this program reads and writes

	// What the tables and views were made for; zero before version 2, or when a migration was interrupted.
	MinCell          int    `json:"minCell"`
	RetentionSeconds uint64 `json:"retentionSeconds"`

	Tables   []TableStatus `json:"tables"`
	Features []Feature     `json:"features"`
}

// TableStatus is one table.
type TableStatus struct {
	Name   string    `json:"name"`
	Engine string    `json:"engine"`
	Rows   uint64    `json:"rows"`   // copies included
	Oldest time.Time `json:"oldest"` // day of the oldest row; zero when there is none
}

// Status looks at the tables and changes nothing. Tables of a newer program give a NewerSchemaError.
func (w *Warehouse) Status(ctx context.Context) (Status, error) {
	s := Status{Database: w.database, Server: w.ServerVersion(), Known: schemaVersion, Features: w.features().list()}
	var err error
	if s.Found, err = w.SchemaVersion(ctx); err != nil {
		return s, err
	}
	if s.Found > schemaVersion {
		return s, &NewerSchemaError{Where: w.where, Version: s.Found}
	}
	if cluster, err := w.distributed(ctx, "calls"); err != nil {
		return s, err
	} else if cluster.name != "" {
		s.Cluster = cluster.name
	}
	made, err := w.madeFor(ctx)
	if err != nil {
		return s, err
	}
	s.MinCell, s.RetentionSeconds = made.MinCell, uint64(made.Retention/time.Second)
	s.Tables, err = w.tableStatus(ctx)
	if err != nil {
		return s, fmt.Errorf("look at the tables of %s: %w", w.where, err)
	}
	return s, nil
}

// tableStatus looks at the tables that hold rows with a day, those of an unfinished migration included.
func (w *Warehouse) tableStatus(ctx context.Context) ([]TableStatus, error) {
	names, err := w.strings(ctx, "SELECT name FROM system.tables WHERE database = currentDatabase() AND (name IN ('calls', 'rejects') "+
		"OR name LIKE 'calls\\_version\\_%' OR name LIKE 'rejects\\_version\\_%') ORDER BY name")
	if err != nil {
		return nil, err
	}
	var list []TableStatus
	for _, name := range names {
		t := TableStatus{Name: name}
		err := w.conn.QueryRow(ctx, "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = "+quoteText(name)).Scan(&t.Engine)
		if err != nil {
			return nil, err
		}
		if err := w.conn.QueryRow(ctx, "SELECT count(), min(day) FROM "+quoteName(name)).Scan(&t.Rows, &t.Oldest); err != nil {
			return nil, err
		}
		if t.Rows == 0 {
			t.Oldest = time.Time{}
		}
		list = append(list, t)
	}
	return list, nil
}
