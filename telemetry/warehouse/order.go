package warehouse

import (
	"bytes"
	"slices"

	"github.com/attune-calls/attune/telemetry"
)

// sorted is the block in the order of the table's key: day, network, id. A server that finds a block in order stores it as it
// is; otherwise it moves each of some seventy columns, which for nested ones costs more than all the rest of an insert.
// Reports arrive in the order of time, ids at random, so the work here is one sort of small keys.
func (b Block) sorted() Block {
	keys := make([]orderKey, len(b.Reports))
	for i := range b.Reports {
		r := &b.Reports[i]
		keys[i] = orderKey{day: r.Hour / 24, network: uint8(r.Context.Network), id: &r.ID, at: i}
	}
	if slices.IsSortedFunc(keys, orderKey.compare) {
		return b
	}
	slices.SortFunc(keys, orderKey.compare)
	ordered := Block{Reports: make([]telemetry.Report, len(keys)), Token: b.Token}
	for i, k := range keys {
		ordered.Reports[i] = b.Reports[k.at]
	}
	if b.Withheld != nil {
		ordered.Withheld = make([]bool, len(keys))
		for i, k := range keys {
			ordered.Withheld[i] = b.Withheld[k.at]
		}
	}
	return ordered
}

// orderKey is the sorting key of one row.
type orderKey struct {
	day     uint32
	network uint8
	id      *telemetry.ReportID
	at      int
}

// compare is the order of ClickHouse, which compares the second half of a UUID first.
func (k orderKey) compare(o orderKey) int {
	switch {
	case k.day != o.day:
		return int(k.day) - int(o.day)
	case k.network != o.network:
		return int(k.network) - int(o.network)
	}
	if c := bytes.Compare(k.id[8:], o.id[8:]); c != 0 {
		return c
	}
	return bytes.Compare(k.id[:8], o.id[:8])
}
