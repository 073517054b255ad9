package ingest

import (
	"slices"
	"sync"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// cells decides which reports may be stored with their region. What it holds to is this: whoever reads the table, at
// whatever moment, finds for each day, origin, region and network either no report that shows its region, or at least k
// different ones. The origin is part of it because a simulated call hides nobody: among k reports of which one is of a
// real call, that one is known.
//
// A report of a cell that is not open is stored with its region withheld, and its full form stays here, in memory, as
// pending. When the pending reports of a cell and those of the block in hand are k different ones, all of them go into
// that one block with their region: the warehouse makes the reports of one day visible together, and lets a copy that
// shows its region replace one that does not. Once the insert has succeeded the cell is open, and later reports of it
// show their region at once.
//
// Why the number cannot be too large: pending reports are kept by id, exactly, until their cell opens, and the reports
// of a block have different ids. So a report that is delivered again, to any worker and at any time, is counted once,
// and the memory of recent ids, which forgets, takes no part. While a block that opens a cell is on its way the cell is
// not open for others: their reports are pending, and follow. An insert that failed may have stored its rows; then the
// cell counts as closed although it is not, which is safe. Several processes count each for itself, and each of them
// stores k reports or none.
//
// What the bound on memory does not leave room for, and what a crash makes the process forget, stays withheld for ever.
// A cell counts reports, not people: k reports of one person are k reports. And it believes what a report says of its
// origin, as of everything else: who sends k - 1 false ones learns of the k-th.
type cells struct {
	mu      sync.Mutex
	k       int
	days    map[uint32]map[place]*cell // by day since 1970-01-01
	ready   []*cell                    // with pending reports that may show their region
	size    int                        // bytes of pending reports, including those in blocks on their way
	number  int                        // of cells
	scratch []byte

	maxBytes, maxCells, maxRevealed int
}

const (
	maxPendingBytes  = 64 << 20 // of pending reports: about 60,000 calls of 3 minutes
	maxCells         = 1 << 17  // open and closed: at most about 25 MB
	maxRevealedBytes = 1 << 20  // of pending reports in one block, unless the first cell alone has more
	pendingOverhead  = 96       // bytes that a pending report takes apart from its encoding
)

// place is a cell within a day.
type place struct {
	origin  telemetry.Origin
	region  model.Region
	network model.NetworkType
}

// placeOf is where a report with a context lies.
func placeOf(r *telemetry.Report, c *model.Context) place {
	return place{r.Origin, c.Region, c.Network}
}

// cell is one place on one day.
type cell struct {
	open      bool       // k reports are in the warehouse and show their region
	opening   *admission // the block that is to open it, on its way
	forgotten bool       // to make room, or because its day is no longer kept
	queued    bool       // in ready
	pending   map[telemetry.ReportID][]byte
	size      int
	fresh     int // reports in the block in hand that are not pending; zero between blocks
}

// admission is what cells decided about one block.
type admission struct {
	withheld []bool   // of the block's reports, in order
	revealed [][]byte // pending reports that are to be stored again, with their region
	moved    []moved
	cells    []*cell // of the block's reports; nil where the client gave no region
}

// moved is the pending reports of one cell that a block took.
type moved struct {
	cell    *cell
	pending map[telemetry.ReportID][]byte
	size    int
}

func newCells(k int) *cells {
	return &cells{
		k: k, days: make(map[uint32]map[place]*cell),
		maxBytes: maxPendingBytes, maxCells: maxCells, maxRevealed: maxRevealedBytes,
	}
}

func dayOf(hour uint32) uint32 { return hour / 24 }

// admit decides about the reports of a block, which have different ids, and takes the region out of those that may not
// show it. With no reports it only looks for pending ones that may. The block must be stored with a.revealed, and then
// commit called, or abort when it could not be.
func (c *cells) admit(reports []telemetry.Report, a *admission) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.withheld, a.cells, a.revealed, a.moved = a.withheld[:0], a.cells[:0], nil, nil
	for i := range reports {
		r := &reports[i]
		var v *cell
		if r.Context.Region != 0 && c.k > 1 {
			v = c.find(dayOf(r.Hour), placeOf(r, &r.Context))
		}
		if v != nil && !v.open {
			if _, pending := v.pending[r.ID]; !pending {
				v.fresh++
			}
		}
		a.cells = append(a.cells, v)
	}
	budget := c.maxRevealed
	for _, v := range a.cells {
		if v != nil && !v.open && v.opening == nil && len(v.pending)+v.fresh >= c.k {
			c.take(v, a, &budget)
		}
	}
	c.takeReady(a, &budget)
	for i := range reports {
		r, v := &reports[i], a.cells[i]
		show := c.k <= 1 || r.Context.Region == 0 || v != nil && v.shows(a)
		a.withheld = append(a.withheld, !show)
		if !show {
			c.keep(v, r)
			withhold(r)
		}
		if v != nil {
			v.fresh = 0
		}
	}
	for i := range reports {
		if !a.withheld[i] {
			c.withholdMoves(&reports[i], a)
		}
	}
}

