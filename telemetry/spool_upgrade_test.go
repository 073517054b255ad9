package telemetry

import (
	"os"
	"path/filepath"
	"testing"
)

// What a client of version 1 left in its spool does not leave the device as the user said it, not even when the process
// ends before it is sent.
func TestSpoolOfAnOlderClientIsUpgraded(t *testing.T) {
	old := Report{Schema: 1, Hour: MinHour, ID: ReportID{7}, Rating: 2, Problems: ProblemEcho, LostReports: 5}
	data, err := old.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "spool")
	file := appendRecord([]byte(spoolMagic), record{1, 1, 3, data})
	file = appendRecord(file, record{2, 1, 3, numbered(1).data})
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	var first Report
	for try := range 2 { // the second time as after a crash: what was written then is what is found
		s, dropped, _, err := openSpool(path, defaultSpoolLimit)
		if err != nil || dropped != 0 {
			t.Fatalf("%d dropped, %v", dropped, err)
		}
		if len(s.waiting) != 2 || s.lost != 3 || s.waiting[0].lost != 5 {
			t.Fatalf("%d reports wait, %d lost, %+v", len(s.waiting), s.lost, s.waiting)
		}
		var r Report
		if err := Unmarshal(s.waiting[0].data, &r); err != nil {
			t.Fatal(err)
		}
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
		if r.ID != old.ID || r.Schema != SchemaVersion || r.Rating != 0 || r.Problems != 0 || r.Stars == 0 || r.Problem == 0 {
			t.Errorf("recovered %+v", r)
		}
		if try == 0 {
			first = r
		} else if r.Stars != first.Stars || r.Problem != first.Problem {
			t.Errorf("randomized twice: %d %d, then %d %d", first.Stars, first.Problem, r.Stars, r.Problem)
		}
		if err := s.file.close(); err != nil {
			t.Fatal(err)
		}
	}
}
