package ingest

import (
	"sync"

	"github.com/attune-calls/attune/telemetry"
)

// recent remembers the ids of the last reports stored, so that most copies are known without asking the warehouse. It
// forgets; the warehouse does not count the copies it misses either, and nothing that must be exact asks it.
type recent struct {
	mu       sync.Mutex
	young    map[telemetry.ReportID]struct{}
	old      map[telemetry.ReportID]struct{}
	capacity int
}

const recentCapacity = 1 << 17 // ids in each half: at most about 10 MB in all

func newRecent() *recent {
	return &recent{
		young: make(map[telemetry.ReportID]struct{}), old: make(map[telemetry.ReportID]struct{}), capacity: recentCapacity,
	}
}

func (r *recent) has(id telemetry.ReportID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.young[id]; ok {
		return true
	}
	_, ok := r.old[id]
	return ok
}

func (r *recent) add(reports []telemetry.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range reports {
		if len(r.young) >= r.capacity {
			r.old, r.young = r.young, r.old
			clear(r.young)
		}
		r.young[reports[i].ID] = struct{}{}
	}
}
