package warehouse

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/attune-calls/attune/telemetry"
)

// blockWriter writes the columns of a batch in order and keeps the first error.
//
// Plain columns are appended whole. For arrays clickhouse-go has no such call: it takes them row by row and boxes each
// element, which costs more than all the rest. So an array column is given its content the way the driver receives it
// from a server, by Decode: the end of each row's array as UInt64, then all elements, little-endian. That is the native
// format of Array and does not change.
type blockWriter struct {
	batch   driver.Batch
	columns []column.Interface
	next    int
	err     error
	wire    bytes.Buffer
	reader  *proto.Reader // reads wire
}

func newBlockWriter(batch driver.Batch) *blockWriter {
	b := &blockWriter{batch: batch, columns: batch.Columns()}
	b.reader = proto.NewReader(&b.wire)
	return b
}

// appendColumn writes one value per row.
func appendColumn[R, V any](b *blockWriter, rows []R, value func(*R) V) {
	if b.err != nil {
		return
	}
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = value(&rows[i])
	}
	b.err = b.batch.Column(b.next).Append(values)
	b.next++
}

// appendArrays writes a column of arrays, given the end of each row's array and all elements, both in wire format.
func (b *blockWriter) appendArrays(rows int, ends, elements []byte) {
	if b.err != nil {
		return
	}
	b.wire.Reset()
	b.wire.Write(ends)
	b.wire.Write(elements)
	b.err = b.columns[b.next].Decode(b.reader, rows)
	b.next++
}

// appendID writes the column id.
func (b *blockWriter) appendID(block *Block) {
	appendColumn(b, block.Reports, func(r *telemetry.Report) uuid.UUID { return uuid.UUID(r.ID) })
}

// appendDay writes the column day.
func (b *blockWriter) appendDay(block *Block) { b.appendHour(block) }

// appendHour writes the column hour.
func (b *blockWriter) appendHour(block *Block) {
	appendColumn(b, block.Reports, func(r *telemetry.Report) time.Time { return hourTime(r.Hour) })
}

// appendRegion writes the column region.
func (b *blockWriter) appendRegion(block *Block) {
	appendColumn(b, block.Reports, func(r *telemetry.Report) string { return r.Context.Region.String() })
}

// appendRegionState writes the column region_state.
func (b *blockWriter) appendRegionState(block *Block) {
	if b.err != nil {
		return
	}
	values := make([]uint8, len(block.Reports))
	for i := range values {
		values[i] = block.regionState(i)
	}
	b.err = b.batch.Column(b.next).Append(values)
	b.next++
}

// appendRefusals writes the column refusals.
func (b *blockWriter) appendRefusals(block *Block) {
	reports := block.Reports
	ends := make([]byte, 0, 8*len(reports))
	elements := make([]byte, 0, telemetry.RefusalReasons*len(reports))
	for i := range reports {
		elements = append(elements, reports[i].Refusals[:]...)
		ends = binary.LittleEndian.AppendUint64(ends, uint64(len(elements)))
	}
	b.appendArrays(len(reports), ends, elements)
}

// appendSegments writes the nested columns. It goes through the reports once, with all columns at hand: their segments
// are several megabytes, and one pass per column would read them from memory each time.
func (b *blockWriter) appendSegments(reports []telemetry.Report) {
	segments := 0
	for i := range reports {
		segments += len(reports[i].Segments)
	}
	columns := make([][]byte, len(segmentColumns))
	for i := range columns {
		columns[i] = make([]byte, segments*segmentColumns[i].size())
	}
	ends := make([]byte, 0, 8*len(reports))
	end := 0
	for i := range reports {
		putSegments(columns, reports[i].Segments, end)
		end += len(reports[i].Segments)
		ends = binary.LittleEndian.AppendUint64(ends, uint64(end))
	}
	for _, elements := range columns {
		b.appendArrays(len(reports), ends, elements)
	}
}

// size is the number of bytes of one value.
func (c *segmentColumn) size() int {
	switch {
	case c.u32 != nil:
		return 4
	case c.u16 != nil:
		return 2
	default:
		return 1
	}
}