// shows tells whether reports of the cell show their region in the block of a.
func (v *cell) shows(a *admission) bool { return v.open || v.opening == a }

// find is the cell, made if need be. It is nil when there is no room for another.
func (c *cells) find(number uint32, p place) *cell {
	day := c.days[number]
	if v := day[p]; v != nil {
		return v
	}
	for c.number >= c.maxCells {
		if !c.forgetBefore(number) {
			return nil
		}
	}
	if day == nil {
		day = make(map[place]*cell)
		c.days[number] = day
	}
	v := new(cell)
	day[p] = v
	c.number++
	return v
}

// queue remembers a cell whose pending reports may show their region once a block has room for them.
func (c *cells) queue(v *cell) {
	if !v.queued && !v.forgotten {
		v.queued = true
		c.ready = append(c.ready, v)
	}
}

// take moves the pending reports of a cell to a block, when there is room for them.
func (c *cells) take(v *cell, a *admission, budget *int) bool {
	if v.size > *budget && *budget < c.maxRevealed {
		c.queue(v)
		return false
	}
	*budget -= v.size
	for _, data := range v.pending {
		a.revealed = append(a.revealed, data)
	}
	a.moved = append(a.moved, moved{v, v.pending, v.size})
	v.pending, v.size = nil, 0
	if !v.open {
		v.opening = a
	}
	return true
}

// takeReady takes what earlier blocks had no room for, and what became pending while its cell was opened.
func (c *cells) takeReady(a *admission, budget *int) {
	ready := c.ready
	c.ready = nil
	for i, v := range ready {
		v.queued = false
		if v.forgotten || v.opening != nil || len(v.pending) == 0 || !v.open && len(v.pending) < c.k {
			continue
		}
		if !c.take(v, a, budget) {
			c.ready = append(c.ready, ready[i+1:]...)
			return
		}
	}
}

// keep makes a report pending until its cell opens. Without room for it the region stays withheld.
func (c *cells) keep(v *cell, r *telemetry.Report) {
	if v == nil || v.forgotten {
		return
	}
	if _, known := v.pending[r.ID]; known {
		return
	}
	encoded, err := r.AppendMarshal(c.scratch[:0])
	if err != nil { // an upgrade of the schema can have made it larger than a report may be
		return
	}
	c.scratch = encoded
	size := len(encoded) + pendingOverhead
	for c.size+size > c.maxBytes {
		if !c.forgetBefore(dayOf(r.Hour)) {
			return
		}
	}
	if v.pending == nil {
		v.pending = make(map[telemetry.ReportID][]byte)
	}
	v.pending[r.ID] = slices.Clone(encoded)
	v.size += size
	c.size += size
}

// reveal decodes the pending reports that a block is to store again.
func (c *cells) reveal(a *admission, reports []telemetry.Report) []telemetry.Report {
	from := len(reports)
	for _, data := range a.revealed {
		var r telemetry.Report
		if err := telemetry.Unmarshal(data, &r); err == nil { // it was encoded here
			reports = append(reports, r)
			a.withheld = append(a.withheld, false)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range reports[from:] {
		c.withholdMoves(&reports[from+i], a)
	}
	return reports
}

// commit says that the block is stored.
func (c *cells) commit(a *admission) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range a.moved {
		c.size -= m.size
		if m.cell.opening == a {
			m.cell.open, m.cell.opening = true, nil
		}
		if len(m.cell.pending) > 0 {
			c.ready = append(c.ready, m.cell)
		}
	}
	a.moved = nil
}

// abort says that the block was given up. It may be stored or not.
func (c *cells) abort(a *admission) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range a.moved {
		v := m.cell
		c.size -= m.size
		if v.opening == a {
			v.opening = nil
		}
		if v.forgotten {
			continue
		}
		for id, data := range m.pending {
			if _, again := v.pending[id]; again {
				continue
			}
			if v.pending == nil {
				v.pending = make(map[telemetry.ReportID][]byte)
			}
			v.pending[id] = data
			v.size += len(data) + pendingOverhead
			c.size += len(data) + pendingOverhead
		}
		c.queue(v)
	}
	a.moved = nil
}

// waiting tells whether there are pending reports that may show their region.
func (c *cells) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ready) > 0
}
