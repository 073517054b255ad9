package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// Reject is one report that was refused.
type Reject struct {
	Hour     uint32 // it arrived, in hours since 1970-01-01 00:00 UTC
	Reason   telemetry.RejectReason
	Sequence uint64 // number of its message in the stream: with Position it makes a second delivery count once
	Position uint16 // index in its pack; 0 for a single report
}

// Block is what one insert stores.
type Block struct {
	Reports []telemetry.Report
	// Withheld says for each report that its region was taken out because too few reports of that day share it. The same
	// report may be stored again with its region: the copy that shows it replaces the one that does not, whichever comes
	// first. Nil means none.
	Withheld []bool
	// Token names the block: where Deduplicates, a block whose token was stored before is not stored again. Blocks with
	// other reports, or the same reports with other regions, need another token. Empty means none.
	Token string
}

var (
	insertCalls   = "INSERT INTO calls (" + strings.Join(insertColumns(), ", ") + ")"
	insertRejects = "INSERT INTO rejects (day, hour, reason, sequence, position)"
)

func insertColumns() []string {
	var list []string
	for _, c := range callColumns() {
		list = append(list, c[0])
	}
	for i := range segmentColumns {
		list = append(list, "segment."+segmentColumns[i].name)
	}
	return list
}

// InsertBlock stores the reports of a block: after a nil error all of them are in the table. After an error they may be
// in the table or not; insert the same reports again, copies count once. The reports must be valid, and a withheld one
// must not have a region.
func (w *Warehouse) InsertBlock(ctx context.Context, b Block) error {
	if len(b.Reports) == 0 {
		return nil
	}
	if err := b.validate(); err != nil {
		return err
	}
	err := w.insert(ctx, insertCalls, b.Token, func(batch driver.Batch) error { return appendReports(batch, b.sorted()) })
	if err != nil {
		return fmt.Errorf("insert %d reports into %s: %w%s", len(b.Reports), w.where, err, tableHint(err))
	}
	return nil
}

// Insert is InsertBlock for reports of which none is withheld.
func (w *Warehouse) Insert(ctx context.Context, reports []telemetry.Report) error {
	return w.InsertBlock(ctx, Block{Reports: reports})
}

// Deduplicates reports whether the server stores a block only once when it is inserted twice under one token.
func (w *Warehouse) Deduplicates() bool { return w.features().tokens }

func (b *Block) validate() error {
	if b.Withheld == nil {
		return nil
	}
	if len(b.Withheld) != len(b.Reports) {
		return fmt.Errorf("insert a block: %d reports and %d marks of withheld ones", len(b.Reports), len(b.Withheld))
	}
	for i, withheld := range b.Withheld {
		if withheld && b.Reports[i].Context.Region != model.RegionWithheld {
			return fmt.Errorf("insert a block: report %d is withheld and has a region", i)
		}
	}
	return nil
}

// regionState is the rank of the copy of report i that the block holds.
func (b *Block) regionState(i int) uint8 {
	switch {
	case b.Withheld != nil && b.Withheld[i]:
		return regionWithheld
	case b.Reports[i].Context.Region == model.RegionWithheld:
		return regionNotGiven
	default:
		return regionShown
	}
}

// CountRejects stores refused reports, under the same promise as Insert.
func (w *Warehouse) CountRejects(ctx context.Context, rejects []Reject) error {
	if len(rejects) == 0 {
		return nil
	}
	err := w.insert(ctx, insertRejects, "", func(batch driver.Batch) error { return appendRejects(batch, rejects) })
	if err != nil {
		return fmt.Errorf("count %d rejects in %s: %w%s", len(rejects), w.where, err, tableHint(err))
	}
	return nil
}

// insert sends one block. A batch whose Send failed is never sent again: its rows may have arrived.
func (w *Warehouse) insert(ctx context.Context, query, token string, fill func(driver.Batch) error) error {
	if settings := w.features().insertSettings(token, w.quorum); len(settings) > 0 {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settings))
	}
	batch, err := w.conn.PrepareBatch(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }() // does nothing after Send; after a failed fill it ends the insert without rows
	if err := fill(batch); err != nil {
		return err
	}
	return batch.Send()
}

// appendReports fills the columns in the order of insertColumns.
func appendReports(batch driver.Batch, block Block) error {
	b := newBlockWriter(batch)
	b.appendCalls(&block)
	b.appendSegments(block.Reports)
	return b.err
}

func appendRejects(batch driver.Batch, rejects []Reject) error {
	b := newBlockWriter(batch)
	appendColumn(b, rejects, func(r *Reject) time.Time { return hourTime(r.Hour) })
	appendColumn(b, rejects, func(r *Reject) time.Time { return hourTime(r.Hour) })
	appendColumn(b, rejects, func(r *Reject) int8 { return int8(r.Reason) })
	appendColumn(b, rejects, func(r *Reject) uint64 { return r.Sequence })
	appendColumn(b, rejects, func(r *Reject) uint16 { return r.Position })
	return b.err
}

func hourTime(hour uint32) time.Time { return time.Unix(int64(hour)*3600, 0).UTC() }

func oneIf(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
