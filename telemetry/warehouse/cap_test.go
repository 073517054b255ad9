package warehouse_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// flood makes reports of one cell and hour. The seconds of their only segment tell them apart in what is read.
func flood(rng *rand.Rand, n int, network model.NetworkType, region string, seconds uint8) []telemetry.Report {
	reports := make([]telemetry.Report, n)
	for i := range reports {
		r := randomReport(rng, 1)
		r.Hour, r.Origin, r.Context.Network = baseHour, telemetry.OriginCall, network
		r.Context.Region, _ = model.ParseRegion(region)
		r.Segments[0].Seconds = seconds
		reports[i] = r
	}
	return reports
}

// taken counts the segments that a read gives, by their seconds.
func taken(rows []warehouse.SegmentRow) map[uint8]int {
	n := make(map[uint8]int)
	for i := range rows {
		n[rows[i].Segment.Seconds]++
	}
	return n
}

// Ten times the cap of false reports in one cell take nothing from the other cells and get no more than the cap.
func TestFloodIsCapped(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, empty func(testing.TB) database) {
		w := empty(t).open()
		if err := w.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		floodIsCapped(t, w)
	})
}

func floodIsCapped(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	const limit = 200
	rng := rand.New(rand.NewPCG(41, 42))
	honest := slices.Concat(flood(rng, 150, model.NetworkWiFi, "DE", 1), flood(rng, limit, model.Network4G, "DE", 2), flood(rng, 90, model.NetworkWiFi, "PT", 3))
	insert(t, w, honest...)
	capped := warehouse.Filter{CellCap: limit}
	before := readSegments(t, w, capped)
	if got := taken(before); got[1] != 150 || got[2] != limit || got[3] != 90 {
		t.Fatalf("no cell has more than the cap and %v was read", got)
	}
	legsBefore, err := w.CallQualities(t.Context(), capped)
	if err != nil {
		t.Fatal(err)
	}

	forged := flood(rng, 10*limit, model.NetworkWiFi, "DE", 9)
	insert(t, w, forged...)
	insert(t, w, forged[:limit]...) // copies of the flood do not change what counts
	after := readSegments(t, w, capped)
	got := taken(after)
	if got[1]+got[9] != limit || got[2] != limit || got[3] != 90 {
		t.Errorf("read %v: want %d of the flooded cell, %d and 90 of the others", got, limit, limit)
	}
	// An honest report of the flooded cell has the same chance as a false one: 200 of 2150. Four standard deviations.
	if want, deviation := 150*200/2150., math.Sqrt(150*200/2150.); math.Abs(float64(got[1])-want) > 4*deviation {
		t.Errorf("%d honest reports in the sample of the flooded cell, want %.0f +- %.0f", got[1], want, 4*deviation)
	}
	others := func(rows []warehouse.SegmentRow) map[model.Segment]bool {
		set := make(map[model.Segment]bool)
		for i := range rows {
			if s := rows[i].Segment.Seconds; s == 2 || s == 3 {
				set[rows[i].Segment] = true
			}
		}
		return set
	}
	for s := range others(before) {
		if !others(after)[s] {
			t.Fatal("the flood changed what another cell contributes")
		}
	}
	if again := readSegments(t, w, capped); !slices.Equal(after, again) {
		t.Error("a second read takes another sample")
	}

	legs, err := w.CallQualities(t.Context(), capped)
	if err != nil {
		t.Fatal(err)
	}
	if len(legsBefore) != 440 || len(legs) != limit+limit+90 {
		t.Errorf("call qualities: %d before and %d after, want 440 and %d", len(legsBefore), len(legs), limit+limit+90)
	}
	sum := uint64(0)
	networks, err := w.NetworkQuality(t.Context(), capped)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks {
		sum += n.Calls
	}
	if sum != limit+limit+90 {
		t.Errorf("network quality is of %d calls", sum)
	}
	if all := readSegments(t, w, warehouse.Filter{}); len(all) != 440+10*limit {
		t.Errorf("without a cap %d were read", len(all))
	}
}

