package warehouse

import (
	"context"
	"math"
	"slices"
	"time"
)

// A cap that a large cell never reaches lets a small one be flooded a thousand times over. So a cell is also held to what
// is usual for it: to Filter.CellGrowth times the median of its earlier days, and at least Filter.CellFloor. A flood moves
// that median only once it has gone on for half of the days that are looked at, and days without a report of the cell
// count as zero, so that a cell nobody calls from cannot be opened with a flood. What is usual is not known before an
// origin has reports of usualLeast earlier days: until then CellCap alone holds. A place that honestly grows faster is
// learned from in part, as a sample, until its median has followed.

const (
	usualDays  = 28 // that are looked at
	usualLeast = 3  // of them with any report of the origin
)

// leastCap is the number of reports that every cell may have; 0 when none has a limit.
func (f Filter) leastCap() uint64 {
	if f.CellGrowth == 0 || f.CellFloor == 0 {
		return f.CellCap
	}
	if f.CellCap == 0 {
		return f.CellFloor
	}
	return min(f.CellCap, f.CellFloor)
}

// limitCells sets the limits of cells, which are in the order of days.
func (w *Warehouse) limitCells(ctx context.Context, f Filter, cells []cell) error {
	most := f.CellCap
	if most == 0 {
		most = math.MaxInt64
	}
	for i := range cells {
		cells[i].limit = most
	}
	if f.CellGrowth == 0 || f.CellFloor == 0 {
		return nil
	}
	first, last := cells[0].day.AddDate(0, 0, -usualDays), cells[len(cells)-1].day
	earlier, err := w.countCells(ctx, "day >= "+sqlDate(first)+" AND day < "+sqlDate(last)+" AND "+f.origins(), 0)
	if err != nil {
		return err
	}
	days := make(map[string]map[time.Time]bool) // of an origin, with reports
	counts := make(map[place]map[time.Time]uint64)
	for _, c := range earlier {
		if days[c.origin] == nil {
			days[c.origin] = make(map[time.Time]bool)
		}
		if counts[c.place] == nil {
			counts[c.place] = make(map[time.Time]uint64)
		}
		days[c.origin][c.day] = true
		counts[c.place][c.day] = c.reports
	}
	for i := range cells {
		c := &cells[i]
		var before []uint64
		for day := range days[c.origin] {
			if day.Before(c.day) && !day.Before(c.day.AddDate(0, 0, -usualDays)) {
				before = append(before, counts[c.place][day])
			}
		}
		if len(before) < usualLeast {
			continue
		}
		slices.Sort(before)
		c.limit = min(c.limit, max(f.CellFloor, f.CellGrowth*before[len(before)/2]))
	}
	return nil
}
