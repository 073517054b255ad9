package conservation

import (
	"fmt"
	"slices"
	"strings"
)

// verdict is the difference between what the oracle knows and what the warehouse shows.
type verdict struct {
	acknowledged    int               // reports
	lost            map[serial]string // acknowledged and missing somewhere, and where
	doubled         map[serial]string // counted more than once, and where
	wrong           []string          // everything else
	told            map[string]uint64 // lost reports that the stored reports of each client tell
	rated           int               // stored reports with an answer
	withheld, shown int               // stored reports whose region ingest withheld, and that show theirs
}

func (v *verdict) faultless() bool {
	return len(v.lost) == 0 && len(v.doubled) == 0 && len(v.wrong) == 0
}

func (v *verdict) lose(s serial, format string, args ...any) {
	v.lost[s] = fmt.Sprintf(format, args...)
}

func (v *verdict) double(s serial, format string, args ...any) {
	v.doubled[s] = fmt.Sprintf(format, args...)
}

func (v *verdict) fault(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// String lists what differs, some of each.
func (v *verdict) String() string {
	const most = 20
	var b strings.Builder
	for _, list := range []struct {
		name string
		of   map[serial]string
	}{{"lost", v.lost}, {"doubled", v.doubled}} {
		var numbers []serial
		for n := range list.of {
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		for i, n := range numbers {
			if i == most {
				fmt.Fprintf(&b, "and %d more\n", len(numbers)-most)
				break
			}
			fmt.Fprintf(&b, "%s: report %d: %s\n", list.name, n, list.of[n])
		}
	}
	for i, w := range v.wrong {
		if i == most {
			fmt.Fprintf(&b, "and %d more\n", len(v.wrong)-most)
			break
		}
		fmt.Fprintln(&b, w)
	}
	return b.String()
}

// judge compares. Nothing may be under way any more.
func judge(o *oracle, h *holdings) *verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := &verdict{lost: make(map[serial]string), doubled: make(map[serial]string), told: make(map[string]uint64)}
	v.wrong = append(v.wrong, o.violations...)
	for n, r := range o.records {
		if r.acknowledged.IsZero() || r.refused {
			continue
		}
		v.acknowledged++
		if len(h.calls[r.want.ID]) == 0 {
			v.lose(n, "of %s, id %v, acknowledged %v", r.client, r.want.ID, r.acknowledged.Format("15:04:05.000"))
		}
	}
	v.judgeCalls(o, h)
	v.judgeReaders(o, h)
	v.judgeViews(o, h)
	v.judgeCells(o, h)
	v.judgeRejects(o, h)
	return v
}
