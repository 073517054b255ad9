package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// Holdings is everything a database holds, as the server itself tells it: no table and no column is left out because
// this program does not know it.
type Holdings struct {
	Server    string // version of the server
	Database  string
	Cluster   string // whose tables these are; empty for those of one server
	Schema    uint32 // version of the tables
	MinCell   int    // for which the views were made; 0 when they do not say
	Retention time.Duration

	Tables []TableHoldings // by name
	// Other databases of the server, and the tables it keeps about its own work (queries, connections) with their rows.
	// The addresses in the latter are those of the programs that connect, never of call clients, which reach no warehouse.
	OtherDatabases []string
	ServerLogs     map[string]uint64

	Calls    CallHoldings
	Rejected RejectHoldings
}

// TableHoldings is one table or view.
type TableHoldings struct {
	Name    string
	Engine  string
	View    bool // it stores nothing: a view, or a table over those of a cluster
	Made    bool // by this program
	Columns []ColumnHoldings

	// Of a cluster, the sums over one replica of each shard.
	Rows         uint64 // stored, copies of a report included
	Bytes        uint64 // on disk
	RemovedBytes uint64 // on disk, but merged or dropped: the server deletes them within minutes
	Partitions   uint64
}

// ColumnHoldings is one column.
type ColumnHoldings struct {
	Name string
	Type string
}

// CallHoldings is what the table of reports holds; a report stored twice counts once.
type CallHoldings struct {
	Reports        uint64
	Oldest, Newest time.Time // days in UTC; zero when there are none
	Rated          uint64    // reports with a randomized rating, and with it an answer about a problem

	// Within the days asked for.
	Days          []DayHoldings
	Cells         uint64 // cells (day, origin, region, network) whose region is stored
	SmallestCell  uint64 // reports in the smallest of them; 0 when there are none
	Groups        uint64 // groups (day, origin, network) of the view calls_daily
	HiddenGroups  uint64 // of them with fewer than k reports, which the view does not show
	HiddenReports uint64 // reports in those
}

// DayHoldings is one day of reports, by what became of their region.
type DayHoldings struct {
	Day      time.Time
	Reports  uint64
	Withheld uint64 // the region is withheld: too few reports shared it
	NotGiven uint64 // the client gave none
	Shown    uint64
	Rated    uint64
}

// RejectHoldings is what is kept of refused reports.
type RejectHoldings struct {
	Rows           uint64
	Oldest, Newest time.Time
	Days           []RejectedDay
}

// RejectedDay counts the reports refused on one day for one reason.
type RejectedDay struct {
	Day     time.Time
	Reason  telemetry.RejectReason
	Reports uint64
}

// Holdings tells what the database holds: all of it, and in detail the days from since to before until, in UTC. The k of
// the views is minCell where they do not say. It changes nothing; tables of another version are an error that says what
// to do.
func (w *Warehouse) Holdings(ctx context.Context, since, until time.Time, minCell int) (Holdings, error) {
	h := Holdings{Server: w.ServerVersion(), Database: w.database, ServerLogs: make(map[string]uint64)}
	var err error
	if h.Schema, err = w.SchemaVersion(ctx); err != nil {
		return h, err
	}
	switch {
	case h.Schema > schemaVersion:
		return h, &NewerSchemaError{Where: w.where, Version: h.Schema}
	case h.Schema == 0:
		return h, fmt.Errorf("%s has no tables; start `attune ingest` or `attune up` first, they make them", w.where)
	case h.Schema < schemaVersion:
		return h, fmt.Errorf("%s has tables of version %d, this program reads version %d: run `attune warehouse migrate` first", w.where, h.Schema, schemaVersion)
	}
	if err := w.holdingsSettings(ctx, &h); err != nil {
		return h, err
	}
	if h.MinCell > 0 {
		minCell = h.MinCell
	}
	cluster, err := w.distributed(ctx, "calls")
	if err != nil {
		return h, err
	}
	h.Cluster = cluster.name
	q := HoldingsQueries(since, until, minCell, h.Cluster, h.Database)
	for _, read := range []func(context.Context, []HoldingsQuery, *Holdings) error{
		w.holdingsOfTables, w.holdingsOfServer, w.holdingsOfCalls, w.holdingsOfRejects,
	} {
		if err := read(ctx, q, &h); err != nil {
			return h, fmt.Errorf("holdings of %s: %w", w.where, err)
		}
	}
	return h, nil
}