// A report whose region is shown later counts in the cell of its region only.
func TestCapAfterARegionIsShown(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	reports := flood(rand.New(rand.NewPCG(43, 44)), 30, model.NetworkWiFi, "DE", 5)
	hidden := slices.Clone(reports)
	withheld := make([]bool, len(hidden))
	for i := range hidden {
		hidden[i].Context.Region, withheld[i] = model.RegionWithheld, true
	}
	if err := w.InsertBlock(t.Context(), warehouse.Block{Reports: hidden, Withheld: withheld}); err != nil {
		t.Fatal(err)
	}
	insert(t, w, reports[:18]...)
	for limit, want := range map[uint64]int{10: 20, 12: 24, 15: 27, 18: 30} { // 18 reports in DE, 12 withheld
		if got := len(readSegments(t, w, warehouse.Filter{CellCap: limit})); got != want {
			t.Errorf("cap %d: %d reports, want %d", limit, got, want)
		}
	}
}

// The sample of a large cell is part of the sample under a higher cap, and grows into the whole.
func TestSamplesAreNested(t *testing.T) {
	t.Parallel()
	w, _ := migrated(t)
	insert(t, w, flood(rand.New(rand.NewPCG(45, 46)), 300, model.NetworkWiFi, "DE", 5)...)
	smaller := make(map[model.Segment]bool)
	for _, limit := range []uint64{1, 50, 299, 300, 301} {
		larger := make(map[model.Segment]bool)
		for _, row := range readSegments(t, w, warehouse.Filter{CellCap: limit}) {
			larger[row.Segment] = true
		}
		if len(larger) != min(300, int(limit)) {
			t.Errorf("cap %d: %d reports", limit, len(larger))
		}
		for s := range smaller {
			if !larger[s] {
				t.Fatalf("cap %d leaves out a report that a lower cap takes", limit)
			}
		}
		smaller = larger
	}
}

// Who chooses ids by everything a sender can know gets no more of the sample than their share, and two warehouses draw
// differently.
func TestSampleCannotBeAimedFor(t *testing.T) {
	t.Parallel()
	const limit, n = 250, 2500
	aims := map[string]func(id telemetry.ReportID) uint64{
		"small ids":           func(id telemetry.ReportID) uint64 { return binary.BigEndian.Uint64(id[:]) },
		"ids with small ends": func(id telemetry.ReportID) uint64 { return binary.LittleEndian.Uint64(id[8:]) },
		"small hashes": func(id telemetry.ReportID) uint64 {
			h := sha256.Sum256([]byte(uuidText(id)))
			return binary.BigEndian.Uint64(h[:])
		},
	}
	var samples [][]warehouse.SegmentRow
	for name, value := range aims {
		w, _ := migrated(t)
		rng := rand.New(rand.NewPCG(47, 48)) // the same honest reports in each warehouse
		insert(t, w, flood(rng, n/2, model.NetworkWiFi, "DE", 1)...)
		aimed := flood(rng, n/2, model.NetworkWiFi, "DE", 9)
		for i := range aimed { // the best of 64 tries
			best := uint64(math.MaxUint64)
			for range 64 {
				var id telemetry.ReportID
				binary.BigEndian.PutUint64(id[:], rng.Uint64())
				binary.BigEndian.PutUint64(id[8:], rng.Uint64())
				if v := value(id); v < best {
					best, aimed[i].ID = v, id
				}
			}
		}
		insert(t, w, aimed...)
		sample := readSegments(t, w, warehouse.Filter{CellCap: limit})
		got := taken(sample)
		// Half of the reports are aimed: half of the sample is to be expected. Five standard deviations of a draw
		// without return, so that this fails by chance once in a million runs.
		deviation := math.Sqrt(limit * 0.25 * (n - limit) / (n - 1))
		if math.Abs(float64(got[9])-limit/2) > 5*deviation || got[1]+got[9] != limit {
			t.Errorf("%s: %d of a sample of %d are aimed, want %d +- %.0f", name, got[9], got[1]+got[9], limit/2, 5*deviation)
		}
		samples = append(samples, sample)
	}
	same := 0
	first := make(map[model.Segment]bool)
	for _, row := range samples[0] {
		first[row.Segment] = true
	}
	for _, row := range samples[1] {
		if row.Segment.Seconds == 1 && first[row.Segment] {
			same++
		}
	}
	if same > 60 { // of about 125; about 12 by chance
		t.Errorf("two warehouses share %d honest reports of their samples", same)
	}
}

// uuidText is an id as the warehouse writes it.
func uuidText(id telemetry.ReportID) string {
	s := id.String()
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
