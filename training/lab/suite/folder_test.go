package suite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/suite"
)

func folder(t testing.TB) map[string]suite.Network {
	t.Helper()
	s, _, err := suite.FromFolders([]string{"testdata/folder"}, suite.FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	networks := make(map[string]suite.Network)
	for _, n := range s.Networks {
		networks[n.Name] = n
	}
	return networks
}

func TestRecordingsTakeTheirPlace(t *testing.T) {
	networks := folder(t)
	base := suite.Base(model.Network4G)
	drive, lone, steps := networks["lte/drive"].Profile, networks["lte/lone"].Profile, networks["lte/steps"].Profile
	if drive.Up.Capacity.Trace.Name() != "drive.up" || drive.Down.Capacity.Trace.Name() != "drive.down" {
		t.Errorf("drive: %+v and %+v", drive.Up.Capacity, drive.Down.Capacity)
	}
	if lone.Up.Capacity.Trace == nil || lone.Down.Capacity.Trace != nil || steps.Up.Capacity.Trace != nil || steps.Down.Capacity.Trace == nil {
		t.Error("a single direction is not where its name says, or else down")
	}
	if drive.Down.Queue != base.Down.Queue || drive.Down.Loss != base.Down.Loss || drive.Down.Jitter != base.Down.Jitter {
		t.Error("a capacity changed more than the capacity")
	}
	mask := networks["masks/mask"].Profile
	if mask.Down.Loss.Mask == nil || mask.Up.Loss != (network.Loss{}) {
		t.Errorf("mask: %+v and %+v", mask.Up.Loss, mask.Down.Loss)
	}
	pings := networks["pings/pings"].Profile
	if pings.Down.Propagation.Series == nil || pings.Up.Propagation.Series == nil || pings.Up.Propagation.Millis != 0 {
		t.Errorf("pings: %+v and %+v", pings.Up.Propagation, pings.Down.Propagation)
	}
	for name, n := range networks {
		if !strings.Contains(n.Profile.About, "Recorded ") || !strings.Contains(n.Profile.About, "that of the profile ") {
			t.Errorf("%s does not say what is recorded and what is not: %s", name, n.Profile.About)
		}
	}
	if a, b := networks["lte/walk_part1"], networks["lte/walk_part2"]; a.Source != b.Source || a.Split != b.Split {
		t.Error("two parts of a recording are two sources")
	}
}

// TestOutageOf78Seconds says what a network does whose recording stands still for so long: it is accepted, and packets of
// the outage wait in the queue or are dropped from it.
func TestOutageOf78Seconds(t *testing.T) {
	p := folder(t)["lte/outage"].Profile
	if got := p.Down.Capacity.Trace.LongestOutage(); got < 78*time.Second {
		t.Fatalf("longest outage %v", got)
	}
	p = p.WithTrace(nil, p.Down.Capacity.Trace.FromStart())
	_, down := p.Links(1)
	waited, dropped := 0, 0
	for now := 2 * time.Second; now < 78*time.Second; now += 20 * time.Millisecond {
		arrival, reason := down.Send(now, 1000, network.UDP)
		switch {
		case reason == network.DroppedQueue:
			dropped++
		case reason == network.Delivered && arrival > 78*time.Second:
			waited++
		}
	}
	if waited < p.Down.Queue.Bytes/1000*9/10 || dropped < 3000 {
		t.Errorf("%d waited, %d were dropped", waited, dropped)
	}
}

func TestNetworkTypeOnlyWhenCertain(t *testing.T) {
	for path, want := range map[string]model.NetworkType{
		"mahimahi/ATT-LTE-driving": model.Network4G, "mahimahi/Verizon-EVDO-driving": model.Network3G,
		"sabre/3Glogs/report.2010": model.Network3G, "4Glogs/report_bus_0001": model.Network4G,
		"fcc-broadband/fcc_ori/trace_1": model.NetworkEthernet, "office wifi/monday": model.NetworkWiFi,
		"wifi-to-lte/run": model.NetworkUnknown, "traces/run1": model.NetworkUnknown, "4g/wifi-1": model.NetworkWiFi,
		"knowledge/wedge": model.NetworkUnknown,
	} {
		got, ok := suite.TypeOf(path)
		if got != want || ok != (want != model.NetworkUnknown) {
			t.Errorf("%s: %v, %v, want %v", path, got, ok, want)
		}
	}
}

func TestBadRecordingsAreNamed(t *testing.T) {
	wants := map[string]string{
		"empty":          "it is empty",
		"negative":       "line 2: time -2 ms is negative",
		"words":          `line 2: "nine" is not a whole number`,
		"zero":           "capacity is zero from beginning to end",
		"mask":           `line 7: "x" is not 0 (received) or 1 (lost)`,
		"prose":          `line 1: "It was a dark and stormy network."`,
		"rates-negative": "line 2: rate -1 Mbit/s is negative",
		"goes-back":      "line 4: time goes back from 9 to 4 ms",
	}
	for name, want := range wants {
		dir := filepath.Join("testdata", "bad", name)
		_, _, err := suite.FromFolders([]string{dir}, suite.FolderOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, "trace")) ||
			!strings.Contains(err.Error(), "--skip-bad") {
			t.Errorf("%s: error %v, want one with the path, %q and what to do", name, err, want)
		}
		s, skipped, err := suite.FromFolders([]string{dir}, suite.FolderOptions{SkipBad: true})
		if err != nil || len(s.Networks) != 1 || len(skipped) != 1 || skipped[0].Document || !strings.Contains(skipped[0].Reason, want) {
			t.Errorf("%s with SkipBad: %v, skipped %v", name, err, skipped)
		}
	}
	entries, err := os.ReadDir("testdata/bad")
	if err != nil || len(entries) != len(wants) {
		t.Errorf("%d folders, want %d: %v", len(entries), len(wants), err)
	}
}