// each runs a query and calls take, which scans, for every row.
func (w *Warehouse) each(ctx context.Context, q HoldingsQuery, take func(scan func(...any) error) error) error {
	rows, err := w.conn.Query(ctx, q.SQL)
	if err != nil {
		return fmt.Errorf("%s: %w", q.Figure, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := take(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", q.Figure, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", q.Figure, err)
	}
	return nil
}

func (w *Warehouse) holdingsOfTables(ctx context.Context, q []HoldingsQuery, h *Holdings) error {
	err := w.each(ctx, q[holdingsTables], func(scan func(...any) error) error {
		var t TableHoldings
		if err := scan(&t.Name, &t.Engine); err != nil {
			return err
		}
		t.Made = madeHere(t.Name, t.Engine)
		t.View = t.Engine == "View" || t.Engine == "Distributed" && t.Made
		h.Tables = append(h.Tables, t)
		return nil
	})
	if err != nil {
		return err
	}
	table := func(name string) *TableHoldings {
		for i := range h.Tables {
			if h.Tables[i].Name == name {
				return &h.Tables[i]
			}
		}
		return nil
	}
	err = w.each(ctx, q[holdingsColumns], func(scan func(...any) error) error {
		var name string
		var c ColumnHoldings
		if err := scan(&name, &c.Name, &c.Type); err != nil {
			return err
		}
		t := table(name)
		if t == nil { // made since the tables were listed
			return fmt.Errorf("table %s appeared while reading: run this again", name)
		}
		t.Columns = append(t.Columns, c)
		return nil
	})
	if err != nil {
		return err
	}
	return w.each(ctx, q[holdingsParts], func(scan func(...any) error) error {
		var name string
		var rows, bytes, removed, partitions uint64
		if err := scan(&name, &rows, &bytes, &removed, &partitions); err != nil {
			return err
		}
		if t := table(name); t != nil { // what is not listed was dropped, and its files follow
			t.Rows, t.Bytes, t.RemovedBytes, t.Partitions = rows, bytes, removed, partitions
		}
		return nil
	})
}

func (w *Warehouse) holdingsOfServer(ctx context.Context, q []HoldingsQuery, h *Holdings) error {
	err := w.each(ctx, q[holdingsServerLogs], func(scan func(...any) error) error {
		var name string
		var rows uint64
		if err := scan(&name, &rows); err != nil {
			return err
		}
		h.ServerLogs[name] = rows
		return nil
	})
	if err != nil {
		return err
	}
	return w.each(ctx, q[holdingsDatabases], func(scan func(...any) error) error {
		var name string
		if err := scan(&name); err != nil {
			return err
		}
		h.OtherDatabases = append(h.OtherDatabases, name)
		return nil
	})
}

func (w *Warehouse) holdingsOfCalls(ctx context.Context, q []HoldingsQuery, h *Holdings) error {
	c := &h.Calls
	err := w.each(ctx, q[holdingsReports], func(scan func(...any) error) error {
		return scan(&c.Reports, &c.Oldest, &c.Newest, &c.Rated)
	})
	if err != nil {
		return err
	}
	if c.Reports == 0 {
		c.Oldest, c.Newest = time.Time{}, time.Time{}
	}
	err = w.each(ctx, q[holdingsDays], func(scan func(...any) error) error {
		var d DayHoldings
		if err := scan(&d.Day, &d.Reports, &d.Withheld, &d.NotGiven, &d.Shown, &d.Rated); err != nil {
			return err
		}
		c.Days = append(c.Days, d)
		return nil
	})
	if err != nil {
		return err
	}
	err = w.each(ctx, q[holdingsCells], func(scan func(...any) error) error { return scan(&c.Cells, &c.SmallestCell) })
	if err != nil {
		return err
	}
	return w.each(ctx, q[holdingsGroups], func(scan func(...any) error) error {
		return scan(&c.Groups, &c.HiddenGroups, &c.HiddenReports)
	})
}

func (w *Warehouse) holdingsOfRejects(ctx context.Context, q []HoldingsQuery, h *Holdings) error {
	r := &h.Rejected
	err := w.each(ctx, q[holdingsRejected], func(scan func(...any) error) error { return scan(&r.Rows, &r.Oldest, &r.Newest) })
	if err != nil {
		return err
	}
	if r.Rows == 0 {
		r.Oldest, r.Newest = time.Time{}, time.Time{}
	}
	return w.each(ctx, q[holdingsRejectedDays], func(scan func(...any) error) error {
		var d RejectedDay
		var reason uint8
		if err := scan(&d.Day, &reason, &d.Reports); err != nil {
			return err
		}
		d.Reason = telemetry.RejectReason(reason)
		r.Days = append(r.Days, d)
		return nil
	})
}

// holdingsSettings reads for which k and which retention the tables and views were made.
func (w *Warehouse) holdingsSettings(ctx context.Context, h *Holdings) error {
	var k, seconds uint64
	err := w.conn.QueryRow(ctx, "SELECT min_cell, retention_seconds FROM "+settingsView).Scan(&k, &seconds)
	if isGone(err) { // a migration is running
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the settings of the tables of %s: %w", w.where, err)
	}
	h.MinCell, h.Retention = int(k), time.Duration(seconds)*time.Second
	return nil
}

// RetentionEnd is when DropExpired deletes what is of a day: a week goes as a whole, retention after its Monday began.
func RetentionEnd(day time.Time, retention time.Duration) time.Time {
	day = day.UTC().Truncate(24 * time.Hour)
	monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
	return monday.Add(retention)
}
