package telemetry

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// A pack is several reports in one message: the message Pack of the schema. An edge packs, because a stream that forces
// the disk before each acknowledgement takes some thousands of messages a second, whatever their size.
const (
	// PackSubject is where packs are published. It belongs to the stream of reports.
	PackSubject = "calls.v1.pack"
	// EdgeSubject is where an edge takes single reports. It belongs to no stream.
	EdgeSubject = "edge.v1.report"
	// MaxPackSize bounds a pack, in bytes. A report of the largest size still fits, alone.
	MaxPackSize = MaxReportSize + 8
)

// PackedSize is what an encoded report of n bytes adds to a pack.
func PackedSize(n int) int { return protowire.SizeTag(fieldPackReports) + protowire.SizeBytes(n) }

// AppendToPack adds an encoded report to a pack, which may be nil. It looks at no byte of the report: an edge passes on
// what it does not understand, and ingest refuses what nobody does.
func AppendToPack(pack, report []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(pack, fieldPackReports, protowire.BytesType), report)
}

// EachInPack calls take for each encoded report of a pack, in order. Fields it does not know are skipped. Its error is
// that of take, or a RejectError for a pack that does not parse; the reports before the fault have been taken by then.
func EachInPack(pack []byte, take func(report []byte) error) error {
	if len(pack) > MaxPackSize {
		return reject(RejectTooLarge, "%d bytes, at most %d are taken", len(pack), MaxPackSize)
	}
	return eachField(pack, func(f field) error {
		if f.number != fieldPackReports {
			return nil
		}
		if err := f.want(protowire.BytesType); err != nil {
			return err
		}
		return take(f.bytes)
	})
}