// write makes a folder of files.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestAllBadFilesAreNamed: at once, with what is wrong with each, and none is mistaken for a document.
func TestAllBadFilesAreNamed(t *testing.T) {
	dir := write(t, map[string]string{
		"good.up": "5\n9\n17\n", "NOTICEABLY-bad.up": "0\n5\nnine\n", "README.down": "5\n4\n3\nx\n1\n", "b/cut.json": "[{",
		"README": "words", "README.md": "words", "COPYING.opus": "words", "LICENSE-2.0.txt": "words", "notes.md": "words",
	})
	_, _, err := suite.FromFolders([]string{dir}, suite.FolderOptions{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"NOTICEABLY-bad.up: ", "README.down: ", "cut.json: ", `"nine"`, "--skip-bad"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v; it lacks %s", err, want)
		}
	}
	s, skipped, err := suite.FromFolders([]string{dir}, suite.FolderOptions{SkipBad: true})
	if err != nil || len(s.Networks) != 1 || len(skipped) != 8 {
		t.Fatalf("%v, %d skipped: %v", s, len(skipped), err)
	}
	if taken := s.Networks[0].Taken; len(taken) != 1 || !strings.Contains(taken[0], "Mahimahi") {
		t.Errorf("taken for %q", taken)
	}
	for _, f := range skipped {
		name := filepath.Base(f.Path)
		if bad := name == "NOTICEABLY-bad.up" || name == "README.down" || name == "cut.json"; f.Document == bad {
			t.Errorf("%s is taken for a document: %v", name, f.Document)
		}
	}
}

func TestLinkedFolders(t *testing.T) {
	dir := write(t, map[string]string{"nets/a.up": "5\n9\n17\n", "other/b.up": "5\n9\n18\n"})
	for link, to := range map[string]string{"nets/more": "../other", "nets/c.up": "../other/b.up", "other/round": "../nets"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s, _, err := suite.FromFolders([]string{filepath.Join(dir, "nets")}, suite.FolderOptions{})
	if err != nil || len(s.Networks) != 3 {
		t.Errorf("%+v: %v; want a, c and more/b", s, err)
	}
}

func TestFromFoldersRefuses(t *testing.T) {
	for _, test := range []struct {
		dirs []string
		o    suite.FolderOptions
		want string
	}{
		{[]string{"testdata/none"}, suite.FolderOptions{}, "no such file"},
		{[]string{t.TempDir()}, suite.FolderOptions{}, "no recording in"},
		{nil, suite.FolderOptions{}, "no networks"},
		{[]string{"testdata/folder"}, suite.FolderOptions{ValidationShare: 2}, "above 1"},
	} {
		if _, _, err := suite.FromFolders(test.dirs, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.dirs, err, test.want)
		}
	}
}

func TestSplitIsStableAndBySource(t *testing.T) {
	s, _, err := suite.FromFolders([]string{"testdata/folder", "testdata/folder"}, suite.FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil { // which checks that no source is on both sides
		t.Fatal(err)
	}
	once := folder(t)
	for _, n := range s.Networks {
		if first, ok := once[strings.SplitN(n.Name, "#", 2)[0]]; ok && first.Split != n.Split {
			t.Errorf("%s is in %v and in %v", n.Name, n.Split, first.Split)
		}
	}
	if len(s.Validation()) == 0 || len(s.Train()) == 0 {
		t.Errorf("%d to train on, %d held out", len(s.Train()), len(s.Validation()))
	}
	all, _, err := suite.FromFolders([]string{"testdata/folder"}, suite.FolderOptions{ValidationShare: -1})
	if err != nil || len(all.Validation()) != 0 {
		t.Errorf("nothing held out: %d, %v", len(all.Validation()), err)
	}
}

func TestOneFileIsAFolderOfOne(t *testing.T) {
	s, _, err := suite.FromFolders([]string{"testdata/folder/masks/mask.txt"}, suite.FolderOptions{})
	if err != nil || len(s.Networks) != 1 || s.Networks[0].Profile.Down.Loss.Mask == nil {
		t.Fatalf("%+v: %v", s, err)
	}
}
